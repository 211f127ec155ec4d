"""Tells a wrong store from missing audio.

A store that is not mounted, or belongs to another installation, answers like one whose audio is
missing. So before anything is entered or removed, the audio of some segments is looked for: if the
store has none of it, the store is wrong. It can also become wrong during a check, which may take
days.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from calls.models import Segment
from calls.storage import WrongStore, audio_store

SAMPLE = 20
"""Segments looked for; a check that finds any of them trusts the store."""


class StoreCheck:
    """Confirms that the store is the right one. Remembers names of objects that it has had."""

    def __init__(self) -> None:
        self._names: Sequence[str] = ()

    def confirm(self) -> None:
        """Does nothing if the store has audio of a row, or if there are no rows.

        Raises `WrongStore`, and the errors of the store.
        """
        store = audio_store()
        store.check_access()
        if any(store.exists(name) for name in self._names):
            return
        names = _some_names()
        self._names = [name for name in names if store.exists(name)]
        if names and not self._names:
            raise WrongStore(f"the store has none of {len(names)} segments that were looked for")


def _some_names() -> list[str]:
    """Returns the object names of some segments: ids are hashes, so neighbours are unrelated."""
    rows, begin = Segment.objects.order_by("pk").values_list("pk", "audio_name"), uuid4()
    some = dict(rows.filter(pk__gte=begin)[:SAMPLE])
    some.update(rows.filter(pk__lt=begin)[: SAMPLE - len(some)])
    return list(some.values())
