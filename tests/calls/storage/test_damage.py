"""Ledger entries of damaged and missing audio."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock
from uuid import uuid4

from django.utils import timezone

from calls.export import manifest
from calls.models import Call, LedgerEntry
from calls.serializers import CallSerializer
from calls.storage import (
    audio_store,
    damage,
    integrity,
    read_object,
    write_object,
)
from calls.storage.integrity import Fault
from calls.wording import event_text
from tests.calls.rows import make_conversation
from tests.calls.storage.checked_call import IntegrityTestCase


class LedgerTests(IntegrityTestCase):
    def entries(self) -> list[tuple[str, str, Any]]:
        found = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.DAMAGE)
        return [(entry.reason, entry.detail["segment"], entry.participant_id) for entry in found]

    def test_a_finding_is_entered_once(self) -> None:
        segment = self.segments[0]
        audio_store().delete(segment.audio_name)
        for _ in range(2):
            self.check()
        self.assertEqual(
            self.entries(), [("audio_missing", str(segment.pk), segment.participant_id)]
        )

    def test_two_checks_at_once_make_one_entry(self) -> None:
        segment = self.segments[0]
        finding = integrity.Finding(Fault.AUDIO_MISSING, segment.audio_name, segment.pk)
        for _ in range(2):  # neither has seen the entry of the other
            with mock.patch.object(damage, "_present_entries", return_value={}):
                damage.record(integrity.Page("", 1, [finding]), timezone.now(), quick=False)
        self.assertEqual(len(self.entries()), 1)

    def test_an_entry_has_the_times_of_the_segment(self) -> None:
        self.damage(self.segments[0])
        self.check()
        entry = LedgerEntry.objects.get()
        where = (self.segments[0].started_at, self.segments[0].ended_at, self.call.pk)
        self.assertEqual((entry.started_at, entry.ended_at, entry.call_id), where)

    def test_the_manifest_lists_the_damage(self) -> None:
        self.damage(self.segments[0])
        self.check()
        expected = [(str(self.segments[0].pk), "audio_damaged")]
        self.assertEqual(self.damage_in_manifest(), expected)

    def test_an_entry_is_closed_when_a_check_finds_the_audio_again(self) -> None:
        segment = self.segments[0]
        content = read_object(segment.audio_name)
        audio_store().delete(segment.audio_name)
        self.check("--quick")
        self.assertEqual(LedgerEntry.objects.present_audio_faults().count(), 1)
        write_object(segment.audio_name, content)
        self.assertEqual(self.check("--quick")[2]["resolved"], 1)
        self.assertFalse(LedgerEntry.objects.present_audio_faults().exists())
        entry = LedgerEntry.objects.get()
        self.assertIn("resolved_at", entry.detail)
        self.assertEqual(
            event_text(entry.kind, entry.reason, entry.detail),
            "Stored audio was missing and has been found again",
        )
        self.assertEqual(self.damage_in_manifest(), [])

    def test_a_fault_that_returns_gets_another_entry(self) -> None:
        segment = self.segments[0]
        content = read_object(segment.audio_name)
        for _ in range(2):
            audio_store().delete(segment.audio_name)
            self.check()
            write_object(segment.audio_name, content)
            self.check()
        self.assertEqual(len(self.entries()), 2)
        self.assertFalse(LedgerEntry.objects.present_audio_faults().exists())

    def test_a_quick_check_does_not_close_damage_that_it_cannot_see(self) -> None:
        segment = self.segments[0]
        content = read_object(segment.audio_name)
        self.damage(segment)
        self.check()
        self.check("--quick")
        self.assertEqual(len(self.damage_in_manifest()), 1)
        write_object(segment.audio_name, content)
        self.check()
        self.assertEqual(self.damage_in_manifest(), [])

    def test_missing_audio_that_comes_back_damaged_is_only_damaged(self) -> None:
        segment = self.segments[0]
        content = read_object(segment.audio_name)
        audio_store().delete(segment.audio_name)
        self.check()
        write_object(segment.audio_name, content)
        self.damage(segment)
        self.check()
        self.assertEqual([reason for _, reason in self.damage_in_manifest()], ["audio_damaged"])

    def test_an_entry_is_closed_when_its_segment_has_been_replaced(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        self.check()
        self.segments[0].delete()
        self.assertEqual(self.check()[2]["resolved"], 1)
        self.assertEqual(self.damage_in_manifest(), [])

    def test_a_check_of_another_call_closes_nothing(self) -> None:
        audio_store().delete(self.segments[0].audio_name)
        self.check()
        self.segments[0].delete()
        other, *_ = make_conversation()
        self.assertEqual(self.check("--call", str(other.pk))[2]["resolved"], 0)
        self.assertEqual(self.check("--call", str(self.call.pk))[2]["resolved"], 1)

    def damage_in_manifest(self) -> list[tuple[str, str]]:
        text = b"".join(
            manifest.chunks(
                CallSerializer(self.for_rest()).data, None, timezone.now(), lambda *_times: ""
            )
        )
        damage = [entry for track in json.loads(text)["tracks"] for entry in track["damage"]]
        return [(entry["segment"], entry["reason"]) for entry in damage]

    def for_rest(self) -> Call:
        call: Call = Call.objects.for_rest(timezone.now()).get(pk=self.call.pk)
        return call

    def test_orphans_are_not_entered(self) -> None:
        self.orphan()
        self.check()
        self.assertEqual(self.entries(), [])

    def test_a_deleted_call_gets_no_entry(self) -> None:
        finding = integrity.Finding(Fault.AUDIO_MISSING, "name", uuid4())
        damage.record(integrity.Page("", 1, [finding]), timezone.now(), quick=False)
        self.assertEqual(self.entries(), [])
