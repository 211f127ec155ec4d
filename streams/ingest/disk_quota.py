"""How much of the disk journals may take, and what is done at that bound.

Journals pile up while the audio store or the database is away. Before they fill the disk, new
sockets are refused with 4503, so that ACS tells the application that this call is not recorded;
open ones are recorded on in the room that is left. A bound that took from calls that are being
recorded would break the promise that was given when they began.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from django.conf import settings

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class DiskQuota:
    """`limit_bytes`: of all journals of the spool, 0 for as much as the disk has; `floor_bytes`:
    free on the disk.
    """

    limit_bytes: int = 0
    floor_bytes: int = 0

    @classmethod
    def from_settings(cls) -> Self:
        """Half of MIN_FREE_DISK_MB is the floor: /readyz has said no before, so that nothing is
        sent here any more.
        """
        return cls(
            round(settings.SPOOL_LIMIT_GB * 1000 * MEGABYTE),
            settings.MIN_FREE_DISK_MB * MEGABYTE // 2,
        )

    def refusal_reason(self, spool_folder: Path, spool_bytes: int) -> str:
        """Why there is none for another call; "" where there is."""
        if self.limit_bytes and spool_bytes >= self.limit_bytes:
            return (
                f"journals take {spool_bytes // MEGABYTE} MB, {self.limit_bytes // MEGABYTE} "
                f"allowed"
            )
        try:
            free = shutil.disk_usage(spool_folder).free
        except OSError as error:
            return f"the spool cannot be looked at: {type(error).__name__}"
        return (
            f"{free // MEGABYTE} MB free, {self.floor_bytes // MEGABYTE} needed"
            if free < self.floor_bytes
            else ""
        )

    def is_low(self, spool_folder: Path, spool_bytes: int) -> bool:
        """Whether it is time to say so: /readyz says no by now, and new calls will be refused."""
        return bool(
            replace(self, floor_bytes=2 * self.floor_bytes).refusal_reason(
                spool_folder, spool_bytes
            )
        )
