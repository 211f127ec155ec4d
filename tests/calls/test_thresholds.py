"""Thresholds in one module that depend on intervals or limits in another."""

from __future__ import annotations

from datetime import timedelta
from unittest import TestCase

from calls.audio import levels
from calls.listen import consumer as listening
from calls.live import messages
from calls.models import HEARTBEAT_TIMEOUT, SILENT_AFTER
from calls.pages import call_page
from streams.sealing import announcements, sealer


class ThresholdTests(TestCase):
    def test_silence_is_the_lowest_level(self) -> None:
        self.assertEqual(messages.SILENCE_DBFS, levels.FLOOR_DBFS)

    def test_a_socket_outlives_two_delayed_heartbeats(self) -> None:
        longest = max(announcements.HEARTBEAT_SECONDS, sealer.LONGEST_BACKOFF_SECONDS)
        self.assertGreaterEqual(HEARTBEAT_TIMEOUT, timedelta(seconds=3 * longest))

    def test_a_process_is_shown_silent_after_several_missed_reports(self) -> None:
        reports = timedelta(seconds=sealer.FAILURES_SECONDS)
        self.assertGreaterEqual(SILENT_AFTER, 3 * reports)

    def test_a_listener_is_gone_after_two_missed_checks(self) -> None:
        checks = timedelta(seconds=listening.CHECK_SECONDS)
        self.assertGreater(call_page.LISTENER_TIMEOUT, 2 * checks)
