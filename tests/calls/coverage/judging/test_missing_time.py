"""Missing time: which of the expected time was not recorded, and why."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from calls.coverage.judging.missing_time import Found, Recording, missing_time, more_than_four
from tests.calls.coverage.judging.witnesses import (
    ALICE,
    BOB,
    SECOND,
    events,
    interruption,
    present,
    refusal,
    socket,
    track,
    us,
)

INTERRUPTED = "streamConnectionInterrupted"


def recording(**values: Any) -> Recording:
    given: dict[str, Any] = {
        "expected": (0, us(60)),
        "tolerance_us": us(3),
        "sockets": (socket(),),
        "tracks": (),
        "refusals": (),
        "events": None,
    }
    return Recording(**(given | values))


def spans(found: Found) -> list[tuple[float, float, str]]:
    return [(one.start_us / SECOND, one.end_us / SECOND, one.reason) for one in found.missing]


def missing(**values: Any) -> list[tuple[float, float, str]]:
    return spans(missing_time(recording(**values)))


class Gaps(TestCase):
    def test_gaps_of_tracks_at_the_same_time_count_once(self) -> None:
        alice = track(ALICE, 1, 60, (10, 15, "not_received"))
        bob = track(BOB, 1, 60, (12, 20, "not_received"))
        self.assertEqual(missing(tracks=(alice, bob)), [(10, 20, "not_received")])

    def test_the_reason_that_explains_most_counts_where_tracks_disagree(self) -> None:
        alice = track(ALICE, 1, 60, (10, 20, "not_received"))
        bob = track(BOB, 1, 60, (12, 14, "not_written"))
        self.assertEqual(
            missing(tracks=(alice, bob)),
            [(10, 12, "not_received"), (12, 14, "not_written"), (14, 20, "not_received")],
        )

    def test_a_gap_counts_only_within_the_expected_time(self) -> None:
        early = track(ALICE, -20, 70, (-10, 5, "not_received"), (58, 65, "not_received"))
        self.assertEqual(
            missing(tracks=(early,)), [(0, 5, "not_received"), (58, 60, "not_received")]
        )

    def test_a_gap_while_muted_or_on_hold_is_not_missing(self) -> None:
        alice = track(ALICE, 1, 60, (10, 20, "not_received"), (30, 40, "not_received"))
        people = (present(ALICE, 0, 60, (11, 19)), present(BOB))
        self.assertEqual(
            missing(tracks=(alice,), events=events(presences=people)), [(30, 40, "not_received")]
        )

    def test_a_gap_beyond_the_muting_is_missing(self) -> None:
        alice = track(ALICE, 1, 60, (10, 30, "not_received"))
        people = (present(ALICE, 0, 60, (10, 20)), present(BOB))
        self.assertEqual(
            missing(tracks=(alice,), events=events(presences=people)), [(22, 30, "not_received")]
        )

    def test_the_muting_of_another_participant_excuses_nothing(self) -> None:
        alice = track(ALICE, 1, 60, (10, 20, "not_received"))
        people = (present(ALICE), present(BOB, 0, 60, (10, 20)))
        self.assertEqual(
            missing(tracks=(alice,), events=events(presences=people)), [(10, 20, "not_received")]
        )

    def test_a_gap_while_the_participant_was_away_is_not_missing(self) -> None:
        alice = track(ALICE, 1, 60, (20, 40, "not_received"))
        away = present(ALICE)._replace(present=((0, us(20)), (us(40), us(60))))
        self.assertEqual(
            missing(tracks=(alice,), events=events(presences=(away, present(BOB)))), []
        )

    def test_before_events_name_anybody_nobody_counts_as_away(self) -> None:
        alice = track(ALICE, 1, 60, (10, 20, "not_received"))
        people = (present(ALICE, 30, 60), present(BOB, 30, 60))
        self.assertEqual(
            missing(tracks=(alice,), events=events(presences=people)), [(10, 20, "not_received")]
        )

    def test_a_participant_of_whom_events_know_nothing_is_not_excused(self) -> None:
        mixed = track("", 1, 60, (10, 20, "not_received"))
        muted = present(ALICE, 0, 60, (0, 60))
        self.assertEqual(
            missing(tracks=(mixed,), events=events(presences=(muted, present(BOB)))),
            [(10, 20, "not_received")],
        )


class MoreThanFour(TestCase):
    def setUp(self) -> None:
        gap = (10, 20, "not_received")
        self.tracks = [track(f"4:+{n}", 1, 60) for n in range(4)]
        self.tracks[0] = track("4:+0", 1, 60, gap, (30, 31, "not_written"))

    def test_a_voice_that_was_not_streamed_is_missing_by_design(self) -> None:
        found = missing_time(recording(tracks=(*self.tracks, track(BOB, 5, 15))))
        self.assertEqual(spans(found), [(15, 20, "not_received"), (30, 31, "not_written")])
        self.assertEqual(found.by_design_us, us(5))

    def test_four_voices_are_all_streamed(self) -> None:
        found = missing_time(recording(tracks=self.tracks))
        self.assertEqual(spans(found), [(10, 20, "not_received"), (30, 31, "not_written")])
        self.assertEqual(found.by_design_us, 0)

    def test_events_know_who_was_there_better_than_the_audio(self) -> None:
        people = tuple(present(f"4:+{n}") for n in range(5))
        found = missing_time(recording(tracks=self.tracks, events=events(presences=people)))
        self.assertEqual(spans(found), [(30, 31, "not_written")])
        self.assertEqual(found.by_design_us, us(10))

    def test_bots_and_lines_take_no_voice_until_they_are_heard(self) -> None:
        people = (*(present(f"4:+{n}") for n in range(4)), present("28:bot"))
        silent = recording(tracks=self.tracks, events=events(presences=people))
        self.assertEqual(more_than_four(silent), [])
        heard = silent._replace(tracks=(*self.tracks, track("28:bot")))
        self.assertEqual(more_than_four(heard), [(0, us(60))])

    def test_the_mixed_audio_has_every_voice(self) -> None:
        people = tuple(present(f"4:+{n}") for n in range(5))
        mixed = track("", 1, 60, (10, 20, "not_received"))
        self.assertEqual(
            missing(tracks=(mixed,), events=events(presences=people)), [(10, 20, "not_received")]
        )


class TimeWithoutAudio(TestCase):
    def test_a_beginning_and_an_end_within_the_tolerance_are_not_missing(self) -> None:
        self.assertEqual(missing(tracks=(track(ALICE, 3, 57),)), [])
        self.assertEqual(
            missing(tracks=(track(ALICE, 3.1, 56.9),)),
            [(0, 3.1, "not_received"), (56.9, 60, "not_received")],
        )

    def test_without_a_socket_nothing_was_streamed(self) -> None:
        found = missing_time(recording(sockets=()))
        self.assertEqual(spans(found), [(0, 60, "never_streamed")])
        self.assertFalse(found.has_audio)

    def test_it_is_told_whether_a_socket_was_open(self) -> None:
        found = missing(sockets=(socket(1, 40),), tracks=(track(ALICE, 1, 30),))
        self.assertEqual(found, [(30, 40, "not_received"), (40, 60, "not_connected")])

    def test_a_socket_that_closes_a_moment_later_does_not_split_the_time(self) -> None:
        found = missing(sockets=(socket(1, 31),), tracks=(track(ALICE, 1, 30),))
        self.assertEqual(found, [(30, 60, "not_connected")])
        found = missing(sockets=(socket(1, 59),), tracks=(track(ALICE, 1, 30),))
        self.assertEqual(found, [(30, 60, "not_received")])

    def test_audio_of_a_socket_that_is_not_over_may_still_be_sealed(self) -> None:
        open_one = socket(1, 50, is_over=False)
        found = missing(sockets=(open_one,), tracks=(track(ALICE, 1, 30),))
        self.assertEqual(found, [(30, 50, "not_sealed"), (50, 60, "not_connected")])

    def test_time_between_two_participants_is_missing_too(self) -> None:
        found = missing(tracks=(track(ALICE, 1, 20), track(BOB, 30, 60)))
        self.assertEqual(found, [(20, 30, "not_received")])

    def test_nobody_who_can_be_heard_is_missed(self) -> None:
        people = (present(ALICE, 0, 60, (30, 60)), present(BOB, 0, 28), present("28:line"))
        found = missing(tracks=(track(ALICE, 1, 30),), events=events(presences=people))
        self.assertEqual(found, [])

    def test_somebody_who_can_be_heard_is_missed(self) -> None:
        people = (present(ALICE, 0, 60, (30, 60)), present(BOB, 0, 50))
        found = missing(tracks=(track(ALICE, 1, 30),), events=events(presences=people))
        self.assertEqual(found, [(30, 48, "not_received")])

    def test_participants_without_a_time_say_nothing(self) -> None:
        named = present(ALICE)._replace(present=())
        found = missing(tracks=(track(ALICE, 1, 30),), events=events(presences=(named,)))
        self.assertEqual(found, [(30, 60, "not_received")])


class Reasons(TestCase):
    def test_an_interruption_explains_a_gap(self) -> None:
        told = events(interruptions=(interruption(9.5, 14, INTERRUPTED),))
        alice = track(ALICE, 1, 60, (10, 15, "not_connected"))
        self.assertEqual(missing(tracks=(alice,), events=told), [(10, 15, INTERRUPTED)])

    def test_an_interruption_near_a_short_gap_explains_it(self) -> None:
        told = events(interruptions=(interruption(12, 13, INTERRUPTED),))
        alice = track(ALICE, 1, 60, (10, 11, "not_received"), (20, 21, "not_received"))
        self.assertEqual(
            missing(tracks=(alice,), events=told),
            [(10, 11, INTERRUPTED), (20, 21, "not_received")],
        )

    def test_an_interruption_explains_no_more_than_its_time(self) -> None:
        told = events(interruptions=(interruption(20, 30, INTERRUPTED),))
        alice = track(ALICE, 1, 60, (10, 40, "not_received"))
        self.assertEqual(
            missing(tracks=(alice,), events=told),
            [(10, 20, "not_received"), (20, 30, INTERRUPTED), (30, 40, "not_received")],
        )

    def test_an_interruption_does_not_explain_faults_of_this_host(self) -> None:
        told = events(interruptions=(interruption(9, 16, INTERRUPTED),))
        alice = track(ALICE, 1, 60, (10, 15, "not_written"))
        self.assertEqual(missing(tracks=(alice,), events=told), [(10, 15, "not_written")])

    def test_a_refusal_explains_why_no_socket_was_open(self) -> None:
        late = {"sockets": (socket(20, 60),), "tracks": (track(ALICE, 20, 60),)}
        refused = (refusal(1, 2, "no_keys"), refusal(14, 15), refusal(59, 59, "overloaded"))
        self.assertEqual(missing(**late, refusals=refused), [(0, 20, "refused_expired")])
        self.assertEqual(missing(**late, refusals=refused[2:]), [(0, 20, "not_connected")])

    def test_a_refusal_explains_more_than_the_interruption_that_it_caused(self) -> None:
        told = events(interruptions=(interruption(0, 60, "initialWebSocketConnectionFailed"),))
        self.assertEqual(
            missing(sockets=(), events=told, refusals=(refusal(1, 1),)),
            [(0, 60, "refused_expired")],
        )

    def test_a_refusal_does_not_explain_a_gap_of_an_open_socket(self) -> None:
        alice = track(ALICE, 1, 60, (10, 15, "not_received"))
        self.assertEqual(
            missing(tracks=(alice,), refusals=(refusal(12, 12),)), [(10, 15, "not_received")]
        )

    def test_a_failure_explains_why_a_call_was_never_streamed(self) -> None:
        self.assertEqual(missing(sockets=(), events=events(failure="8603")), [(0, 60, "8603")])
        self.assertEqual(missing(sockets=(), events=events()), [(0, 60, "never_streamed")])

    def test_an_interruption_without_a_reason_has_the_code_of_the_failure(self) -> None:
        told = events(interruptions=(interruption(0, 60, "unspecifiedError"),), failure="8603")
        self.assertEqual(missing(sockets=(), events=told), [(0, 60, "8603")])
