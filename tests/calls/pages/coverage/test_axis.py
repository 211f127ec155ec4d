"""Witnesses, states and marks on the time axis of a recorded call, and its panel "Coverage"."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from calls.models import Call, FormerVerdict
from calls.pages.coverage import axis
from tests.calls.pages.coverage.examples import make_coverage
from tests.calls.pages.coverage.test_call import make_event, seconds
from tests.calls.rows import (
    ALICE,
    BOB,
    START,
    make_call,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    tone,
)
from tests.people import person


class OnTheAxis(TestCase):
    """A call of ten seconds; Alice is muted from 2 to 5, Bob comes at 1 and leaves at 8."""

    def setUp(self) -> None:
        self.client.force_login(person("operator"))
        self.call = make_call()
        make_subscription(self.call)
        for raw_id in (ALICE, BOB):
            make_segment(make_participant(self.call, raw_id), at=0.0, samples=tone(10.0))
        self.event("CallConnected", -1)
        self.update(0, [ALICE])
        self.update(1, [ALICE, BOB])
        self.update(2, [ALICE, BOB], muted=ALICE)
        self.update(5, [ALICE, BOB], held=BOB)
        self.update(8, [ALICE])
        self.event("CallTransferAccepted", 9)
        self.event("CallDisconnected", 12)

    def event(self, kind: str, at: float, **data: Any) -> None:
        make_event(self.call.call_connection_id, kind, at, **data)

    def update(self, at: float, who: list[str], *, muted: str = "", held: str = "") -> None:
        participants = [
            {
                "identifier": {"rawId": raw_id},
                "displayName": "Ada" if raw_id == ALICE else "",
                "isMuted": raw_id == muted,
                "isOnHold": raw_id == held,
            }
            for raw_id in who
        ]
        self.event("ParticipantsUpdated", at, participants=participants, sequenceNumber=int(at))

    def timeline(self) -> Any:
        return self.client.get(f"/calls/{self.call.pk}/timeline").json()

    def words(self) -> str:
        page = self.client.get(f"/calls/{self.call.pk}/").content.decode()
        return " ".join(strip_tags(page).split())

    def test_witnesses_have_lanes_with_their_times(self) -> None:
        events, sockets = self.timeline()["witnesses"]
        self.assertEqual((events["kind"], events["start"], events["end"]), ("events", -1.0, 12.0))
        self.assertEqual(events["participants"], 2)
        self.assertEqual((sockets["kind"], sockets["start"], sockets["end"]), ("sockets", 0, 60))
        self.assertEqual(sockets["spans"][0]["label"], "Socket, closed normally")

    def test_tracks_have_the_times_in_which_somebody_was_muted_or_on_hold(self) -> None:
        states = {track["raw_id"]: track["states"] for track in self.timeline()["tracks"]}
        muted = {"kind": "mute", "label": "muted", "start": 2.0, "end": 5.0}
        self.assertEqual(states[ALICE], [muted])
        held = {"kind": "hold", "label": "on hold", "start": 5.0, "end": 8.0}
        self.assertEqual(states[BOB], [held])

    def test_marks_are_in_order_and_nobody_leaves_at_the_end_of_the_call(self) -> None:
        marks = [(mark["kind"], mark["at"], mark["end"]) for mark in self.timeline()["marks"]]
        self.assertEqual(
            marks,
            [
                ("joined", 0.0, None),
                ("joined", 1.0, None),
                ("mute", 2.0, 5.0),
                ("hold", 5.0, 8.0),
                ("left", 8.0, None),
                ("acs_event", 9.0, None),
            ],
        )
        first = self.timeline()["marks"][0]
        self.assertEqual(first["label"], "Joined · Ada")
        tracks = {track["raw_id"]: track["participant"] for track in self.timeline()["tracks"]}
        self.assertEqual(first["participant"], tracks[ALICE])

    def test_the_events_of_acs_are_read_once_for_each_address(self) -> None:
        make_gap(self.call.participants.get(raw_id=ALICE), at=2.0, seconds=3.0)
        for address in ("", "timeline"):
            with self.subTest(address), CaptureQueriesContext(connection) as found:
                self.client.get(f"/calls/{self.call.pk}/{address}")
            reads = [each["sql"].startswith('SELECT "calls_callevent"') for each in found]
            self.assertEqual(sum(reads), 1)

    def test_marks_are_bounded(self) -> None:
        with patch.object(axis, "MAX_MARKS", 3):
            timeline = self.timeline()
        self.assertEqual((len(timeline["marks"]), timeline["has_more_marks"]), (3, True))

    def test_events_list_them_as_text(self) -> None:
        words = self.words()
        for text in ("Muted · Ada 0:03", "Call transferred", "Left · ACS user"):
            with self.subTest(text):
                self.assertIn(text, words)

    def test_the_panel_has_verdict_witnesses_and_former_verdicts(self) -> None:
        self.assertIn("Coverage Not judged yet. Witness From To Participants", self.words())
        row = make_coverage(
            START,
            "partial",
            ("streamConnectionInterrupted", 2.0, 5.0),
            call=self.call,
            participants_expected=3,
            participants_recorded=2,
            more_than_four=True,
        )
        FormerVerdict.objects.create(
            coverage=row,
            verdict="complete",
            expected_seconds=10,
            recorded_seconds=10,
            missing_seconds=0,
            judged_at=START,
            replaced_at=START + seconds(60),
        )
        words = self.words()
        for text in (
            "Partly recorded 1 min 35 s of 1 min 40 s recorded",
            "5 s missing: ACS lost its connection",
            "2 of 3 participants recorded",
            "a voice may be missing by design",
            "1 former verdict Complete from",
            "Events of ACS 09:29:59 UTC 09:30:12 UTC 2",
            "Our sockets 09:30:00 UTC 09:31:00 UTC 2",
        ):
            with self.subTest(text):
                self.assertIn(text, words)

    def test_a_live_call_has_open_spans(self) -> None:
        call = make_call()
        make_subscription(call, disconnected_at=None, close_code=None)
        make_event(call.call_connection_id, "CallConnected", 0)
        timeline = self.client.get(f"/calls/{call.pk}/timeline").json()
        self.assertEqual([each["end"] for each in timeline["witnesses"]], [None, None])

    def test_times_without_streaming_are_marks_with_their_reason(self) -> None:
        self.event("MediaStreamingStarted", 0)
        for at, detail in ((3, "streamConnectionInterrupted"), (6, "subscriptionStopped")):
            update = {"mediaStreamingStatusDetails": detail}
            kind = "MediaStreamingStopped" if at == 6 else "MediaStreamingFailed"
            self.event(kind, at, mediaStreamingUpdate=update)
        marks = {mark["kind"]: mark for mark in self.timeline()["marks"]}
        self.assertEqual(marks["not_streamed"]["label"], "ACS lost its connection")
        self.assertEqual((marks["not_streamed"]["at"], marks["not_streamed"]["end"]), (3.0, 6.0))
        self.assertEqual(marks["pause"]["at"], 6.0)

    def test_a_continued_call_has_the_events_of_its_own_time(self) -> None:
        later = make_call(self.call.call_connection_id + "-later", started_at=START + seconds(4))
        Call.objects.filter(pk=later.pk).update(
            call_connection_id=self.call.call_connection_id, continued_from_id=self.call.pk
        )
        make_subscription(self.call, disconnected_at=START + seconds(4))
        Call.objects.filter(pk=self.call.pk).update(continued_in_id=later.pk)
        marks = self.client.get(f"/calls/{later.pk}/timeline").json()["marks"]
        self.assertEqual([mark["kind"] for mark in marks], ["hold", "left", "acs_event"])
