"""The form of a call: what `CallSerializer` says of what `for_rest` brings."""

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
    noise,
    place,
)
from tests.calls.rows import make_subscription as open_socket

LATER = START + timedelta(hours=1)


def form_of(call: Call) -> dict[str, Any]:
    return dict(CallSerializer(Call.objects.for_rest(LATER).get(pk=call.pk)).data)


class FormOfACallTests(TestCase):
    def test_a_call_without_audio_has_no_zero_and_no_length(self) -> None:
        call = make_call("abc", correlation_id="def")
        open_socket(call)
        form = form_of(call)
        self.assertEqual(form["call_connection_id"], "abc")
        self.assertEqual(form["correlation_id"], "def")
        self.assertEqual(form["started_at"], "2026-03-02T09:30:00Z")
        self.assertEqual(form["ended_at"], "2026-03-02T09:31:00Z")
        self.assertEqual(form["state"], "ended")
        self.assertIsNone(form["audio_started_at"])
        self.assertEqual(form["duration_seconds"], 0.0)
        self.assertEqual(form["participants"], [])

    def test_participants_come_in_order_of_being_heard_with_their_lengths(self) -> None:
        call, alice, bob = make_conversation()
        silent = make_participant(call, "4:anonymous")
        make_gap(bob, at=0.25, seconds=0.5)
        form = form_of(call)
        self.assertEqual(
            [row["id"] for row in form["participants"]],
            [str(alice.id), str(bob.id), str(silent.id)],
        )
        self.assertEqual([row["recorded_seconds"] for row in form["participants"]], [2.0, 2.0, 0.0])
        self.assertEqual([row["gap_seconds"] for row in form["participants"]], [0.0, 0.5, 0.0])
        self.assertEqual(
            [row["raw_id"] for row in form["participants"]], [ALICE, BOB, "4:anonymous"]
        )
        self.assertEqual(
            [row["label"] for row in form["participants"]][::2], ["+15551234567", "Withheld number"]
        )
        self.assertEqual(form["audio_started_at"], "2026-03-02T09:30:00Z")
        self.assertEqual(form["duration_seconds"], 3.0)

    def test_the_length_is_exact_to_the_sample_wherever_the_call_lies(self) -> None:
        call = make_call()
        alice = make_participant(call)
        make_segment(alice, start_sample=place(0.0) + 1, samples=noise(0.5)[:4_999])
        self.assertEqual(form_of(call)["duration_seconds"], round(4_999 / 16_000, 6))

    def test_a_socket_shows_what_it_announced_and_what_was_counted(self) -> None:
        call = make_call()
        open_socket(
            call,
            subscription_id="s-1",
            length=100.5,
            close_code=None,
            audio=7,
            dtmf=6,
            unknown=5,
            malformed=4,
        )
        (row,) = form_of(call)["subscriptions"]
        self.assertEqual(row["subscription_id"], "s-1")
        self.assertEqual(row["length"], 100.5)
        self.assertIsNone(row["close_code"])
        counts = {"audio": 7, "dtmf": 6, "unknown": 5, "malformed": 4, "duplicate": 0, "late": 0}
        self.assertEqual(row["counts"], counts)
        self.assertEqual(form_of(call)["state"], "interrupted")

    def test_fifty_calls_cost_as_many_queries_as_one(self) -> None:
        for _ in range(5):
            make_conversation()
        with self.assertNumQueries(3):
            forms = CallSerializer(Call.objects.for_rest(LATER), many=True).data
            self.assertEqual([form["duration_seconds"] for form in forms], [3.0] * 5)
