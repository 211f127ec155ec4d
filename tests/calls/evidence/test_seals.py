"""Seals of calls: signed when all is there, and again when something changes."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from threading import Event
from unittest.mock import patch
from uuid import uuid4

from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings
from django.utils import timezone
from structlog.testing import capture_logs

from calls.coverage.due import CallKey, mark
from calls.coverage.job.runner import judge
from calls.evidence import keys, seals
from calls.evidence.loading import leaves_of
from calls.evidence.tree import root_of
from calls.identity import CANARY_PREFIX
from calls.models import Call, CallCoverage, CallSeal, CallSealDue, FailedJournal, LedgerEntry
from tests.calls.rows import (
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    noise,
)

PEM, OTHER = keys.new_key(), keys.new_key()


def versions(call: Call) -> list[CallSeal]:
    return list(CallSeal.objects.filter(call_id=call.pk))


@override_settings(EVIDENCE_KEY=PEM)
class Sealing(TestCase):
    def setUp(self) -> None:
        self.call, self.alice, self.bob = make_conversation()

    def sealed(self) -> CallSeal:
        found = seals.seal(self.call.pk)
        assert found, "the call exists"
        return found

    def test_the_root_is_that_of_all_leaves_and_is_signed(self) -> None:
        make_gap(self.alice, at=2.0, seconds=1.0)
        one, lines = self.sealed(), list(leaves_of(self.call).lines())
        self.assertEqual(one.root, root_of(lines).hex())
        self.assertEqual((one.version, one.leaf_count), (1, 6))
        said = json.loads(one.statement)
        self.assertEqual((said["root"], said["leaves"]), (one.root, 6))
        self.assertEqual(said["call"], str(self.call.pk))
        signed = keys.signed_bytes("call 1", one.statement.encode())
        public = keys.public_key_of(PEM)
        self.assertTrue(public.verifies(bytes.fromhex(one.signature), signed))
        self.assertEqual(one.key_id, public.key_id)

    def test_sealing_again_changes_nothing(self) -> None:
        one = self.sealed()
        self.assertEqual(self.sealed().pk, one.pk)
        with override_settings(EVIDENCE_KEY=OTHER):  # the former signature still counts
            self.assertEqual(self.sealed().pk, one.pk)

    def test_late_audio_makes_a_version_that_names_the_former_one(self) -> None:
        one = self.sealed()
        make_segment(self.bob, at=5.0, samples=noise(1.0, seed=9))
        two = self.sealed()
        self.assertEqual((two.version, len(versions(self.call))), (2, 2))
        self.assertNotEqual(two.root, one.root)
        self.assertEqual(two.predecessor, sha256(one.statement.encode()).hexdigest())
        self.assertEqual(json.loads(two.statement)["predecessor"], two.predecessor)

    def test_every_change_of_the_rows_changes_the_root(self) -> None:
        gap = make_gap(self.alice, at=2.0, seconds=1.0)
        roots = [self.sealed().root]
        LedgerEntry.objects.filter(pk=gap.pk).update(reason="late")
        roots.append(self.sealed().root)
        LedgerEntry.objects.create(
            call=self.call,
            kind="pause",
            reason="card number",
            started_at=gap.started_at,
            ended_at=gap.ended_at,
        )
        roots.append(self.sealed().root)
        self.alice.segments.order_by("start_sample")[0].delete()
        roots.append(self.sealed().root)
        self.bob.delete()
        roots.append(self.sealed().root)
        self.assertEqual(len(set(roots)), 5)
        self.assertEqual(len(versions(self.call)), 5)

    def test_other_facts_change_nothing(self) -> None:
        one = self.sealed()
        type(self.alice).objects.filter(pk=self.alice.pk).update(display_name="Alice")
        LedgerEntry.objects.create(
            call=self.call, kind="listening", started_at=self.call.started_at
        )
        self.assertEqual(self.sealed().pk, one.pk)

    def test_without_a_key_it_is_unsigned_and_signed_later(self) -> None:
        with override_settings(EVIDENCE_KEY=""):
            one = self.sealed()
            self.assertEqual((one.signature, one.key_id), ("", ""))
            self.assertEqual(self.sealed().pk, one.pk)
        two = self.sealed()
        self.assertEqual((two.version, two.root), (2, one.root))
        self.assertTrue(two.signature)

    def test_a_live_call_is_not_sealed(self) -> None:
        now = timezone.now()
        socket = make_subscription(
            self.call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        with self.assertRaises(seals.Incomplete):
            self.sealed()
        socket.seen_at = now - timedelta(days=2)  # its host is lost
        socket.save()
        first = json.loads(next(leaves_of(self.call).lines()))
        self.assertEqual((first["sockets"], first["open_sockets"]), (2, 1))
        self.assertEqual(self.sealed().version, 1)

    def test_a_call_with_a_failed_journal_is_not_sealed(self) -> None:
        stream = self.call.subscriptions.get().stream_id
        now = timezone.now()
        FailedJournal.objects.create(
            id=uuid4(),
            process=uuid4(),
            name=f"{stream}.0",
            tries=1,
            is_set_aside=True,
            failed_at=now,
            seen_at=now,
        )
        with self.assertRaises(seals.Incomplete):
            self.sealed()

    def test_a_call_that_does_not_exist_has_no_seal(self) -> None:
        self.assertIsNone(seals.seal(uuid4()))


@override_settings(EVIDENCE_KEY=PEM)
class Job(TestCase):
    def setUp(self) -> None:
        self.call, self.alice, _bob = make_conversation()

    def test_marked_calls_are_sealed_once(self) -> None:
        CallSealDue.objects.mark([self.call.pk])
        self.assertTrue(seals.is_due())
        seals.run(Event())
        self.assertFalse(seals.is_due())
        CallSealDue.objects.mark([self.call.pk])
        seals.run(Event())
        self.assertEqual(len(versions(self.call)), 1)

    def test_a_mark_beside_the_job_is_not_lost(self) -> None:
        CallSealDue.objects.mark([self.call.pk])

        def seal_and_mark(call_id: object) -> None:
            CallSealDue.objects.update(due_at=timezone.now() - timedelta(seconds=1))

        with patch.object(seals, "seal", seal_and_mark):
            seals.run(Event())
        self.assertTrue(seals.is_due())

    def test_incomplete_and_faulty_calls_are_tried_later(self) -> None:
        for error, events in ((seals.Incomplete, []), (ValueError, ["evidence not signed"])):
            CallSealDue.objects.mark([self.call.pk])
            with patch.object(seals, "seal", side_effect=error), capture_logs() as logs:
                seals.run(Event())
            self.assertEqual([one["event"] for one in logs], events)
            self.assertFalse(seals.is_due())
            due_at = CallSealDue.objects.get().due_at
            assert due_at, "it is tried again"
            self.assertGreater(due_at, timezone.now())

    def test_a_stopping_process_begins_nothing(self) -> None:
        CallSealDue.objects.mark([self.call.pk])
        stopping = Event()
        stopping.set()
        seals.run(stopping)
        self.assertEqual(versions(self.call), [])

    def test_a_judged_call_is_marked(self) -> None:
        call = self.call
        key = CallKey(call.call_connection_id, call.correlation_id, call.started_at, call.pk)
        mark([key])
        CallCoverage.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        judge(key.coverage_id, timezone.now())
        self.assertEqual(CallSealDue.objects.get().call_id, call.pk)


@override_settings(EVIDENCE_KEY=PEM)
class Command(TestCase):
    def run_command(self, *arguments: str) -> str:
        out = StringIO()
        call_command("seal_calls", *arguments, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_all_complete_calls_are_sealed_and_no_others(self) -> None:
        made = [make_conversation()[0] for _ in range(5)]
        live, now = make_call(), timezone.now()
        make_subscription(
            live, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        canary = make_call(f"{CANARY_PREFIX}1")
        make_participant(canary)
        with patch("calls.management.commands.seal_calls.BATCH", 2):
            self.assertIn("5 calls sealed, 1 not complete yet", self.run_command())
        self.assertEqual([len(versions(call)) for call in made], [1] * 5)
        self.assertEqual(versions(live) + versions(canary), [])

    def test_an_interrupted_run_goes_on(self) -> None:
        for _ in range(2):
            make_conversation()
        first = Call.objects.order_by("started_at", "pk")[0]
        seals.seal(first.pk)
        self.assertIn("1 calls sealed", self.run_command())
        self.assertIn("0 calls sealed", self.run_command())

    def test_all_finds_calls_that_have_changed(self) -> None:
        call, alice, _bob = make_conversation()
        self.run_command()
        make_segment(alice, at=7.0)
        self.run_command()
        self.assertEqual(len(versions(call)), 1)
        self.run_command("--all")
        self.assertEqual(len(versions(call)), 2)

    @override_settings(EVIDENCE_KEY="wrong")
    def test_a_wrong_key_is_said(self) -> None:
        make_conversation()
        with self.assertRaisesMessage(CommandError, "EVIDENCE_KEY"):
            self.run_command()
