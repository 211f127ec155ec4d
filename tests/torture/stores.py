"""An audio store that injects faults on order: the orders are in a file, so they can change at any
moment.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File

from calls.storage.local import DurableFileStorage

REFUSE, HANG, BREAK_OFF, KEEP_HALF = "refuse", "hang", "break-off", "keep-half"
HANG_SECONDS = 3.0
"""Timeout of a client library."""


class FaultyStorage(DurableFileStorage):
    """Works normally unless `orders` contains an order.

    refuse: raises at once. hang: raises after a timeout. break-off: stores half, then raises.
    keep-half: stores half and reports success, as a faulty disk or gateway does.
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
                raise ConnectionResetError("the store broke the connection")
            return name
        return super()._save(name, content)
