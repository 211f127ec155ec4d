"""Settings of the product with an audio store that can be made to fail."""

from __future__ import annotations

from acsmedia.settings import *  # noqa: F403
from acsmedia.settings import AUDIO_DIR, DATA_DIR, STORAGES

STORAGES["audio"] = {
    "BACKEND": "tests.torture.stores.FaultyStorage",
    "OPTIONS": {"location": str(AUDIO_DIR), "orders": str(DATA_DIR / "store-orders")},
}
