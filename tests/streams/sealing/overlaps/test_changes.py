"""Stored segments that audio of another socket moves or cuts: rows, ids, objects and gaps."""

from __future__ import annotations

from unittest.mock import patch

from calls import identity
from calls.models import DiscardedAudio, LedgerEntry, Participant, Segment
from calls.storage import StoreUnreachable, audio_store, deletion, integrity
from calls.storage.integrity import Scope
from calls.times import from_sample
from streams.sealing import queries, rows
from streams.sealing.overlaps import changes
from streams.sealing.overlaps.placement import Move, Stored
from streams.sealing.rows import OverlapFound
from streams.sealing.sealer import LONGEST_BACKOFF_SECONDS
from tests.streams.journals import Socket, handshake_of
from tests.streams.packets import RATE, speech
from tests.streams.spools import SpoolTest
from tests.streams.written import NOW, START, addition, later, segment, write

EARLY = 26
"""Samples by which the new socket's audio begins before the end of the old one's."""


class Moves(SpoolTest):
    """Rows of the new socket, which begins `EARLY`, and the old socket's end, written later."""

    def setUp(self) -> None:
        super().setUp()
        self.old = handshake_of()
        self.new = later(self.old, 16)
        first = 16_000 - EARLY
        self.segments = [segment(first, 8_000, 2), segment(first + 8_000, 8_000, 3)]
        write(self.new, [*self.segments, segment(first + 40_000, 8_000, 4)])
        self.participant_id = Participant.objects.get().id

    def near(self) -> list[Stored]:
        return queries.stored_near([(self.old, [segment(0, 16_000)])])[self.participant_id]

    def write_old(self, *moves: Move) -> None:
        one = addition(self.old, [segment(0, 16_000)])
        rows.write([rows.Addition(one.digest, one.subscriptions, one.segments, [], 0, moves)], NOW)

    def moves(self, distance: int = EARLY) -> list[Move]:
        return [Move("p", row, row.start_sample + distance) for row in self.near()[:2]]

    def starts(self) -> list[int]:
        return [one.start_sample - START for one in Segment.objects.on_axis()]

    def test_move_in_the_transaction_that_adds_the_audio_before_them(self) -> None:
        self.write_old(*self.moves())
        self.assertEqual(self.starts(), [0, 16_000, 24_000, 56_000 - EARLY])

    def test_by_the_length_of_a_segment_do_not_collide(self) -> None:
        row = self.near()[0]
        changes.move(self.moves(row.sample_count))
        self.assertEqual(self.starts()[:2], [24_000 - EARLY, 32_000 - EARLY])

    def test_keep_their_ids_and_objects(self) -> None:
        before = set(Segment.objects.values_list("id", "audio_name"))
        self.write_old(*self.moves())
        self.assertLess(before, set(Segment.objects.values_list("id", "audio_name")))

    def test_a_new_segment_at_their_former_position_has_another_id(self) -> None:
        row = self.near()[2]
        changes.move([Move("p", row, row.start_sample + 8_000)])
        write(self.old, [segment(row.start_sample - START, 8_000, 9)])
        ids = dict(Segment.objects.values_list("start_sample", "id"))
        usual = identity.segment_id_of(self.participant_id, row.start_sample)
        self.assertEqual(ids[row.start_sample + 8_000], usual)
        self.assertEqual(len(ids), 4)

    def test_and_pieces_may_take_positions_of_rows_that_are_cut(self) -> None:
        first, second, third = self.near()
        at = second.start_sample
        cuts = [
            changes.Replacement(first, [{"start_sample": at - 8_000}, {"start_sample": at}]),
            changes.Replacement(second, [{"start_sample": at + 8_000}]),
        ]
        changes.change([Move("p", third, at + 16_000)], cuts, set(), NOW)
        self.assertEqual(
            self.starts(), [at - START + distance for distance in (-8_000, 0, 8_000, 16_000)]
        )

    def test_that_changed_in_the_meantime_are_refused(self) -> None:
        moves = self.moves()
        Segment.objects.filter(pk=moves[0].stored.segment_id).update(start_sample=START + 15_990)
        with self.assertRaises(OverlapFound):
            self.write_old(*moves)
        self.assertEqual(self.starts()[0], 15_990)

    def test_onto_each_other_are_refused(self) -> None:
        with self.assertRaises(OverlapFound):
            self.write_old(*self.moves()[:1])
        self.assertEqual(len(self.starts()), 3)

    def test_change_the_end_of_the_participant_and_the_gap_behind_them(self) -> None:
        Segment.objects.filter(start_sample=START + 56_000 - EARLY).delete()
        Participant.objects.update(heard_until=from_sample(START + 32_000 - EARLY, RATE))
        self.write_old(*self.moves())
        self.assertEqual(Participant.objects.get().heard_until, from_sample(START + 32_000, RATE))

    def test_that_move_back_change_the_end_of_the_participant(self) -> None:
        row = self.near()[2]
        self.write_old(*self.moves(), Move("p", row, row.start_sample - 1_600))
        until = from_sample(row.end_sample - 1_600, RATE)
        self.assertEqual(Participant.objects.get().heard_until, until)

    def test_the_gap_behind_them_becomes_shorter(self) -> None:
        write(later(self.old, 50), [segment(80_000, 100, 5)])
        gaps = LedgerEntry.objects.filter(kind="gap").order_by("start_sample")
        self.write_old(*self.moves())
        self.assertEqual([(one.start_sample or 0) - START for one in gaps][:1], [32_000])
        self.assertEqual(gaps[0].sample_count, 24_000 - EARLY)


class Cuts(SpoolTest):
    """The old socket has lost two packets that the new one has: its segment is cut."""

    packets = speech(600)

    def record(self) -> None:
        other = self.new_process()
        heard = self.packets[:300] + self.packets[302:500]
        Socket(self.process.folder).say(heard).close()
        self.process.round()
        Socket(other.folder, connected_us=self.packets[200].spoken_us).say(
            self.packets[200:]
        ).close()
        other.round()

    def test_replace_the_row_and_remove_its_object(self) -> None:
        self.record()
        deletion.sweep()
        self.assertEqual(
            set(self.store.held), set(Segment.objects.values_list("audio_name", flat=True))
        )
        self.assertFalse(DiscardedAudio.objects.exists())
        self.assert_recorded(self.packets)

    def test_leave_the_pieces_with_the_socket_that_recorded_them(self) -> None:
        self.record()
        streams = [
            (str(one.subscription.stream_id), one.journal)
            for one in Segment.objects.on_axis().select_related("subscription")
        ]
        self.assertEqual(streams[0], streams[2])
        self.assertNotEqual(streams[0][0], streams[1][0])

    def test_every_row_has_its_audio(self) -> None:
        self.record()
        pages = list(integrity.check_segments(Scope()))
        self.assertEqual([finding for page in pages for finding in page.findings], [])


class Reading(SpoolTest):
    """Stored audio that cannot be compared."""

    packets = speech(400)

    def record(self) -> Socket:
        Socket(self.process.folder).say(self.packets[:300]).close()
        self.process.round()
        return Socket(self.process.folder, connected_us=self.packets[200].spoken_us).say(
            self.packets[200:]
        )

    def test_an_unreachable_store_delays_sealing(self) -> None:
        self.record().close()
        with (
            self.expected(),
            patch.object(changes, "read_object", side_effect=StoreUnreachable("away")),
        ):
            self.assertFalse(self.process.round())
        self.process.round(after_seconds=LONGEST_BACKOFF_SECONDS)
        self.assert_recorded(self.packets)

    def test_any_other_error_of_the_store_does_so_too(self) -> None:
        self.record().close()
        with self.expected(), patch.object(changes, "read_object", side_effect=OSError("broken")):
            self.assertFalse(self.process.round())
        self.assertEqual(self.process.sealer.failures["store"], 1)

    def test_a_missing_object_loses_nothing_of_the_new_audio(self) -> None:
        self.record().close()
        (name,) = self.store.held
        audio_store().delete(name)
        self.process.round()
        stored = sum(Segment.objects.values_list("sample_count", flat=True))
        self.assertEqual(stored, (300 + 200) * 320)
