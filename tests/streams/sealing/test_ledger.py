"""Ledger entries: one for each fact of a journal besides audio, and the same one at each
reading.
"""

from __future__ import annotations

from uuid import UUID

from django.test import TestCase
from msgspec import structs

from calls import identity
from calls.models import LedgerEntry
from calls.times import from_microseconds, from_sample
from streams.journal.records import Alarm, Damage, Dtmf
from streams.sealing import ledger
from streams.sealing.digest import Digest
from streams.timeline.timeline import Gap, Jump, RateChange
from tests.streams.journals import handshake_of
from tests.streams.packets import RATE, START_US

START = START_US * RATE // 1_000_000
HANDSHAKE = structs.replace(handshake_of(), sequence=3)
CALL = UUID(HANDSHAKE.call_id)
PARTICIPANT = identity.participant_id_of(CALL, "p")
LAST_US = START_US + 7


def entries(digest: Digest) -> list[LedgerEntry]:
    return [
        *ledger.gaps_of(digest),
        *ledger.clock_entries(digest),
        *ledger.socket_entries(digest, LAST_US),
        *ledger.alarm_entries(digest),
    ]


class Entries(TestCase):
    def test_a_file_with_nothing_but_audio_has_none(self) -> None:
        self.assertEqual(entries(Digest(HANDSHAKE)), [])

    def test_a_gap_has_a_position_a_length_and_a_reason(self) -> None:
        gap = Gap(START, 24_000, RATE, "not_connected")
        (entry,) = entries(Digest(HANDSHAKE, gaps=[("p", gap)]))
        self.assertEqual((entry.kind, entry.reason, entry.call_id), ("gap", "not_connected", CALL))
        self.assertEqual(entry.participant_id, PARTICIPANT)
        self.assertEqual(
            (entry.start_sample, entry.sample_count, entry.sample_rate), (START, 24_000, RATE)
        )
        self.assertEqual(
            (entry.started_at, entry.ended_at),
            (from_microseconds(START_US), from_sample(START + 24_000, RATE)),
        )

    def test_a_clock_jump_has_its_direction_and_its_seconds(self) -> None:
        ahead = Jump(
            "p", place_us=START_US, expected_us=START_US, timestamp_us=START_US + 7_200_500_000
        )
        back = replace_jump(ahead, place_us=START_US + 1, timestamp_us=START_US - 3_000_000)
        first, second = entries(Digest(HANDSHAKE, jumps=[ahead, back]))
        self.assertEqual(
            (first.kind, first.reason, first.detail), ("clock_jump", "ahead", {"seconds": 7200.5})
        )
        self.assertEqual((second.reason, second.detail), ("back", {"seconds": -3.0}))
        self.assertEqual(
            (first.started_at, first.participant_id), (from_microseconds(START_US), PARTICIPANT)
        )

    def test_a_rate_change_has_both_rates(self) -> None:
        change = RateChange("p", START * 3 // 2, RATE, 24_000)
        (entry,) = entries(Digest(HANDSHAKE, rate_changes=[change]))
        self.assertEqual(
            (entry.kind, entry.detail), ("rate_change", {"before": RATE, "after": 24_000})
        )
        self.assertEqual(
            (entry.started_at, entry.participant_id), (from_microseconds(START_US), PARTICIPANT)
        )

    def test_tones_belong_to_the_socket_in_their_order(self) -> None:
        tones = [Dtmf(START_US, "5"), Dtmf(START_US, "5"), Dtmf(START_US + 200_000, "#")]
        found = entries(Digest(HANDSHAKE, dtmf=tones))
        self.assertEqual(
            [entry.detail for entry in found], [{"tone": "5"}, {"tone": "5"}, {"tone": "#"}]
        )
        self.assertEqual(
            [entry.started_at for entry in found],
            [from_microseconds(tone.arrived_us) for tone in tones],
        )
        self.assertEqual({entry.participant_id for entry in found}, {None})
        self.assertEqual(len({entry.id for entry in found}), 3)

    def test_damage_has_its_file_and_its_bytes(self) -> None:
        found = entries(
            Digest(HANDSHAKE, damage=[Damage(10, 25, torn=False), Damage(700, 710, torn=True)])
        )
        self.assertEqual([entry.reason for entry in found], ["damaged_record", "torn_tail"])
        self.assertEqual(
            [entry.detail for entry in found],
            [{"journal": 3, "bytes": 15}, {"journal": 3, "bytes": 10}],
        )
        self.assertEqual({entry.started_at for entry in found}, {from_microseconds(LAST_US)})

    def test_a_socket_that_broke_off_was_recovered(self) -> None:
        (entry,) = entries(Digest(HANDSHAKE, broken_off=True))
        self.assertEqual((entry.kind, entry.reason), ("recovered", "recorder_stopped"))
        self.assertEqual(entry.started_at, from_microseconds(LAST_US))

    def test_an_alarm_has_its_participant_its_beginning_and_its_end(self) -> None:
        alarms: list[tuple[str | None, Alarm]] = [("p", Alarm("clipping", 0, START_US, LAST_US))]
        alarms.append((None, Alarm("stalled", None, START_US, START_US)))
        first, second = entries(Digest(HANDSHAKE, alarms=alarms))
        self.assertEqual(
            (first.kind, first.reason, first.participant_id), ("alarm", "clipping", PARTICIPANT)
        )
        self.assertEqual(
            (first.started_at, first.ended_at),
            (from_microseconds(START_US), from_microseconds(LAST_US)),
        )
        self.assertEqual(
            (second.reason, second.participant_id, second.call_id), ("stalled", None, CALL)
        )

    def test_an_active_alarm_has_no_end_and_keeps_its_id_when_it_is_cleared(self) -> None:
        active, cleared = (
            Alarm("stalled", None, START_US),
            Alarm("stalled", None, START_US, LAST_US),
        )
        (first,) = entries(Digest(HANDSHAKE, alarms=[(None, active)]))
        (second,) = entries(Digest(HANDSHAKE, alarms=[(None, cleared)]))
        self.assertIsNone(first.ended_at)
        self.assertEqual(first.id, second.id)

    def test_alarms_of_the_same_moment_are_separate_entries(self) -> None:
        kinds = [("clipping", 0), ("clipping", 1), ("too_low", 0), ("too_low", 1)]
        alarms: list[tuple[str | None, Alarm]] = [
            ("p", Alarm(*kind, START_US, LAST_US)) for kind in kinds
        ]
        self.assertEqual(len({entry.id for entry in entries(Digest(HANDSHAKE, alarms=alarms))}), 4)

    def test_entries_are_the_same_at_each_reading_and_different_for_each_file(
        self,
    ) -> None:
        def ids(sequence: int) -> list[UUID]:
            handshake = structs.replace(HANDSHAKE, sequence=sequence)
            digest = Digest(
                handshake,
                dtmf=[Dtmf(START_US, "5")],
                damage=[Damage(0, 1, torn=False)],
                broken_off=True,
            )
            return [entry.id for entry in entries(digest)]

        self.assertEqual(ids(3), ids(3))
        self.assertEqual(len({*ids(3), *ids(4)}), 6)

    def test_every_entry_satisfies_the_constraints_of_its_table(self) -> None:
        digest = Digest(
            HANDSHAKE,
            gaps=[("p", Gap(START, 1, RATE, "not_received"))],
            jumps=[Jump("p", START_US, START_US, START_US - 1)],
            rate_changes=[RateChange("", START, RATE, 24_000)],
            dtmf=[Dtmf(START_US, "5")],
            damage=[Damage(0, 1, torn=True)],
            alarms=[("p", Alarm("clipping", 0, START_US, START_US))],
            broken_off=True,
        )
        found = entries(digest)
        self.assertEqual(len(found), 7)
        for entry in found:
            entry.clean_fields(exclude=["call", "participant", "subscription", "detail"])
            entry.validate_constraints()


def replace_jump(jump: Jump, **values: int) -> Jump:
    return structs.replace(jump, **values)
