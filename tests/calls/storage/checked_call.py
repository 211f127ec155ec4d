"""A recorded call for tests of `check_recordings`."""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from calls.models import Segment
from calls.storage import (
    read_object,
    write_object,
)
from tests.calls.rows import make_conversation

HOURS_AGO = 7200


class IntegrityTestCase(TransactionTestCase):
    """A call of two participants with two segments each, in a separate store."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        entry = {
            "BACKEND": "calls.storage.local.DurableFileStorage",
            "OPTIONS": {"location": str(self.folder / "audio")},
        }
        folders = {"DATA_DIR": self.folder, "SPOOL_DIR": self.folder / "spool"}
        self.enterContext(
            override_settings(STORAGES={**settings.STORAGES, "audio": entry}, **folders)
        )
        self.call, self.alice, self.bob = make_conversation()
        self.segments = list(Segment.objects.order_by("pk"))

    def check(self, *options: str) -> tuple[int, list[dict[str, Any]], dict[str, int]]:
        """Returns exit code, findings and totals of `check_recordings --json`."""
        out, code = StringIO(), 0
        try:
            call_command("check_recordings", "--json", *options, stdout=out, stderr=StringIO())
        except CommandError as error:
            code = error.returncode
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        totals = lines.pop() if lines and lines[-1]["finding"] is None else {}
        return code, lines, totals

    def path_of(self, name: str) -> Path:
        return self.folder / "audio" / name

    def orphan(self, *, age_seconds: float = HOURS_AGO, name: str = "") -> str:
        """Stores an object without a row, as left by a seal that could not write its row."""
        name = (
            name or f"{self.call.pk}/{self.alice.pk}/{uuid4().int % 10**12}-{uuid4().hex[:16]}.flac"
        )
        write_object(name, b"audio")
        self.set_age(self.path_of(name), age_seconds)
        return name

    def set_age(self, path: Path, seconds: float) -> None:
        then = timezone.now().timestamp() - seconds
        os.utime(path, (then, then))

    def damage(self, segment: Segment) -> None:
        content = bytearray(read_object(segment.audio_name))
        content[len(content) // 2] ^= 1
        write_object(segment.audio_name, bytes(content))
