"""The events of a call in REST: ledger and events of ACS as one list."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import TestCase
from django.utils import timezone

from calls.coverage.history import causes
from calls.export import manifest
from calls.models import CallEvent, LedgerEntry
from tests.calls.rows import ALICE, BOB, START, make_call, make_gap, make_participant, url_of
from tests.people import person

CONNECTION = "411f0b00-1"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_event(name: str, seconds: float, sequence: int | None = None, **data: Any) -> CallEvent:
    return CallEvent.objects.create(
        id=uuid4(),
        source="callback",
        event_id=str(uuid4()),
        type=name,
        call_connection_id=CONNECTION,
        occurred_at=at(seconds),
        received_at=timezone.now(),
        sequence_number=sequence,
        data=data,
    )


def make_streaming(name: str, seconds: float, details: str) -> CallEvent:
    update = {"contentType": "Audio", "mediaStreamingStatusDetails": details}
    return make_event(f"MediaStreaming{name}", seconds, mediaStreamingUpdate=update)


def listed(raw_id: str, **states: bool) -> dict[str, Any]:
    return {"identifier": {"rawId": raw_id}, "isMuted": False, "isOnHold": False, **states}


class CallEventsTestCase(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("ada", "view_call"))
        self.call = make_call(CONNECTION)
        self.alice = make_participant(self.call, ALICE)
        self.address = url_of(self.call, "events/")

    def events(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.client.get(self.address, query)
        self.assertEqual(answer.status_code, 200, answer.content)
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def lines(self, **query: Any) -> list[tuple[str, str, float]]:
        return [
            (
                one["kind"],
                one["reason"],
                (datetime.fromisoformat(one["started_at"]) - START).total_seconds(),
            )
            for one in self.events(**query)
        ]

    def entry(self, kind: str, seconds: float, **values: Any) -> LedgerEntry:
        return LedgerEntry.objects.create(
            call=self.call, kind=kind, started_at=at(seconds), **values
        )


class Events(CallEventsTestCase):
    def test_of_both_witnesses_are_one_list_in_order_of_time(self) -> None:
        make_event("CallConnected", 0)
        make_event("ParticipantsUpdated", 1, 1, participants=[listed(ALICE), listed(BOB)])
        self.entry("dtmf", 2, detail={"tone": "3"})
        make_event(
            "ParticipantsUpdated", 3, 2, participants=[listed(ALICE, isMuted=True), listed(BOB)]
        )
        make_gap(self.alice, at=3.5, seconds=4.0)
        make_event("ParticipantsUpdated", 8, 3, participants=[listed(ALICE, isOnHold=True)])
        make_event("CallTransferFailed", 9, resultInformation={"code": 500, "subCode": 1})
        make_event("CallDisconnected", 10)
        lines = [line for line in self.lines() if line[0] != "joined"]
        self.assertEqual([line[2] for line in lines], [2.0, 3.0, 3.5, 8.0, 8.0, 9.0, 10.0])
        self.assertCountEqual(
            lines,
            [
                ("dtmf", "", 2.0),
                ("mute", "", 3.0),
                ("gap", "not_received", 3.5),
                ("hold", "", 8.0),
                ("left", "", 8.0),
                ("acs_event", "CallTransferFailed", 9.0),
                ("left", "", 10.0),
            ],
        )
        self.assertEqual(self.lines(kind="joined"), [("joined", "", 1.0)] * 2)

    def test_keep_their_ids_when_an_earlier_one_comes_late(self) -> None:
        make_event("CallTransferFailed", 9, resultInformation={"code": 500, "subCode": 1})
        make_event("CallTransferFailed", 9, resultInformation={"code": 500, "subCode": 1, "x": 1})
        before = {one["id"] for one in self.events(kind="acs_event")}
        make_event("CallTransferFailed", 3, resultInformation={"code": 500, "subCode": 1})
        after = [one["id"] for one in self.events(kind="acs_event")]
        self.assertEqual((len(before), len(set(after))), (2, 3))
        self.assertEqual(before, set(after[1:]))

    def test_have_the_members_that_the_documentation_names(self) -> None:
        make_event("ParticipantsUpdated", 1, 1, participants=[listed(ALICE, isMuted=True)])
        make_event("ParticipantsUpdated", 5, 2, participants=[listed(ALICE), listed(BOB)])
        [mute] = self.events(kind="mute")
        self.assertEqual(
            {name: value for name, value in mute.items() if name != "id"},
            {
                "kind": "mute",
                "reason": "",
                "text": "Muted",
                "participant": str(self.alice.id),
                "started_at": "2026-03-02T09:30:01Z",
                "ended_at": "2026-03-02T09:30:05Z",
                "detail": {"raw_id": ALICE, "display_name": ""},
            },
        )
        self.assertEqual(self.events(kind="mute")[0]["id"], mute["id"])
        bob = self.events(kind="joined")[1]
        self.assertEqual((bob["participant"], bob["detail"]["raw_id"]), (None, BOB))

    def test_a_gap_has_the_cause_that_acs_gives(self) -> None:
        make_streaming("Started", 0, "subscriptionStarted")
        make_streaming("Failed", 10, "StreamConnectionInterrupted")
        make_streaming("Started", 15, "streamConnectionReestablished")
        make_gap(self.alice, at=10, seconds=5, reason="not_connected")
        make_gap(self.alice, at=30, seconds=5)
        first, second = self.events(kind="gap")
        self.assertEqual(first["detail"], {"cause": "streamConnectionInterrupted"})
        self.assertIn("ACS lost its connection", first["text"])
        self.assertEqual(second["detail"], {})
        [interruption] = self.events(kind="not_streamed")
        self.assertEqual(interruption["reason"], "streamConnectionInterrupted")
        self.assertEqual(interruption["ended_at"], "2026-03-02T09:30:15Z")

    def test_the_page_and_the_manifest_say_it_too(self) -> None:
        make_streaming("Failed", 10, "serviceShutdown")
        make_gap(self.alice, at=10, seconds=5)
        make_gap(self.alice, at=1, seconds=1)
        words = "not received (a service of ACS shut down)"
        self.assertContains(self.client.get(f"/calls/{self.call.pk}/"), words)
        call = {"participants": [{"id": str(self.alice.id)}]}
        cause = causes(CONNECTION, self.call.correlation_id)
        document = json.loads(b"".join(manifest.chunks(call, None, START, cause)))
        without, with_cause = document["tracks"][0]["gaps"]
        self.assertEqual(with_cause["cause"], "serviceShutdown")
        self.assertEqual(with_cause["text"], f"Audio missing: {words}")
        self.assertEqual(with_cause["reason"], "not_received")
        self.assertEqual((without["cause"], without["text"]), (None, "Audio missing: not received"))

    def test_streaming_that_was_stopped_on_request_is_a_pause(self) -> None:
        make_streaming("Started", 0, "subscriptionStarted")
        make_streaming("Stopped", 10, "subscriptionStopped")
        self.assertEqual(self.lines(kind="pause"), [("pause", "subscriptionStopped", 10.0)])
        self.assertEqual(self.lines(kind="not_streamed"), [])

    def test_are_filtered_by_kind(self) -> None:
        make_gap(self.alice, at=1, seconds=1)
        self.entry("alarm", 2, reason="dead_air")
        self.entry("listening", 3, detail={"user": "bob"}, ended_at=at(4))
        kinds = [line[0] for line in self.lines(kind="gap,listening")]
        self.assertEqual(kinds, ["gap", "listening"])
        for value in ("gaps", "", "gap,", "gap,x", "\x00"):
            with self.subTest(value):
                answer = self.client.get(self.address, {"kind": value})
                self.assertEqual(answer.status_code, 400)
                self.assertEqual(list(answer.json()), ["kind"])

    def test_a_continued_call_has_the_events_of_its_own_time(self) -> None:
        later = make_call(started_at=at(100), continuation=1, continued_from_id=self.call.pk)
        self.call.continued_in_id = later.pk
        self.call.save()
        type(later).objects.filter(pk=later.pk).update(call_connection_id=CONNECTION)
        make_event("CallTransferFailed", 50)
        make_event("CallTransferFailed", 150)
        self.assertEqual([line[2] for line in self.lines()], [50.0])
        self.address = url_of(later, "events/")
        self.assertEqual([line[2] for line in self.lines()], [150.0])

    def test_a_call_that_does_not_exist_is_not_found(self) -> None:
        self.assertEqual(self.client.get(url_of(uuid4(), "events/")).status_code, 404)

    def test_unknown_parameters_are_named(self) -> None:
        answer = self.client.get(self.address, {"kinds": "gap"})
        self.assertEqual((answer.status_code, list(answer.json())), (400, ["kinds"]))


class Pages(CallEventsTestCase):
    def setUp(self) -> None:
        super().setUp()
        for second in range(10):
            self.entry("dtmf", second // 3, detail={"tone": str(second)})
            make_event("CallTransferFailed", second // 3, operationContext=str(second))
        self.every = [one["id"] for one in self.events()]

    def test_lead_forth_and_back_over_both_witnesses(self) -> None:
        self.assertEqual(len(set(self.every)), 20)
        for size in (1, 3, 7, 20):
            with self.subTest(size=size):
                forth = self.follow(f"{self.address}?page_size={size}", "next")
                self.assertEqual([pk for page in forth for pk in page], self.every)
                back = self.follow(self.last, "previous")
                self.assertEqual([pk for page in reversed(back) for pk in page], self.every)

    def test_repeat_and_skip_nothing_while_events_are_added(self) -> None:
        first = self.client.get(self.address, {"page_size": 9}).json()
        self.entry("dtmf", 0, detail={"tone": "new"})
        self.entry("dtmf", 99, detail={"tone": "last"})
        rest = self.follow(first["next"], "next")
        ids = [one["id"] for one in first["results"]] + [pk for page in rest for pk in page]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertLessEqual(set(self.every), set(ids))

    def test_odd_cursors_are_named(self) -> None:
        far = ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "2026-03-02T09:30:00"]
        cursors = [json.dumps([False, moment, str(uuid4())]) for moment in far]
        cursors += ["[]", "{}", "1", "null", "[" * 9_999, "[1, 2, 3]", '[true, "x", "y"]']
        for text in [*(urlsafe_b64encode(one.encode()).decode() for one in cursors), "%", "é", ""]:
            with self.subTest(text[:30]):
                answer = self.client.get(self.address, {"cursor": text})
                self.assertEqual((answer.status_code, list(answer.json())), (400, ["cursor"]))

    def test_cost_the_same_for_any_number_of_entries(self) -> None:
        with self.assertNumQueries(10):
            self.client.get(self.address, {"page_size": 2})

    def follow(self, address: str, link: str) -> list[list[str]]:
        pages = []
        following: str | None = address
        while following:
            self.last = following
            answer = self.client.get(following).json()
            pages.append([one["id"] for one in answer["results"]])
            following = answer[link]
        return pages
