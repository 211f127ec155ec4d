"""Disk space for journals: the limits, and the refusal of new sockets at a limit.

Journals accumulate while the audio store or the database is unreachable. Before they fill the disk,
new sockets are refused with 4503, so that ACS reports to the application that this call is not
recorded; open ones continue in the remaining space. A limit that stopped calls being recorded would
break the promise given when they began.
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
    """`limit_bytes`: of all journals of the spool, 0 for no limit; `floor_bytes`: free space to
    leave on the disk.
    """

    limit_bytes: int = 0
    floor_bytes: int = 0

    @classmethod
    def from_settings(cls) -> Self:
        """Uses half of MIN_FREE_DISK_MB as the floor: /readyz fails earlier, so that load balancers
        send no more calls here.
        """
        return cls(
            round(settings.SPOOL_LIMIT_GB * 1000 * MEGABYTE),
            settings.MIN_FREE_DISK_MB * MEGABYTE // 2,
        )

    def refusal_reason(self, spool_folder: Path, spool_bytes: int) -> str:
        """Returns the reason to refuse new sockets, "" if there is none."""
        if self.limit_bytes and spool_bytes >= self.limit_bytes:
            return (
                f"journals take {spool_bytes // MEGABYTE} MB, {self.limit_bytes // MEGABYTE} "
                f"allowed"
            )
        try:
            free = shutil.disk_usage(spool_folder).free
        except OSError as error:
            return f"the spool's disk usage cannot be read: {type(error).__name__}"
        return (
            f"{free // MEGABYTE} MB free, {self.floor_bytes // MEGABYTE} needed"
            if free < self.floor_bytes
            else ""
        )

    def is_low(self, spool_folder: Path, spool_bytes: int) -> bool:
        """Whether to warn: /readyz fails by now, and new sockets will be refused soon."""
        return bool(
            replace(self, floor_bytes=2 * self.floor_bytes).refusal_reason(
                spool_folder, spool_bytes
            )
        )
