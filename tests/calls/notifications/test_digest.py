"""The digest: once a day, at its hour in its zone, with the calls and alarms of 24 hours."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.core import mail as outgoing
from django.core.mail import EmailMessage
from django.db import connections
from django.db.models import F
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from calls.models import CallCoverage, SentDigest
from calls.notifications.digest import digest_text, send_if_due
from calls.notifications.mail import Mailer
from tests.calls.rows import make_alarm

ZONE = ZoneInfo("Europe/Berlin")
SEVEN = datetime(2026, 11, 30, 7, tzinfo=ZONE)
EARLIER = SEVEN - timedelta(hours=1)


def make_coverage(verdict: str, started_at: datetime, connection: str = "connection") -> None:
    CallCoverage.objects.create(
        id=uuid4(), call_connection_id=connection, started_at=started_at, verdict=verdict
    )


@override_settings(DIGEST_MAIL=["boss@example.com"], DIGEST_HOUR=7, DIGEST_ZONE="Europe/Berlin")
class Digests(TransactionTestCase):
    """Transactions are real: the connection is given back before the mail is sent."""

    def test_are_sent_once_a_day_from_their_hour_on(self) -> None:
        self.assertFalse(send_if_due(SEVEN - timedelta(seconds=1)))
        self.assertTrue(send_if_due(SEVEN.astimezone(UTC)))
        self.assertFalse(send_if_due(SEVEN + timedelta(hours=5)))
        (sent,) = outgoing.outbox
        self.assertEqual(
            (sent.to, sent.subject), (["boss@example.com"], "acsmedia: digest of 2026-11-30")
        )
        self.assertFalse(send_if_due(SEVEN + timedelta(hours=20)))
        self.assertTrue(send_if_due(SEVEN + timedelta(days=1)))

    def test_keep_no_connection_of_the_database_meanwhile(self) -> None:
        steps: list[str] = []
        closing = patch.object(connections, "close_all", lambda: steps.append("closed"))
        with closing, patch.object(EmailMessage, "send", lambda _self: steps.append("sent")):
            send_if_due(SEVEN)
        self.assertEqual(steps, ["closed", "sent"])

    def test_that_fail_are_sent_again_later(self) -> None:
        with patch.object(EmailMessage, "send", side_effect=OSError), self.assertRaises(OSError):
            send_if_due(SEVEN)
        self.assertFalse(send_if_due(SEVEN), "not at once")
        SentDigest.objects.update(claimed_at=F("claimed_at") - timedelta(minutes=11))
        self.assertTrue(send_if_due(SEVEN))

    @override_settings(PUBLIC_URL="https://calls.example.com")
    def test_count_calls_by_verdict_and_alarms_by_name(self) -> None:
        for verdict in ("complete", "complete", "missing"):
            make_coverage(verdict, EARLIER)
        make_coverage("complete", SEVEN)
        make_coverage("missing", EARLIER, "canary-1")
        make_alarm("too_low", raised_at=EARLIER, cleared_at=EARLIER)
        for _alarm in range(2):
            make_alarm("stalled", raised_at=EARLIER)
        make_alarm("stalled", raised_at=SEVEN - timedelta(days=1, seconds=1), cleared_at=EARLIER)
        text = digest_text(SEVEN - timedelta(days=1), SEVEN)
        expected = [
            "From 2026-11-29 07:00 to 2026-11-30 07:00 CET",
            "",
            "3 calls",
            "- Recorded: 2",
            "- Not recorded: 1",
            "",
            "3 alarms, 2 active now",
            "- Audio stalled (critical): 2",
            "- Too quiet (minor): 1",
            "",
            "Coverage: https://calls.example.com/coverage/",
        ]
        self.assertEqual(text.splitlines(), expected)


class DigestJob(TransactionTestCase):
    @override_settings(DIGEST_MAIL=["boss@example.com"], DIGEST_HOUR=0, DIGEST_ZONE="UTC")
    def test_is_part_of_the_job_of_mails(self) -> None:
        before, mailer = timezone.now(), Mailer()
        mailer.run(threading.Event())
        self.assertTrue(mailer.wait(20))
        self.assertEqual(len(outgoing.outbox), 1)
        days = {before.date(), timezone.now().date()}  # others around midnight
        self.assertIn(SentDigest.objects.get().day, days)
