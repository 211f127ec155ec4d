"""Rows of objects that have none are made again from the objects."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.core.management import CommandError, call_command
from django.db.models import QuerySet

from calls.audio import codec
from calls.audio.origin import Origin, origin_in
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from calls.storage import audio_store, integrity, read_object, write_object
from streams.sealing.sealer import Sealer
from tests.calls.storage.checked_call import HOURS_AGO, IntegrityTestCase
from tests.streams.journals import Socket
from tests.streams.packets import PACKET_US, START_US, speech

OWN = str(uuid4())
SEGMENT = (
    *("id", "participant_id", "subscription_id", "start_sample", "sample_count", "sample_rate"),
    *("sha256", "peak_dbfs", "rms_dbfs", "audio_name", "stored_bytes", "peaks"),
)
CALL = (
    *("id", "call_connection_id", "correlation_id", "started_at"),
    *("continuation", "continued_from_id", "continued_in_id"),
)
PARTICIPANT = ("id", "call_id", "raw_id", "kind", "heard_at", "heard_until", "voice")
SUBSCRIPTION = (
    *("id", "call_id", "stream_id", "subscription_id", "encoding", "sample_rate", "channels"),
    *("length", "connected_at"),
)
GAP = ("id", "call_id", "participant_id", "start_sample", "sample_count", "sample_rate")


class AdoptionTests(IntegrityTestCase):
    """A sealed call of two people, with a gap of one second for one of them."""

    def setUp(self) -> None:
        super().setUp()
        self.delete_rows()
        for stored in list(audio_store().objects()):
            audio_store().delete(stored.name)
        self.spool = self.folder / "spool"
        (self.spool / OWN).mkdir(parents=True)
        self.socket = Socket(self.spool / OWN, segment_seconds=1.0)
        spoken = speech(200, participant="4:+15551234567")
        self.socket.say([*spoken[:50], *spoken[100:]])
        self.socket.say(speech(150, start_us=START_US + PACKET_US, participant="8:acs:bob"))
        self.journal = self.socket.close()
        self.kept = self.folder / self.journal.name
        shutil.copy(self.journal, self.kept)
        Sealer(self.spool, self.spool / OWN).round()
        self.make_old()
        self.before = self.rows()

    def make_old(self) -> None:
        for stored in list(audio_store().objects()):
            self.set_age(self.path_of(stored.name), HOURS_AGO)

    def delete_rows(self) -> None:
        for model in (LedgerEntry, Segment, Participant, Subscription, Call):
            model.objects.all().delete()

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            "calls": listed(Call.objects.all(), CALL),
            "participants": listed(Participant.objects.all(), PARTICIPANT),
            "subscriptions": listed(Subscription.objects.all(), SUBSCRIPTION),
            "segments": listed(Segment.objects.all(), SEGMENT),
            "gaps": listed(LedgerEntry.objects.gaps(), GAP),
        }

    def test_a_lost_call_is_made_again_from_its_objects(self) -> None:
        self.delete_rows()
        code, findings, totals = self.check("--adopt")
        self.assertEqual((code, totals["adopted"], totals["wrong"]), (0, len(findings), 0))
        self.assertGreater(len(findings), 5)
        self.assertEqual(self.rows(), self.before)
        self.assertEqual(self.check()[:2], (0, []))

    def test_a_continued_call_is_linked_again(self) -> None:
        """Otherwise the next socket of the connection would extend it although it has ended."""
        later = Socket(self.spool / OWN, connected_us=START_US + 3_600_000_000, number=1)
        later.say(speech(50, start_us=START_US + 3_600_000_000)).close()
        Sealer(self.spool, self.spool / OWN).round()
        self.make_old()
        before = self.rows()
        for page in (500, 1):  # with pages of one object, either call may be adopted first
            self.delete_rows()
            with self.subTest(page), mock.patch.object(integrity, "PAGE", page):
                self.check("--adopt")
                self.assertEqual(self.rows(), before)
                self.assertEqual(Call.objects.get(continuation=1).pk, later.call_id)

    def test_an_adopted_call_has_ended_in_an_unknown_way(self) -> None:
        self.delete_rows()
        self.check("--adopt")
        (socket,) = Subscription.objects.all()
        last = max(segment.ended_at for segment in Segment.objects.all())
        self.assertEqual((socket.disconnected_at, socket.close_code), (last, None))

    def test_what_a_restored_database_lacks_of_a_call_is_added(self) -> None:
        later = Segment.objects.order_by("-start_sample")[:4]
        Segment.objects.filter(pk__in=[segment.pk for segment in later]).delete()
        LedgerEntry.objects.gaps().delete()
        Participant.objects.update(heard_until=None)
        code, _, totals = self.check("--adopt")
        self.assertEqual((code, totals["adopted"]), (0, 4))
        self.assertEqual(self.rows()["segments"], self.before["segments"])
        self.assertEqual(self.rows()["participants"], self.before["participants"])

    def test_the_end_of_a_socket_that_is_known_stays(self) -> None:
        (socket,) = Subscription.objects.all()
        Subscription.objects.update(close_code=1000, disconnected_at=socket.connected_at)
        Segment.objects.all().delete()
        self.check("--adopt")
        (kept,) = Subscription.objects.all()
        self.assertEqual((kept.close_code, kept.disconnected_at), (1000, socket.connected_at))

    def test_a_call_that_began_earlier_keeps_its_beginning(self) -> None:
        earlier = Call.objects.get().started_at - timedelta(hours=1)
        Call.objects.update(started_at=earlier)
        Segment.objects.all().delete()
        self.check("--adopt")
        self.assertEqual(Call.objects.get().started_at, earlier)

    def test_a_known_gap_beside_adopted_audio_stays_as_it_is(self) -> None:
        gap = LedgerEntry.objects.gaps().get()
        LedgerEntry.objects.filter(pk=gap.pk).update(id=uuid4(), reason="not_connected")
        assert gap.start_sample, "of a track"
        Segment.objects.filter(
            participant=gap.participant_id, start_sample__gt=gap.start_sample
        ).delete()
        self.check("--adopt")
        (kept,) = LedgerEntry.objects.gaps()
        self.assertEqual((kept.reason, kept.start_sample), ("not_connected", gap.start_sample))

    def test_a_gap_that_adopted_audio_fills_is_removed(self) -> None:
        segment = Segment.objects.filter(participant__raw_id="8:acs:bob").order_by("start_sample")[
            1
        ]
        LedgerEntry.objects.create(
            call_id=segment.participant.call_id,
            participant=segment.participant,
            kind="gap",
            reason="not_connected",
            started_at=segment.started_at,
            ended_at=segment.ended_at,
            start_sample=segment.start_sample,
            sample_count=segment.sample_count,
            sample_rate=segment.sample_rate,
        )
        segment.delete()
        self.check("--adopt")
        self.assertEqual(self.rows(), self.before)

    def test_a_sealer_that_finds_the_journal_after_all_seals_all_of_it(self) -> None:
        """It must not take the journal of one adopted segment for sealed."""
        self.delete_rows()
        names = sorted(stored.name for stored in audio_store().objects())
        for name in names[1:]:
            audio_store().delete(name)
        self.check("--adopt")
        self.assertEqual(Segment.objects.count(), 1)
        shutil.rmtree(self.spool)
        (self.spool / OWN).mkdir(parents=True)
        shutil.copy(self.kept, self.journal)
        Sealer(self.spool, self.spool / OWN).round()
        self.assertEqual(self.rows()["segments"], self.before["segments"])

    def test_audio_at_a_position_that_is_taken_stays_an_orphan(self) -> None:
        segment = Segment.objects.order_by("pk")[0]
        content, origin = read_object(segment.audio_name), self.origin_of(segment)
        pcm = codec.decode(content, sample_count=segment.sample_count)[:-160].tobytes()
        name = f"{self.folder_of(segment)}/{segment.start_sample + 80}-{hash_of(pcm)}.flac"
        self.store(name, codec.encode(pcm, segment.sample_rate, origin.as_comment()))
        self.assert_left(name, "other audio is stored at its position")

    def test_objects_of_older_versions_are_neither_adopted_nor_deleted(self) -> None:
        segment = Segment.objects.order_by("pk")[0]
        pcm = codec.decode(read_object(segment.audio_name), sample_count=segment.sample_count)
        segment.delete()
        self.store(segment.audio_name, codec.encode(pcm.tobytes(), segment.sample_rate))
        self.assert_left(segment.audio_name, "without a comment that names its origin")

    def test_an_object_whose_name_contradicts_its_content_is_left(self) -> None:
        segment, other = Segment.objects.order_by("participant")[0], uuid4()
        content = read_object(segment.audio_name)
        start = f"{self.folder_of(segment)}/{segment.start_sample + 10**9}"
        for name, why in (
            (f"{segment.participant.call_id}/{other}/1-{'0' * 16}.flac", "another participant"),
            (f"{start}-{'0' * 16}.flac", "other audio"),
        ):
            with self.subTest(why):
                self.store(name, content)
                self.assert_left(name, why)
                audio_store().delete(name)
        damaged = f"{start}-{'1' * 16}.flac"
        self.store(damaged, content[:60])
        self.assert_left(damaged, "cannot be decoded")

    def test_nothing_is_adopted_while_an_old_journal_waits(self) -> None:
        self.delete_rows()
        shutil.copy(self.kept, self.journal)
        self.set_age(self.journal, HOURS_AGO)
        self.assertEqual(self.check("--adopt")[2]["adopted"], 0)
        self.assertFalse(Call.objects.exists())

    def test_adopting_and_removing_exclude_each_other(self) -> None:
        with self.assertRaisesMessage(CommandError, "not allowed with"):
            call_command("check_recordings", "--adopt", "--repair")

    def test_a_moved_segment_keeps_the_usual_id(self) -> None:
        segment = Segment.objects.order_by("pk")[0]
        name, content = segment.audio_name, read_object(segment.audio_name)
        Segment.objects.filter(pk=segment.pk).update(
            start_sample=segment.start_sample + 10**9, audio_name="moved.flac"
        )
        self.store("moved.flac", content)
        self.assertEqual(self.check("--adopt")[2]["adopted"], 1)
        adopted = Segment.objects.get(audio_name=name)
        self.assertNotEqual(adopted.pk, segment.pk)
        self.assertEqual(adopted.start_sample, segment.start_sample)

    def assert_left(self, name: str, why: str) -> None:
        code, findings, totals = self.check("--adopt")
        self.assertEqual((code, totals["adopted"]), (1, 0))
        (reason,) = {found["why"] for found in findings if found["why"]}
        self.assertIn(why, reason)
        self.assertTrue(audio_store().exists(name))

    def origin_of(self, segment: Segment) -> Origin:
        origin = origin_in(codec.comment_of(read_object(segment.audio_name)))
        assert origin, "it has just been sealed"
        return origin

    def folder_of(self, segment: Segment) -> str:
        return f"{segment.participant.call_id}/{segment.participant_id}"

    def store(self, name: str, content: bytes) -> None:
        write_object(name, content)
        self.set_age(self.path_of(name), HOURS_AGO)


def listed(rows: QuerySet[Any], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Returns columns of rows in order, with binary values as bytes."""
    return [
        tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
        for row in rows.order_by("pk").values_list(*columns)
    ]


def hash_of(pcm: bytes) -> str:
    return codec.pcm_hash(pcm)[:16]
