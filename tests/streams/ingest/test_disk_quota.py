"""Disk quota: the limits, and new and open sockets at a limit."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase, TransactionTestCase, override_settings

from calls.live.messages import News
from calls.models import Segment
from streams.acs.messages import ACS
from streams.ingest.disk_quota import DiskQuota
from streams.journal.files import JournalUnwritable
from streams.recorder import Recorder
from tests.streams.streams import audio
from tests.waiting import until

EVERYTHING = 1 << 62


class Limits(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))

    def test_without_limits_nothing_is_refused(self) -> None:
        self.assertEqual(DiskQuota().refusal_reason(self.folder, EVERYTHING), "")

    def test_journals_must_stay_below_the_limit(self) -> None:
        quota = DiskQuota(limit_bytes=5_000_000)
        self.assertEqual(quota.refusal_reason(self.folder, 4_999_999), "")
        self.assertEqual(
            quota.refusal_reason(self.folder, 5_000_000), "journals take 5 MB, 5 allowed"
        )

    def test_the_disk_must_have_the_floor_free(self) -> None:
        self.assertRegex(
            DiskQuota(floor_bytes=EVERYTHING).refusal_reason(self.folder, 0),
            r"^\d+ MB free, \d+ needed$",
        )

    def test_space_is_low_before_sockets_are_refused(self) -> None:
        free = shutil.disk_usage(self.folder).free
        quota = DiskQuota(limit_bytes=5_000_000, floor_bytes=free * 3 // 4)
        self.assertEqual(
            (quota.refusal_reason(self.folder, 0), quota.is_low(self.folder, 0)), ("", True)
        )
        self.assertFalse(
            DiskQuota(limit_bytes=5_000_000, floor_bytes=free // 4).is_low(self.folder, 4_999_999)
        )
        self.assertTrue(DiskQuota(limit_bytes=5_000_000).is_low(self.folder, 5_000_000))

    def test_an_unreadable_spool_is_a_reason_to_refuse(self) -> None:
        self.assertIn(
            "FileNotFoundError", DiskQuota(floor_bytes=1).refusal_reason(self.folder / "gone", 0)
        )

    def test_settings_are_in_gigabytes_and_megabytes(self) -> None:
        with override_settings(SPOOL_LIMIT_GB=1.5, MIN_FREE_DISK_MB=512):
            self.assertEqual(DiskQuota.from_settings(), DiskQuota(1_500_000_000, 256_000_000))


class AtTheLimit(TransactionTestCase):
    def setUp(self) -> None:
        self.spool = Path(self.enterContext(TemporaryDirectory())) / "spool"
        self.recorder = Recorder(
            self.spool,
            segment_seconds=10,
            fsync_seconds=0.05,
            grace_seconds=0,
            disk_quota=DiskQuota(limit_bytes=200_000),
            publish=self.drop,
        )
        self.recorder.start()
        self.addCleanup(self.recorder.stop)

    async def drop(self, _news: News) -> None:
        """Drops news: no dashboard is connected."""

    async def fill(self) -> Path:
        """Adds a journal of a dead process that exceeds the limit and cannot be sealed."""
        left = self.spool / "left"
        left.mkdir()
        journal = left / "stream.000000.journal"
        journal.write_bytes(bytes(200_000))
        await until(lambda: self.recorder.stats().is_disk_quota_reached)
        return journal

    async def test_new_sockets_are_refused_and_logged_once(self) -> None:
        await self.fill()
        with self.assertLogs("streams.recorder", "ERROR") as logs:
            for _ in range(3):
                with self.assertRaisesMessage(JournalUnwritable, "journals take 0 MB, 0 allowed"):
                    self.recorder.open("connection", "", ACS)
        self.assertEqual(len(logs.output), 1)
        self.assertEqual(self.recorder.stats().open_streams, 0)

    async def test_open_sockets_continue(self) -> None:
        stream = self.recorder.open("connection", "", ACS)
        stream.receive(audio())
        await self.fill()
        for number in range(1, 5):
            stream.receive(audio(at=number))
        self.recorder.close(stream, 1000)
        await until(Segment.objects.filter(sample_count=5 * 320).aexists)

    async def test_with_space_again_new_sockets_are_accepted(self) -> None:
        journal = await self.fill()
        with self.assertLogs("streams.recorder", "ERROR"), self.assertRaises(JournalUnwritable):
            self.recorder.open("connection", "", ACS)
        await asyncio.to_thread(journal.unlink)
        await until(lambda: not self.recorder.stats().is_disk_quota_reached)
        with self.assertLogs("streams.recorder", "INFO") as logs:
            self.recorder.open("connection", "", ACS)
        self.assertIn("disk quota cleared", logs.output[0])
