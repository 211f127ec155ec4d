"""Work done once before the first call, because later it would delay every open socket."""

from __future__ import annotations

import gc

from django.urls import resolve

THRESHOLDS = 700, 5, 2
"""Python's defaults are 700, 10, 10. Collecting the cyclic garbage of a page (rows that refer to
each other) early, while there is little of it, makes a pause of 10 ms at most instead of 50 to 100,
for the same total work. In a process that keeps many objects, such as a recorder, a full collection
waits until the new objects are a quarter of all, whatever these thresholds are."""


def warm_up() -> None:
    """Imports all views, and exempts everything imported so far from garbage collection.

    Otherwise the first request imports all views and admins (150 ms and more), and every full
    collection visits all imported objects (160,000 in 90 ms), which are never garbage.
    """
    resolve("/")
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
