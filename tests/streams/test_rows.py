"""Rows: derived, so written twice they are the same; in one transaction; never in a place that is taken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.db import connection, connections
from django.forms.models import model_to_dict
from django.test import TestCase, TransactionTestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from msgspec import structs

from calls import audio, identity
from calls.models import EPOCH, Call, LedgerEntry, Participant, Segment, Subscription
from streams import rows, sealing
from streams.journal import Closed, Dtmf, Handshake, Record
from streams.ledger import moment
from streams.rows import PlaceTaken, StoredSegment
from streams.sealing import Digest, StreamState, SubscriptionFacts
from streams.timeline import Timeline
from tests.streams.journals import handshake_of, metadata_of, records_of
from tests.streams.packets import PACKET_SAMPLES, RATE, START_US, Sent, speech

START = START_US * RATE // 1_000_000
NOW = moment(START_US + 60_000_000)
MODELS = (Call, Subscription, Participant, Segment, LedgerEntry)


def segment(start: int, count: int, fill: int = 1, raw_id: str = "p", rate: int = RATE) -> sealing.Segment:
    """`count` samples of one value, `start` samples behind the start of the call."""
    return sealing.Segment(raw_id, 0, START * rate // RATE + start, rate, bytes([fill, 0]) * count, 1)


def stored(one: sealing.Segment) -> StoredSegment:
    sha256 = audio.pcm_hash(one.pcm)
    return StoredSegment(one, sha256, -6.0, -12.0, f"{one.raw_id}/{one.start_sample}-{sha256[:16]}.flac", 100)


def write(
    handshake: Handshake, segments: Sequence[sealing.Segment] = (), *, facts: SubscriptionFacts | None = None
) -> None:
    """One file with these segments, of a socket that closed, unless `facts` say otherwise."""
    end_us = handshake.connected_at_us + 10_000_000
    facts = facts or SubscriptionFacts(0, handshake.connected_at_us, disconnected_us=end_us, close_code=1000)
    rows.write(Digest(handshake), [facts], [stored(one) for one in segments], [], end_us, NOW)


def open_facts(handshake: Handshake) -> SubscriptionFacts:
    return SubscriptionFacts(0, handshake.connected_at_us)


def later(handshake: Handshake, seconds: float) -> Handshake:
    """Another socket of the call."""
    connected_us = handshake.connected_at_us + round(seconds * 1_000_000)
    return handshake_of(handshake.call_connection_id, connected_us=connected_us)


def everything() -> list[dict[str, Any]]:
    return [model_to_dict(row) | {"pk": row.pk} for model in MODELS for row in model._default_manager.order_by("pk")]


def write_file(records: list[Record], handshake: Handshake, state: StreamState | None = None) -> StreamState:
    """All that the sealer does with a file but storing its audio."""
    state = state or StreamState()
    digest = sealing.digest(records, handshake, state, last=False)
    facts, voices = list(state.subscriptions.values()), state.voices.values()
    rows.write(digest, facts, [stored(one) for one in digest.segments], voices, state.last_us, NOW)
    return state


class Writing(TestCase):
    def records(self, packets: list[Sent]) -> list[Record]:
        return [*records_of(packets), Dtmf(START_US, "5"), Closed(START_US + 9_000_000, 1000)]

    def test_a_file_becomes_call_subscription_participants_segments_and_entries(self) -> None:
        handshake = handshake_of()
        write_file(self.records([*speech(50), *speech(100, participant="")[70:]]), handshake)
        call = Call.objects.get()
        self.assertEqual((str(call.id), call.started_at), (handshake.call_id, moment(START_US)))
        self.assertEqual(Subscription.objects.get().call, call)
        self.assertEqual(set(Participant.objects.values_list("raw_id", "kind")), {("p", "unknown"), ("", "mixed")})
        one = Segment.objects.get(participant__raw_id="p")
        self.assertEqual((one.start_sample, one.sample_count, one.sample_rate), (START, 50 * PACKET_SAMPLES, RATE))
        self.assertEqual((one.sha256, one.sealed_at), (audio.pcm_hash(b"".join(p.pcm for p in speech(50))), NOW))
        self.assertEqual(LedgerEntry.objects.get().kind, "dtmf")

    def test_writing_a_file_again_changes_nothing(self) -> None:
        handshake, records = handshake_of(), self.records(speech(400)[:100] + speech(400)[150:])
        write_file(records, handshake)
        before = everything()
        state = StreamState()
        digest = sealing.digest(records, handshake, state, last=False)
        rows.write(digest, list(state.subscriptions.values()), [], state.voices.values(), state.last_us, NOW)
        self.assertEqual(everything(), before)

    def test_all_or_nothing(self) -> None:
        handshake = handshake_of()
        with (
            patch.object(LedgerEntry._default_manager, "bulk_create", side_effect=RuntimeError("crash")),
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
            self.assertEqual(heard, tuple(moment(START_US + seconds * 1_000_000) for seconds in (first, last)))

    def test_the_call_starts_with_its_earliest_socket_whichever_is_written_first(self) -> None:
        first = handshake_of()
        write(later(first, 30))
        write(first)
        write(later(first, 60))
        self.assertEqual(Call.objects.get().started_at, moment(START_US))

    def test_facts_of_a_subscription_follow_the_newest_file(self) -> None:
        handshake = handshake_of()
        write(handshake, facts=open_facts(handshake))
        self.assertIsNone(Subscription.objects.get().disconnected_at)
        write(handshake, facts=replace_facts(open_facts(handshake), audio=7, close_code=1001, disconnected_us=START_US))
        row = Subscription.objects.get()
        self.assertEqual((row.audio, row.close_code, row.disconnected_at), (7, 1001, moment(START_US)))

    def test_a_second_socket_is_a_reconnect_and_the_first_is_none(self) -> None:
        first = handshake_of()
        second = later(first, 30)
        write(first)
        write(structs.replace(second, sequence=1))
        self.assertEqual(LedgerEntry.objects.count(), 0)
        write(second)
        write(second)
        entry = LedgerEntry.objects.get()
        self.assertEqual((entry.kind, entry.started_at), ("reconnect", moment(START_US + 30_000_000)))

    def test_whether_a_file_is_sealed_is_known_by_its_segments(self) -> None:
        handshake = structs.replace(handshake_of(), sequence=3)
        write(handshake, [segment(0, 10)])
        self.assertTrue(rows.is_sealed(handshake.stream_id, 3))
        self.assertFalse(rows.is_sealed(handshake.stream_id, 2))
        self.assertFalse(rows.is_sealed(handshake_of().stream_id, 3))

    def test_the_duplicates_that_are_counted_are_known(self) -> None:
        handshake = handshake_of()
        write(handshake, facts=replace_facts(open_facts(handshake), duplicate=12))
        self.assertEqual(rows.duplicates_of(handshake.stream_id, 0), 12)


class Announcing(TestCase):
    def test_an_open_socket_has_rows_and_is_live(self) -> None:
        handshake = handshake_of(connected_us=(timezone.now() - EPOCH) // timedelta(microseconds=1))
        rows.announce(handshake, [open_facts(handshake)], ["p"])
        self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "live")
        self.assertEqual(Participant.objects.get().raw_id, "p")

    def test_what_is_known_of_counts_and_closing_is_left_alone(self) -> None:
        handshake = handshake_of()
        facts = replace_facts(open_facts(handshake), audio=7, close_code=1000, disconnected_us=START_US, duplicate=1)
        write(handshake, facts=facts)
        before = everything()
        rows.announce(handshake, [replace_facts(open_facts(handshake))], [])
        self.assertEqual(everything(), before)

    def test_metadata_that_comes_later_is_added(self) -> None:
        handshake = handshake_of()
        rows.announce(handshake, [open_facts(handshake)], [])
        state = StreamState()
        sealing.digest([metadata_of(rate=24_000)], handshake, state, last=False)
        rows.announce(handshake, state.subscriptions.values(), [])
        row = Subscription.objects.get()
        self.assertEqual((row.sample_rate, row.encoding, row.length), (24_000, "PCM", 960.0))

    def test_one_statement_vouches_for_all_open_sockets_and_for_no_closed_one(self) -> None:
        handshakes = [handshake_of(f"call-{number}") for number in range(5)]
        for handshake in handshakes[:4]:
            rows.announce(handshake, [open_facts(handshake)], [])
        write(handshakes[4])
        with CaptureQueriesContext(connection) as queries:
            rows.vouch_for([handshake.stream_id for handshake in handshakes], NOW)
        self.assertEqual(len(queries), 1)
        seen = {str(row.stream_id) for row in Subscription.objects.filter(seen_at=NOW)}
        self.assertEqual(seen, {handshake.stream_id for handshake in handshakes[:4]})


class Near(TestCase):
    """What is stored where a file wants to put its audio."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.second = later(self.first, 1)

    def near(self, *segments: sealing.Segment) -> dict[str, list[tuple[int, int]]]:
        found = rows.stored_near(self.second, segments)
        return {raw_id: [(start - START, end - START) for start, end, _ in of] for raw_id, of in found.items()}

    def test_a_call_with_one_socket_asks_nothing_of_segments(self) -> None:
        write(self.second, [segment(0, 10)])
        with CaptureQueriesContext(connection) as queries:
            self.assertEqual(self.near(segment(0, 10)), {})
        self.assertEqual(len(queries), 1)

    def test_a_file_without_audio_asks_nothing(self) -> None:
        write(self.first, [segment(0, 10)])
        self.assertEqual(self.near(), {})

    def test_segments_of_the_same_voices_are_found_in_order(self) -> None:
        write(self.first, [segment(20, 10), segment(0, 10, 2), segment(0, 10, raw_id="q"), segment(0, 10, raw_id="r")])
        found = self.near(segment(5, 10), segment(5, 10, raw_id="q"))
        self.assertEqual(found, {"p": [(0, 10), (20, 30)], "q": [(0, 10)]})

    def test_the_longest_segment_that_reaches_into_the_place_is_found(self) -> None:
        long = segment(0, 10 * RATE)
        write(self.first, [long])
        self.assertEqual(self.near(segment(10 * RATE - 1, 10)), {"p": [(0, 10 * RATE)]})

    def test_the_whole_row_of_what_is_stored_behind_the_place_is_found(self) -> None:
        write(self.first, [segment(RATE * number, RATE, number) for number in range(50)])
        self.assertEqual(len(self.near(segment(5, 10))["p"]), 50)

    def test_audio_of_the_socket_itself_is_among_it(self) -> None:
        write(self.first, [segment(0, 10)])
        write(self.second, [segment(10, 10)])
        self.assertEqual(self.near(segment(5, 10)), {"p": [(0, 10), (10, 20)]})


class Places(TransactionTestCase):
    def test_audio_in_a_place_that_was_taken_meanwhile_is_not_written_and_neither_is_anything_else(self) -> None:
        first = handshake_of()
        write(first, [segment(0, 100)])
        before = everything()
        for start in (-50, 0, 50, 99):
            with self.assertRaises(PlaceTaken):
                write(later(first, 1), [segment(start, 100, fill=2)])
            self.assertEqual(everything(), before)

    def test_audio_beside_it_or_of_another_voice_is_written(self) -> None:
        first = handshake_of()
        write(first, [segment(0, 100)])
        write(later(first, 1), [segment(-100, 100, 2), segment(100, 100, 3), segment(0, 100, 4, raw_id="q")])
        self.assertEqual(Segment.objects.count(), 4)

    def test_of_two_that_write_at_the_same_time_the_second_sees_the_first(self) -> None:
        """The first has inserted and not committed when the second comes."""
        first = handshake_of()
        second = later(first, 1)
        for handshake in (first, second):
            rows.announce(handshake, [open_facts(handshake)], [])
        errors: list[BaseException | None] = []
        looked = threading.Event()
        extend, near = rows._extend_participants, rows.stored_near

        def write_second() -> None:
            try:
                write(second, [segment(50, 100, fill=2)])
            except PlaceTaken as error:
                errors.append(error)
            finally:
                looked.set()
                connections.close_all()

        thread = threading.Thread(target=write_second)

        def note(*arguments: Any) -> Any:
            answer = near(*arguments)
            if threading.current_thread() is thread:
                looked.set()
            return answer

        def let_the_other_come(segments: Any) -> None:
            extend(segments)
            if threading.current_thread() is not thread:
                thread.start()
                self.assertFalse(looked.wait(0.3), "it must wait, and look when we have committed")

        with patch.object(rows, "_extend_participants", let_the_other_come), patch.object(rows, "stored_near", note):
            write(first, [segment(0, 100)])
            thread.join(30)
        self.assertEqual((len(errors), Segment.objects.count()), (1, 1))


class Axis(TestCase):
    """The axis of a call, as the database tells it."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.second = later(self.first, 30)

    def axis(self, handshake: Handshake | None = None) -> dict[str, tuple[int | None, int, str]]:
        timeline = rows.axis_of(handshake or self.second)
        return {raw_id: (track.end, track.sample_rate, track.gap_reason) for raw_id, track in timeline.tracks.items()}

    def test_a_call_that_nobody_knows_has_an_empty_one(self) -> None:
        self.assertEqual(rows.axis_of(self.first), Timeline())

    def test_each_track_ends_with_its_last_segment(self) -> None:
        write(self.first, [segment(0, 10), segment(50, 10, 2), segment(0, 5, raw_id="q")])
        expected = {"p": (START + 60, RATE, "not_connected"), "q": (START + 5, RATE, "not_connected")}
        self.assertEqual(self.axis(), expected)
        self.assertEqual(rows.axis_of(self.second).latest_us, START_US + 60 * 1_000_000 // RATE)

    def test_a_participant_without_audio_has_no_track(self) -> None:
        rows.announce(self.first, [], ["p"])
        self.assertEqual(self.axis(), {})

    def test_the_last_segment_is_the_last_in_time_whatever_the_rates(self) -> None:
        """24 kHz counts higher numbers than 16 kHz."""
        write(self.first, [segment(0, 24_000, rate=24_000), segment(2 * RATE, 10, 2)])
        self.assertEqual(self.axis()["p"][:2], (START + 2 * RATE + 10, RATE))

    def test_a_socket_that_is_still_open_does_not_count(self) -> None:
        write(self.first, [segment(0, 10)], facts=open_facts(self.first))
        self.assertEqual(self.axis(), {})

    def test_a_younger_socket_does_not_count(self) -> None:
        write(later(self.first, 60), [segment(60 * RATE, 10)])
        self.assertEqual(self.axis(), {})

    def test_the_socket_s_own_earlier_files_count_and_neither_this_one_nor_later_ones(self) -> None:
        for sequence in range(3):
            handshake = structs.replace(self.second, sequence=sequence)
            write(handshake, [segment(sequence * 10, 10, sequence)], facts=open_facts(handshake))
        self.assertEqual(self.axis(structs.replace(self.second, sequence=1)), {"p": (START + 10, RATE, "not_received")})
        self.assertEqual(self.axis(self.second), {})

    def test_another_call_has_another_axis(self) -> None:
        write(handshake_of("another"), [segment(0, 10)])
        self.assertEqual(self.axis(), {})


class Ids(TestCase):
    def test_every_row_has_the_id_that_everybody_derives(self) -> None:
        handshake = handshake_of()
        write(handshake, [segment(0, 10)])
        call_id, stream_id = UUID(handshake.call_id), UUID(handshake.stream_id)
        participant_id = identity.participant_id_of(call_id, "p")
        self.assertEqual(Call.objects.get().pk, identity.call_id_of("connection", stream_id))
        self.assertEqual(Subscription.objects.get().pk, identity.subscription_row_id(stream_id, 0))
        self.assertEqual(Participant.objects.get().pk, participant_id)
        self.assertEqual(Segment.objects.get().pk, identity.segment_id_of(participant_id, START))


def replace_facts(facts: SubscriptionFacts, **values: Any) -> SubscriptionFacts:
    return structs.replace(facts, **values)
