"""What a server does before its first call, because later it would hold up every socket."""

from __future__ import annotations

import gc

from django.urls import resolve

THRESHOLDS = 700, 5, 2
"""Python's own are 700, 10, 10. What a page leaves (rows that refer to each other) is looked for
while it is little: a pause is 10 ms at most instead of 50 to 100, for the same work in all. Where
much is kept, as by a process that records, a full collection waits until a quarter of that is new,
whatever stands
here."""


def warm_up() -> None:
    """The first request imports all views and admins (150 ms and more), and a full garbage
    collection looks at all that was ever imported (160,000 objects, 90 ms), which is never garbage.
    """
    resolve("/")
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
