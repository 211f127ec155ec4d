"""An audio store that does as it is told: a file beside it holds its orders, so that they can
change at any moment.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File

from calls.storage.local import DurableFileStorage

REFUSE, HANG, BREAK_OFF, KEEP_HALF = "refuse", "hang", "break-off", "keep-half"
HANG_SECONDS = 3.0
"""A client library's own timeout."""


class FaultyStorage(DurableFileStorage):
    """Well unless `orders` says otherwise.

    refuse: raises at once. hang: raises after a timeout. break-off: stores half, then raises.
    keep-half: stores half and says that all is well, as a disk or a gateway does that lies.
    """

    def __init__(self, *, location: str, orders: str) -> None:
        super().__init__(location=location)
        self._orders = Path(orders)

    def _save(self, name: str, content: File[Any]) -> str:
        order = self._orders.read_text() if self._orders.exists() else ""
        if order == REFUSE:
            raise ConnectionRefusedError("the store refuses")
        if order == HANG:
            time.sleep(HANG_SECONDS)
            raise TimeoutError("the store does not answer")
        if order in {BREAK_OFF, KEEP_HALF}:
            whole = b"".join(content.chunks())
            super()._save(name, ContentFile(whole[: len(whole) // 2]))
            if order == BREAK_OFF:
                raise ConnectionResetError("the store broke off")
            return name
        return super()._save(name, content)
