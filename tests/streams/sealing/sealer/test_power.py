"""Power cuts: segments and rows never outlive their journal. `make torture` cuts real power."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from calls import storage
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.spools import SpoolTest


class PowerCut(SpoolTest):
    def test_journals_are_synced_before_their_audio_is_stored(self) -> None:
        """An unsynced journal could come back shorter, be cut into other segments, and overlap
        those that are rows already.
        """
        Socket(self.process.folder).say(speech(120)).close()
        (path,) = self.process.folder.glob("*.journal")
        synced: list[str] = []
        before_the_store: list[list[str]] = []
        fsync, write_object = os.fsync, storage.write_object

        def noting_fsync(descriptor: int) -> None:
            fsync(descriptor)
            synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

        def noting_write(name: str, content: bytes) -> Any:
            before_the_store.append(list(synced))
            return write_object(name, content)

        with (
            patch.object(os, "fsync", noting_fsync),
            patch.object(storage, "write_object", noting_write),
        ):
            self.process.round()
        self.assertTrue(before_the_store, "something was stored")
        for already in before_the_store:
            self.assertIn(str(path), already)
            self.assertIn(str(path.parent), already)
