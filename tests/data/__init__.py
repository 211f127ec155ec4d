"""Files that older versions wrote, for tests of upgrades. Never changed, only added to."""

from __future__ import annotations

from pathlib import Path

SPOOL_2026_11 = Path(__file__).resolve().parent / "spool-2026-11"
