"""Rows: derived, so writing them twice changes nothing; in one transaction; never overlapping."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from msgspec import structs

from calls import identity
from calls.audio import codec
from calls.models import (
    Call,
    LedgerEntry,
    Participant,
    Segment,
    Subscription,
)
from calls.times import EPOCH, from_microseconds
from streams.journal.records import Closed, Dtmf, Handshake, Record
from streams.sealing import rows
from streams.sealing.digest import StreamState, digest_of
from streams.sealing.rows import Addition, Announcement
from tests.streams.journals import handshake_of, metadata_of, records_of
from tests.streams.packets import PACKET_SAMPLES, RATE, START_US, Sent, speech
from tests.streams.written import (
    NOW,
    START,
    addition,
    announce,
    everything,
    later,
    open_facts,
    replace_facts,
    segment,
    stored,
    write,
)


def write_file(
    records: list[Record], handshake: Handshake, state: StreamState | None = None
) -> StreamState:
    """Does everything that the sealer does with a file, except storing its audio."""
    state = state or StreamState()
    digest = digest_of(records, handshake, state, last=False)
    facts, voices = list(state.subscriptions.values()), list(state.voices.values())
    segments = [stored(one) for one in digest.segments]
    rows.write([Addition(digest, facts, segments, voices, state.last_us)], NOW)
    return state


class Write(TestCase):
    def records(self, packets: list[Sent]) -> list[Record]:
        return [*records_of(packets), Dtmf(START_US, "5"), Closed(START_US + 9_000_000, 1000)]

    def test_a_file_becomes_call_subscription_participants_segments_and_entries(self) -> None:
        handshake = handshake_of()
        write_file(self.records([*speech(50), *speech(100, participant="")[70:]]), handshake)
        call = Call.objects.get()
        self.assertEqual(
            (str(call.id), call.started_at), (handshake.call_id, from_microseconds(START_US))
        )
        self.assertEqual(Subscription.objects.get().call, call)
        self.assertEqual(
            set(Participant.objects.values_list("raw_id", "kind")),
            {("p", "unknown"), ("", "mixed")},
        )
        one = Segment.objects.get(participant__raw_id="p")
        self.assertEqual(
            (one.start_sample, one.sample_count, one.sample_rate),
            (START, 50 * PACKET_SAMPLES, RATE),
        )
        self.assertEqual(
            (one.sha256, one.sealed_at), (codec.pcm_hash(b"".join(p.pcm for p in speech(50))), NOW)
        )
        self.assertEqual(LedgerEntry.objects.get().kind, "dtmf")

    def test_writing_a_file_again_changes_nothing(self) -> None:
        handshake, records = handshake_of(), self.records(speech(400)[:100] + speech(400)[150:])
        write_file(records, handshake)
        before = everything()
        state = StreamState()
        digest = digest_of(records, handshake, state, last=False)
        facts, voices = list(state.subscriptions.values()), list(state.voices.values())
        rows.write([Addition(digest, facts, [], voices, state.last_us)], NOW)
        self.assertEqual(everything(), before)

    def test_all_or_nothing(self) -> None:
        handshake = handshake_of()
        with (
            patch.object(
                LedgerEntry._default_manager, "bulk_create", side_effect=RuntimeError("crash")
            ),
            self.assertRaises(RuntimeError),
        ):
            write_file(self.records(speech(50)), handshake)
        self.assertEqual(everything(), [])

    def test_a_participant_is_heard_from_its_first_to_its_last_sample(self) -> None:
        handshake = handshake_of()
        write(handshake, [segment(RATE, RATE)])
        for start, first, last in ((3 * RATE, 1, 4), (0, 0, 4), (2 * RATE, 0, 4)):
            handshake = structs.replace(handshake, sequence=handshake.sequence + 1)
            write(handshake, [segment(start, RATE, fill=start // RATE)])
            participant = Participant.objects.get()
            heard = (participant.heard_at, participant.heard_until)
            self.assertEqual(
                heard,
                tuple(
                    from_microseconds(START_US + seconds * 1_000_000) for seconds in (first, last)
                ),
            )

    def test_the_call_starts_with_its_earliest_socket_in_any_order_of_writing(self) -> None:
        first = handshake_of()
        write(later(first, 30))
        write(first)
        write(later(first, 60))
        self.assertEqual(Call.objects.get().started_at, from_microseconds(START_US))

    def test_facts_of_a_subscription_follow_the_newest_file(self) -> None:
        handshake = handshake_of()
        write(handshake, facts=open_facts(handshake))
        self.assertIsNone(Subscription.objects.get().disconnected_at)
        write(
            handshake,
            facts=replace_facts(
                open_facts(handshake), audio=7, close_code=1001, disconnected_us=START_US
            ),
        )
        row = Subscription.objects.get()
        self.assertEqual(
            (row.audio, row.close_code, row.disconnected_at), (7, 1001, from_microseconds(START_US))
        )

    def test_a_second_socket_is_a_reconnect_and_the_first_is_none(self) -> None:
        first = handshake_of()
        second = later(first, 30)
        write(first)
        write(structs.replace(second, sequence=1))
        self.assertEqual(LedgerEntry.objects.count(), 0)
        write(second)
        write(second)
        entry = LedgerEntry.objects.get()
        self.assertEqual(
            (entry.kind, entry.started_at), ("reconnect", from_microseconds(START_US + 30_000_000))
        )


class Announce(TestCase):
    def test_an_open_socket_has_rows_and_is_live(self) -> None:
        handshake = handshake_of(connected_us=(timezone.now() - EPOCH) // timedelta(microseconds=1))
        announce(handshake, [open_facts(handshake)], ["p"])
        self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "live")
        self.assertEqual(Participant.objects.get().raw_id, "p")

    def test_counts_and_closing_are_left_unchanged(self) -> None:
        handshake = handshake_of()
        facts = replace_facts(
            open_facts(handshake), audio=7, close_code=1000, disconnected_us=START_US, duplicate=1
        )
        write(handshake, facts=facts)
        before = everything()
        announce(handshake, [replace_facts(open_facts(handshake))], [])
        self.assertEqual(everything(), before)

    def test_later_metadata_is_added(self) -> None:
        handshake = handshake_of()
        announce(handshake, [open_facts(handshake)], [])
        state = StreamState()
        digest_of([metadata_of(rate=24_000)], handshake, state, last=False)
        announce(handshake, state.subscriptions.values(), [])
        row = Subscription.objects.get()
        self.assertEqual((row.sample_rate, row.encoding, row.length), (24_000, "PCM", 960.0))

    def test_one_statement_writes_the_heartbeat_of_all_open_sockets_only(
        self,
    ) -> None:
        handshakes = [handshake_of(f"call-{number}") for number in range(5)]
        for handshake in handshakes[:4]:
            announce(handshake, [open_facts(handshake)], [])
        write(handshakes[4])
        with CaptureQueriesContext(connection) as statements:
            rows.vouch_for([handshake.stream_id for handshake in handshakes], NOW)
        self.assertEqual(len(statements), 1)
        seen = {str(row.stream_id) for row in Subscription.objects.filter(seen_at=NOW)}
        self.assertEqual(seen, {handshake.stream_id for handshake in handshakes[:4]})


class Batches(TestCase):
    """Many files, each of another call, in one transaction."""

    def setUp(self) -> None:
        self.handshakes = [handshake_of(f"call-{number}") for number in range(10)]

    def additions(self, sequence: int) -> list[Addition]:
        files = [structs.replace(handshake, sequence=sequence) for handshake in self.handshakes]
        return [
            addition(
                one,
                [segment(sequence * 100, 100, raw_id=raw_id) for raw_id in ("p", "q")],
                voices=["p", "q", "r"],
            )
            for one in files
        ]

    def test_give_the_same_rows_as_one_by_one(self) -> None:
        with transaction.atomic():
            for sequence in range(3):
                for one in self.additions(sequence):
                    rows.write([one], NOW)
            alone = everything()
            transaction.set_rollback(True)
        for sequence in range(3):
            rows.write(reversed(self.additions(sequence)), NOW)
        self.assertEqual(len(alone), 10 * (1 + 1 + 3 + 6))
        self.assertEqual(everything(), alone)

    def test_need_as_many_statements_as_a_single_file(self) -> None:
        rows.write(self.additions(0), NOW)
        with CaptureQueriesContext(connection) as of_one:
            rows.write(self.additions(1)[:1], NOW)
        with CaptureQueriesContext(connection) as of_many:
            rows.write(self.additions(1)[1:], NOW)
        self.assertEqual(len(of_one), len(of_many))
        self.assertLessEqual(len(of_many), 11)

    def test_are_written_all_or_none(self) -> None:
        rows.write(self.additions(0), NOW)
        before = everything()
        with (
            patch.object(
                LedgerEntry._default_manager, "bulk_create", side_effect=RuntimeError("crash")
            ),
            self.assertRaises(RuntimeError),
        ):
            rows.write(self.additions(1), NOW)
        self.assertEqual(everything(), before)

    def test_two_files_of_one_call_are_not_written_together(self) -> None:
        """The positions of the second depend on the rows of the first."""
        with self.assertRaises(AssertionError):
            rows.write([*self.additions(0)[:1], *self.additions(1)[:1]], NOW)

    def test_a_call_with_two_open_sockets_is_announced_at_once(self) -> None:
        first = self.handshakes[0]
        sockets = [later(first, 5), first, later(first, 9)]
        rows.announce(Announcement(one, [open_facts(one)], ["p"]) for one in sockets)
        self.assertEqual(Call.objects.get().started_at, from_microseconds(START_US))
        self.assertEqual((Subscription.objects.count(), Participant.objects.count()), (3, 1))


class Ids(TestCase):
    def test_every_row_has_its_derived_id(self) -> None:
        handshake = handshake_of()
        write(handshake, [segment(0, 10)])
        call_id, stream_id = UUID(handshake.call_id), UUID(handshake.stream_id)
        participant_id = identity.participant_id_of(call_id, "p")
        self.assertEqual(Call.objects.get().pk, identity.call_id_of("connection", stream_id))
        self.assertEqual(Subscription.objects.get().pk, identity.subscription_row_id(stream_id, 0))
        self.assertEqual(Participant.objects.get().pk, participant_id)
        self.assertEqual(Segment.objects.get().pk, identity.segment_id_of(participant_id, START))
