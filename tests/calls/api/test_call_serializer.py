"""The JSON representation of a call: `CallSerializer` over `CallQuerySet.for_rest`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import TestCase

from calls.models import Call
from calls.serializers import CallSerializer
from tests.calls.rows import (
    ALICE,
    BOB,
    START,
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    noise,
    place,
)

LATER = START + timedelta(hours=1)


def serialized(call: Call) -> dict[str, Any]:
    return dict(CallSerializer(Call.objects.for_rest(LATER).get(pk=call.pk)).data)


class CallSerializerTests(TestCase):
    def test_a_call_without_audio_has_no_zero_and_no_length(self) -> None:
        call = make_call("abc", correlation_id="def")
        make_subscription(call)
        data = serialized(call)
        self.assertEqual(data["call_connection_id"], "abc")
        self.assertEqual(data["correlation_id"], "def")
        self.assertEqual(data["started_at"], "2026-03-02T09:30:00Z")
        self.assertEqual(data["ended_at"], "2026-03-02T09:31:00Z")
        self.assertEqual(data["state"], "ended")
        self.assertIsNone(data["audio_started_at"])
        self.assertEqual(data["duration_seconds"], 0.0)
        self.assertEqual(data["participants"], [])

    def test_participants_are_in_the_order_of_first_speech_with_their_lengths(self) -> None:
        call, alice, bob = make_conversation()
        silent = make_participant(call, "4:anonymous")
        make_gap(bob, at=0.25, seconds=0.5)
        data = serialized(call)
        self.assertEqual(
            [row["id"] for row in data["participants"]],
            [str(alice.id), str(bob.id), str(silent.id)],
        )
        self.assertEqual([row["recorded_seconds"] for row in data["participants"]], [2.0, 2.0, 0.0])
        self.assertEqual([row["gap_seconds"] for row in data["participants"]], [0.0, 0.5, 0.0])
        self.assertEqual(
            [row["raw_id"] for row in data["participants"]], [ALICE, BOB, "4:anonymous"]
        )
        self.assertEqual(
            [row["label"] for row in data["participants"]][::2], ["+15551234567", "Withheld number"]
        )
        self.assertEqual(data["audio_started_at"], "2026-03-02T09:30:00Z")
        self.assertEqual(data["duration_seconds"], 3.0)

    def test_the_length_is_exact_to_the_sample_wherever_the_call_starts(self) -> None:
        call = make_call()
        alice = make_participant(call)
        make_segment(alice, start_sample=place(0.0) + 1, samples=noise(0.5)[:4_999])
        self.assertEqual(serialized(call)["duration_seconds"], round(4_999 / 16_000, 6))

    def test_a_socket_shows_its_metadata_and_counters(self) -> None:
        call = make_call()
        make_subscription(
            call,
            subscription_id="s-1",
            length=100.5,
            close_code=None,
            audio=7,
            dtmf=6,
            unknown=5,
            malformed=4,
            odd_timestamp=3,
        )
        (row,) = serialized(call)["subscriptions"]
        self.assertEqual(row["subscription_id"], "s-1")
        self.assertEqual(row["length"], 100.5)
        self.assertIsNone(row["close_code"])
        counts = {"audio": 7, "dtmf": 6, "unknown": 5, "malformed": 4, "duplicate": 0, "late": 0}
        counts["odd_timestamp"] = 3
        self.assertEqual(row["counts"], counts)
        self.assertEqual(serialized(call)["state"], "interrupted")

    def test_the_number_of_queries_does_not_grow_with_the_calls(self) -> None:
        for _ in range(5):
            make_conversation()
        with self.assertNumQueries(3):
            rows = CallSerializer(Call.objects.for_rest(LATER), many=True).data
            self.assertEqual([row["duration_seconds"] for row in rows], [3.0] * 5)
