"""Mails about alarms: to the addresses of their severity, few, and never in the way of others."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.contrib.auth.models import User
from django.core import mail as outgoing
from django.core.mail import EmailMessage
from django.db import connections
from django.db.models import F
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

from calls.models import RaisedAlarm
from calls.notifications import care, mail
from calls.notifications.mail import Mailer
from tests.calls.rows import make_alarm, make_call, make_participant


def pass_time(**length: float) -> None:
    past = timedelta(**length)
    RaisedAlarm.objects.update(
        mailed_at=F("mailed_at") - past, mail_claimed_at=F("mail_claimed_at") - past
    )


@override_settings(
    ALARM_MAIL_CRITICAL=["night@example.com", "boss@example.com"],
    ALARM_MAIL_MAJOR=["day@example.com"],
    ALARM_MAIL_MINOR=[],
    DIGEST_MAIL=[],
    DEFAULT_FROM_EMAIL="acsmedia@example.com",
    PUBLIC_URL="https://calls.example.com",
)
class AlarmMails(TransactionTestCase):
    """Transactions are real: a thread sends."""

    def run_job(self) -> list[EmailMessage]:
        """Runs the job once, and returns the new mails."""
        before, mailer = len(outgoing.outbox), Mailer()
        mailer.run(threading.Event())
        self.assertTrue(mailer.wait(20))
        return outgoing.outbox[before:]

    def test_go_to_the_addresses_of_the_severity(self) -> None:
        for name in ("stalled", "dead_air", "too_low"):
            make_alarm(name)
        critical, major = self.run_job()
        self.assertEqual(critical.to, ["night@example.com", "boss@example.com"])
        self.assertEqual(critical.from_email, "acsmedia@example.com")
        self.assertEqual(critical.subject, "acsmedia: Audio stalled, critical")
        self.assertEqual(
            (major.to, major.subject), (["day@example.com"], "acsmedia: Dead air, major")
        )
        self.assertEqual(self.run_job(), [])

    def test_name_the_call_and_no_person(self) -> None:
        call = make_call()
        alice = make_participant(call, "4:+15551234567")
        make_alarm(call_id=call.pk, participant_id=alice.pk)
        body = str(self.run_job()[0].body)
        self.assertIn(f"https://calls.example.com/calls/{call.pk}/", body)
        self.assertNotIn("5551234567", body)
        self.assertIn("UTC, active", body)

    def test_are_at_most_one_per_name_and_quarter_of_an_hour(self) -> None:
        make_alarm()
        self.assertEqual(len(self.run_job()), 1)
        now = timezone.now()
        make_alarm(cleared_at=now)
        make_alarm()
        make_alarm("disk_low")
        (other,) = self.run_job()
        self.assertIn("disk", other.subject)
        pass_time(minutes=14)
        self.assertEqual(self.run_job(), [])
        pass_time(minutes=1, seconds=1)
        (gathered,) = self.run_job()
        self.assertEqual(gathered.subject, "acsmedia: Audio stalled, critical (2 times)")
        self.assertIn("cleared", str(gathered.body))

    def test_are_short_however_many_alarms_there_are(self) -> None:
        for _alarm in range(mail.MAX_LINES + 7):
            make_alarm()
        (sent,) = self.run_job()
        self.assertIn("and 7 more", str(sent.body))
        self.assertEqual(str(sent.body).count("- since"), mail.MAX_LINES)

    def test_leave_out_alarms_that_a_user_has_acknowledged_or_snoozed(self) -> None:
        olga = User.objects.create_user("olga")
        care.acknowledge(make_alarm(), olga)
        snoozed = care.snooze(make_alarm("disk_low"), olga, timezone.now() + timedelta(hours=1))
        self.assertEqual(self.run_job(), [])
        care.snooze(snoozed, olga, timezone.now() - timedelta(seconds=1))
        self.assertEqual(len(self.run_job()), 1)

    def test_leave_out_a_snoozed_alarm_that_comes_back_as_another_row(self) -> None:
        olga, call_id, until = (
            User.objects.create_user("olga"),
            uuid4(),
            timezone.now() + timedelta(1),
        )
        for place in ({"call_id": call_id}, {"origin": "process-1"}):
            care.snooze(make_alarm("dead_air", **place), olga, until)
            make_alarm("dead_air", **place)
        self.assertEqual(self.run_job(), [])
        make_alarm("dead_air", origin="process-2")
        (sent,) = self.run_job()
        self.assertEqual(str(sent.body).count("- since"), 1)

    def test_are_not_sent_of_the_past_after_an_upgrade(self) -> None:
        make_alarm(raised_at=timezone.now() - mail.MAX_AGE - timedelta(minutes=1))
        self.assertEqual(self.run_job(), [])

    def test_that_fail_are_sent_again_later(self) -> None:
        make_alarm()
        broken = patch.object(EmailMessage, "send", side_effect=SMTPServerDisconnected("olga@x.y"))
        with broken, self.assertLogs(mail.__name__, "WARNING") as logged:
            self.assertEqual(self.run_job(), [])
        self.assertNotIn("olga@x.y", logged.output[0])
        self.assertEqual(self.run_job(), [], "not at once")
        pass_time(minutes=3)
        self.assertEqual(len(self.run_job()), 1)

    def test_keep_no_connection_of_the_database_meanwhile(self) -> None:
        make_alarm()
        steps: list[str] = []
        closing = patch.object(connections, "close_all", lambda: steps.append("closed"))
        with closing, patch.object(EmailMessage, "send", lambda _self: steps.append("sent")):
            self.run_job()
        self.assertEqual(steps, ["closed", "sent", "closed"])

    def test_do_not_delay_the_worker_when_the_server_hangs(self) -> None:
        make_alarm()
        released = threading.Event()
        self.addCleanup(released.set)

        def hang(*_arguments: Any) -> int:
            return int(released.wait(20))

        with patch.object(EmailMessage, "send", hang):
            mailer, began = Mailer(), time.monotonic()
            mailer.run(threading.Event())
            mailer.run(threading.Event())
            self.assertLess(time.monotonic() - began, 1)
            self.assertFalse(mailer.wait(0.2))
            self.assertEqual(self.run_job(), [], "another process sends no second one")
            released.set()
            self.assertTrue(mailer.wait(20))
        self.assertEqual(RaisedAlarm.objects.exclude(mailed_at=None).count(), 1)

    @override_settings(ALARM_MAIL_CRITICAL=[], ALARM_MAIL_MAJOR=[])
    def test_without_addresses_there_is_no_mail_and_no_thread(self) -> None:
        make_alarm()
        mailer = Mailer()
        mailer.run(threading.Event())
        self.assertIsNone(mailer._thread)
        self.assertTrue(mailer.wait(0))
