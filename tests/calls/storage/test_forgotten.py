"""Nothing personal stays after a call is deleted: every text of every table is searched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from threading import Event as Stop
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from calls.coverage.job import runner
from calls.models import (
    CallCoverage,
    CallEvent,
    ExpectedCall,
    OutgoingEvent,
    RaisedAlarm,
    WebhookEndpoint,
    database_now,
)
from calls.notifications import call_events
from calls.storage import deletion
from streams.acs.webhooks.parsing import parse
from streams.acs.webhooks.storage import store
from tests.calls.rows import (
    make_call,
    make_gap,
    make_participant,
    make_refusal,
    make_segment,
    make_subscription,
)

NUMBER, NAME = "15550001111", "Alice Ångström"
RAW_ID = f"4:+{NUMBER}"
CONNECTION, CORRELATION, SERVER = "411f0b00-1", "8f3e", "aHR0cHM6"


def found(*wanted: str) -> Iterator[str]:
    """Yields `table.column` of every value that has one of these texts."""
    for model in apps.get_models():
        for values in model._default_manager.order_by().values():
            for column, value in values.items():
                is_text = isinstance(value, str)
                text = value if is_text else json.dumps(value, default=str, ensure_ascii=False)
                if any(one in text for one in wanted):
                    yield f"{model.__name__}.{column}"


@override_settings(COVERAGE_DELAY_SECONDS=0.0)
class Forgotten(TestCase):
    def setUp(self) -> None:
        self.boss = User.objects.create_superuser("boss", password="…")
        self.client.force_login(self.boss)
        WebhookEndpoint.objects.create(
            url="https://receiver.example/", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        )
        self.now = timezone.now().replace(microsecond=0) - timedelta(hours=1)
        self.call = make_call(CONNECTION, correlation_id=CORRELATION, started_at=self.now)
        make_subscription(self.call)
        self.alice = make_participant(self.call, RAW_ID)
        make_segment(self.alice)
        make_gap(self.alice, at=2.0, seconds=1.0)
        self._events()
        self._other_witnesses()
        self.name()

    def event(self, name: str, seconds: float, **data: Any) -> dict[str, Any]:
        return {
            "id": name,
            "source": f"calling/callConnections/{CONNECTION}",
            "type": f"Microsoft.Communication.{name}",
            "time": (self.now + timedelta(seconds=seconds)).isoformat(),
            "data": {"correlationId": CORRELATION, "serverCallId": SERVER, **data},
        }

    def _events(self) -> None:
        person = {"identifier": {"rawId": RAW_ID}, "displayName": NAME, "isMuted": True}
        callbacks = [
            self.event("CallConnected", 0),
            self.event("ParticipantsUpdated", 1, sequenceNumber=1, participants=[person]),
            self.event("AddParticipantSucceeded", 2, participant={"rawId": RAW_ID}),
            self.event("SomethingNew", 3, note=f"{NAME} {NUMBER}"),
            self.event("CallDisconnected", 4),
        ]
        sip = {"X-Caller": NUMBER}
        incoming = {
            "eventType": "Microsoft.Communication.IncomingCall",
            "eventTime": self.now.isoformat(),
            "id": "incoming",
            "topic": "t",
            "data": {
                "correlationId": CORRELATION,
                "from": {"rawId": RAW_ID, "phoneNumber": {"value": f"+{NUMBER}"}},
                "callerDisplayName": NAME,
                "customContext": {"sipHeaders": sip},
            },
        }
        ended = {**incoming, "eventType": "Microsoft.Communication.CallEnded", "id": "ended"}
        ended["data"] = {"serverCallId": SERVER, "startedBy": {"rawId": RAW_ID}}
        sources = CallEvent.Source
        for source, events in (
            (sources.CALLBACK, callbacks),
            (sources.EVENT_GRID, [incoming, ended]),
        ):
            store(source, parse(json.dumps(events).encode()).events, timezone.now())

    def _other_witnesses(self) -> None:
        make_refusal(call_connection_id=CONNECTION)
        end = self.now + timedelta(minutes=5)
        times = {"started_at": self.now, "ended_at": end, "received_at": timezone.now()}
        ids = {"call_connection_id": CONNECTION, "correlation_id": CORRELATION}
        ExpectedCall.objects.create(id=self.alice.id, source="pbx", **times, **ids)
        RaisedAlarm.objects.create(
            id=self.alice.id,
            name="dead_air",
            origin="process",
            call_id=self.call.pk,
            participant_id=self.alice.pk,
            raised_at=self.now,
            seen_at=self.now,
        )
        CallCoverage.objects.update(due_at=self.now)
        runner.run(Stop())
        self.assertTrue(CallCoverage.objects.exclude(judged_at=None).exists())
        call_events.add_ended(Stop())

    def name(self) -> None:
        page = reverse("admin:calls_participant_change", args=[self.alice.pk])
        self.assertEqual(self.client.post(page, {"display_name": NAME}).status_code, 302)

    def test_by_a_deletion(self) -> None:
        self.assertIn("Participant.raw_id", list(found(NUMBER)))
        self.assertIn("CallEvent.data", list(found(NUMBER)))
        self.assertTrue(OutgoingEvent.objects.exists())
        deletion.delete_call(self.call.pk, database_now())
        self.assertEqual(sorted(set(found(NUMBER, NAME))), [])
        self.assertTrue(CallCoverage.objects.exists(), "its verdict stays, in numbers")

    def test_by_a_deletion_in_the_admin(self) -> None:
        page = reverse("admin:calls_call_delete", args=[self.call.pk])
        self.assertEqual(self.client.post(page, {"post": "yes"}).status_code, 302)
        self.assertEqual(sorted(set(found(NUMBER, NAME))), [])

    def test_and_is_found_by_this_test_in_any_table(self) -> None:
        OutgoingEvent.objects.update(data={"deep": [{"number": f"+{NUMBER}"}]}, call_id=None)
        deletion.delete_call(self.call.pk, database_now())
        self.assertEqual(set(found(NUMBER)), {"OutgoingEvent.data"})
