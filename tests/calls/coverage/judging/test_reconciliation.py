"""The verdict about a call: which witness counts, what is missing, what differs."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.coverage.judging.reconciliation import Basis, Judgement, reconcile
from calls.coverage.judging.spans import overlap
from calls.coverage.judging.witnesses import Events, Gap, Track, Witnesses
from tests.calls.coverage.judging.witnesses import (
    ALICE,
    BOB,
    SECOND,
    call,
    events,
    interruption,
    present,
    refusal,
    socket,
    statement,
    track,
    us,
)

RECORDED: dict[str, Any] = {"sockets": (socket(),), "tracks": (track(),)}


def judged(witnesses: Witnesses) -> Judgement:
    found = reconcile(witnesses)
    assert found, "these witnesses prove a call"
    return found


def missing(found: Judgement) -> list[tuple[float, float, str]]:
    return [(one.start_us / SECOND, one.end_us / SECOND, one.reason) for one in found.missing]


class Verdicts(TestCase):
    def test_a_recorded_call_is_complete_although_its_socket_opens_a_second_late(self) -> None:
        found = judged(call(events=events(), **RECORDED))
        self.assertEqual((found.verdict, found.basis), ("complete", Basis.EVENTS))
        self.assertEqual((found.expected_us, found.recorded_us), (us(60), us(60)))

    def test_a_call_with_a_gap_is_partial(self) -> None:
        gap = (10, 15, "not_written")
        found = judged(call(events=events(), sockets=socket(), tracks=track(ALICE, 1, 60, gap)))
        self.assertEqual((found.verdict, missing(found)), ("partial", [gap]))
        self.assertEqual((found.expected_us, found.recorded_us), (us(60), us(55)))
        self.assertEqual(found.missing_us, us(5))

    def test_a_call_that_was_never_streamed_is_missing(self) -> None:
        found = judged(call(events=events()))
        self.assertEqual(found.verdict, "missing")
        self.assertEqual(missing(found), [(0, 60, "never_streamed")])
        self.assertEqual(found.recorded_us, 0)

    def test_a_socket_without_audio_is_a_missing_call(self) -> None:
        found = judged(call(sockets=socket(0, 60)))
        self.assertEqual((found.verdict, found.basis), ("missing", Basis.JOURNAL))
        self.assertEqual(missing(found), [(0, 60, "not_received")])

    def test_a_recording_without_other_witnesses_is_judged_by_our_journal(self) -> None:
        found = judged(call(**RECORDED))
        self.assertEqual((found.verdict, found.basis), ("complete", Basis.JOURNAL))
        self.assertEqual(found.expected_us, us(59))

    def test_it_is_unexpected_where_other_calls_have_witnesses(self) -> None:
        gap = (10, 15, "not_received")
        alone = call(sockets=socket(), tracks=track(ALICE, 1, 60, gap), has_neighbours=True)
        found = judged(alone)
        self.assertEqual((found.verdict, found.missing), ("unexpected", ()))
        self.assertEqual((found.expected_us, found.recorded_us), (0, us(54)))
        self.assertEqual(judged(alone._replace(events=events())).verdict, "partial")
        self.assertEqual(judged(alone._replace(statements=(statement(),))).verdict, "partial")

    def test_a_socket_without_audio_is_missing_also_where_other_calls_have_witnesses(self) -> None:
        self.assertEqual(judged(call(sockets=socket(), has_neighbours=True)).verdict, "missing")

    def test_nothing_proves_no_call(self) -> None:
        self.assertIsNone(reconcile(call()))

    def test_an_end_without_a_beginning_was_no_call(self) -> None:
        self.assertIsNone(reconcile(call(events=events(None, 60, first_us=us(60)))))

    def test_a_call_too_short_to_be_streamed_is_complete_and_counts_no_second(self) -> None:
        found = judged(call(events=events(0, 3)))
        self.assertEqual((found.verdict, found.expected_us, found.recorded_us), ("complete", 0, 0))
        self.assertEqual(judged(call(events=events(0, 3.001))).verdict, "missing")

    def test_a_short_call_is_missing_if_streaming_has_failed(self) -> None:
        found = judged(call(events=events(0, 2, failure="8603")))
        self.assertEqual((found.verdict, missing(found)), ("missing", [(0, 2, "8603")]))

    def test_muted_time_of_a_missing_call_is_neither_recorded_nor_expected(self) -> None:
        muted = present(ALICE, 0, 60, (20, 40))
        found = judged(call(events=events(presences=(muted,))))
        self.assertEqual(found.verdict, "missing")
        self.assertEqual(missing(found), [(0, 18, "never_streamed"), (42, 60, "never_streamed")])
        self.assertEqual((found.expected_us, found.recorded_us), (us(36), 0))

    def test_refusals_alone_are_a_missing_call(self) -> None:
        found = judged(call(refusals=(refusal(3, 3), refusal(5, 8, "wrong_audience"))))
        self.assertEqual((found.verdict, found.basis), ("missing", Basis.REFUSALS))
        self.assertEqual(missing(found), [(3, 8, "refused_wrong_audience")])
        self.assertTrue(found.is_refused)

    def test_one_refusal_is_a_missing_call_of_no_known_length(self) -> None:
        found = judged(call(refusals=refusal(3, 3)))
        self.assertEqual((found.verdict, found.expected_us), ("missing", 0))
        self.assertTrue(found.is_refused)


class ExpectedTime(TestCase):
    def test_events_are_believed_before_statements(self) -> None:
        found = judged(call(events=events(0, 60), statements=statement(0, 90), **RECORDED))
        self.assertEqual((found.start_us, found.end_us), (0, us(60)))

    def test_a_statement_tells_the_time_that_events_do_not(self) -> None:
        begun = call(events=events(0, None, last_us=us(1)), statements=statement(2, 50))
        self.assertEqual((judged(begun).start_us, judged(begun).end_us), (0, us(50)))
        ended = call(events=events(None, 60, first_us=us(5)), statements=statement(2, 50))
        self.assertEqual((judged(ended).start_us, judged(ended).end_us), (us(2), us(60)))

    def test_our_journal_tells_it_without_a_statement(self) -> None:
        begun = judged(call(events=events(0, None, last_us=us(1)), **RECORDED))
        self.assertEqual((begun.end_us, begun.verdict), (us(60), "complete"))
        ended = judged(call(events=events(None, 60, first_us=us(9)), **RECORDED))
        self.assertEqual((ended.start_us, ended.verdict), (us(1), "complete"))

    def test_events_alone_tell_a_time_from_the_first_to_the_last(self) -> None:
        found = judged(call(events=events(None, None, first_us=us(5), last_us=us(30))))
        self.assertEqual((found.start_us, found.end_us), (us(5), us(30)))

    def test_statements_together_tell_the_longest_time(self) -> None:
        both = (statement(0, 40), statement(5, 60), statement(6, None))
        found = judged(call(statements=both))
        self.assertEqual((found.basis, found.start_us, found.end_us), ("statements", 0, us(60)))

    def test_a_statement_without_an_end_lasts_as_long_as_the_recording(self) -> None:
        found = judged(call(statements=statement(0, None), **RECORDED))
        self.assertEqual((found.end_us, found.verdict), (us(60), "complete"))

    def test_a_stated_call_of_no_known_length_is_missing(self) -> None:
        found = judged(call(statements=statement(0, None)))
        self.assertEqual((found.verdict, found.expected_us), ("missing", 0))
        short = judged(call(statements=statement(0, 8)))
        self.assertEqual((short.verdict, short.expected_us), ("complete", 0))

    def test_an_end_before_the_beginning_is_no_time(self) -> None:
        self.assertEqual(
            judged(call(events=events(60, 0), refusals=refusal(60, 60))).expected_us, 0
        )


class Clocks(TestCase):
    def test_a_recorder_whose_clock_is_ahead_has_sockets_that_open_after_their_audio(self) -> None:
        ahead = call(events=events(0, 90), sockets=socket(31, 90), tracks=track(ALICE, 1, 60))
        found = judged(ahead)
        self.assertEqual(found.ahead_us, us(30))
        self.assertEqual(missing(found), [(60, 90, "not_connected")])

    def test_a_recorder_whose_clock_is_behind_has_sockets_that_end_before_their_audio(self) -> None:
        behind = call(events=events(0, 90), sockets=socket(-29, 30), tracks=track(ALICE, 1, 60))
        self.assertEqual(judged(behind).ahead_us, us(-30))

    def test_an_event_received_before_it_happened_shows_a_clock_that_is_behind(self) -> None:
        found = judged(call(events=events(earliest_us=us(-20)), refusals=refusal(-20, -19)))
        self.assertEqual(found.ahead_us, us(-20))
        self.assertEqual(missing(found), [(0, 60, "refused_expired")])

    def test_an_event_that_was_held_up_shows_nothing(self) -> None:
        self.assertEqual(judged(call(events=events(earliest_us=us(600)), **RECORDED)).ahead_us, 0)

    def test_two_seconds_are_the_delay_of_the_network(self) -> None:
        near = call(sockets=socket(3, 60), tracks=track(ALICE, 1, 60))
        self.assertEqual(judged(near).ahead_us, 0)

    def test_a_statement_that_lasts_as_long_is_moved_onto_the_recording(self) -> None:
        found = judged(call(statements=statement(3600, 3660), **RECORDED))
        self.assertEqual((found.verdict, found.shift_us), ("complete", us(-3599)))

    def test_a_statement_that_begins_within_the_tolerance_is_not_moved(self) -> None:
        found = judged(call(statements=statement(-8, 60), **RECORDED))
        self.assertEqual((found.verdict, found.shift_us), ("complete", 0))

    def test_a_longer_call_is_moved_only_from_quite_another_time(self) -> None:
        found = judged(call(statements=statement(0, 100), **RECORDED))
        self.assertEqual(found.shift_us, 0)
        self.assertEqual(missing(found), [(60, 100, "not_connected")])
        found = judged(call(statements=statement(7200, 7300), **RECORDED))
        self.assertEqual(missing(found), [(60, 101, "not_connected")])

    def test_events_of_quite_another_time_are_moved(self) -> None:
        found = judged(call(events=events(1000, 1060), **RECORDED))
        self.assertEqual((found.verdict, found.shift_us), ("complete", us(-999)))


class Differences(TestCase):
    def test_a_recording_may_be_longer_or_shorter_than_the_call(self) -> None:
        self.assertEqual(judged(call(events=events(0, 60), **RECORDED)).longer_us, 0)
        self.assertEqual(judged(call(events=events(0, 30), **RECORDED)).longer_us, us(29))
        self.assertEqual(judged(call(events=events(0, 90), **RECORDED)).longer_us, us(-31))
        self.assertEqual(judged(call(events=events(0, 90))).longer_us, 0)

    def test_participants_that_were_never_heard_are_counted(self) -> None:
        people = (present(ALICE), present(BOB), present("28:orgid:line"))
        found = judged(call(events=events(presences=people), **RECORDED))
        self.assertEqual((found.participants.expected, found.participants.recorded), (2, 1))
        self.assertEqual(found.participants.fewer, 1)

    def test_a_bot_counts_if_it_was_heard(self) -> None:
        people = (present(ALICE), present("28:bot"))
        heard = (track(), track("28:bot"))
        found = judged(call(events=events(presences=people), sockets=socket(), tracks=heard))
        self.assertEqual((found.participants.expected, found.participants.fewer), (2, 0))

    def test_a_participant_that_never_joined_is_not_expected(self) -> None:
        named = present(BOB)._replace(present=())
        found = judged(call(events=events(presences=(named,)), **RECORDED))
        self.assertIsNone(found.participants.expected)

    def test_mixed_audio_has_no_number_of_participants(self) -> None:
        found = judged(call(statements=statement(0, 60, 3), sockets=socket(), tracks=track("")))
        self.assertEqual((found.participants.expected, found.participants.fewer), (3, 0))

    def test_more_than_four_participants_are_said(self) -> None:
        five = statement(0, 60, 5)
        self.assertTrue(judged(call(statements=five, **RECORDED)).participants.more_than_four)
        self.assertFalse(
            judged(call(statements=statement(0, 60, 4), **RECORDED)).participants.more_than_four
        )
        people = tuple(present(f"4:+{n}") for n in range(5))
        self.assertTrue(
            judged(call(events=events(presences=people), **RECORDED)).participants.more_than_four
        )


SECONDS = st.integers(0, 80)
REASONS = st.sampled_from(
    ["not_received", "not_connected", "not_written", "recorder_stopped", "not_known"]
)


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    raw_id = draw(st.sampled_from([ALICE, BOB, ""]))
    start = draw(SECONDS)
    end = start + draw(st.integers(1, 60))
    edges = sorted(draw(st.lists(st.integers(start, end), max_size=6)))
    gaps = [
        Gap(us(one), us(other), draw(REASONS))
        for one, other in zip(edges[::2], edges[1::2], strict=False)
        if start < one < other < end
    ]
    return Track(raw_id, us(start), us(end), tuple(gaps))


@st.composite
def histories(draw: st.DrawFn) -> Events:
    start = draw(st.none() | SECONDS)
    end = draw(st.none() | SECONDS)
    breaks = draw(st.lists(st.tuples(SECONDS, st.integers(1, 20)), max_size=2))
    quiet = draw(st.lists(st.tuples(SECONDS, SECONDS), max_size=2))
    people = draw(st.sets(st.sampled_from([ALICE, BOB, "4:+1", "4:+2", "4:+3", "28:line"])))
    return events(
        start,
        end,
        first_us=us(draw(SECONDS)),
        last_us=us(draw(SECONDS)),
        presences=tuple(present(one, draw(SECONDS), 80, *quiet) for one in sorted(people)),
        interruptions=tuple(
            interruption(at, at + seconds, "streamConnectionInterrupted") for at, seconds in breaks
        ),
        failure=draw(st.sampled_from(["", "8581"])),
        earliest_us=us(draw(st.integers(-10, 100))),
    )


@st.composite
def calls(draw: st.DrawFn) -> Witnesses:
    ends = draw(st.lists(st.tuples(SECONDS, st.integers(1, 60)), max_size=3))
    refused = draw(st.lists(st.tuples(SECONDS, st.integers(0, 5)), max_size=2))
    stated = draw(st.lists(st.tuples(SECONDS, st.none() | st.integers(80, 99)), max_size=2))
    return call(
        events=draw(st.none() | histories()),
        statements=tuple(statement(*one, draw(st.none() | st.integers(0, 9))) for one in stated),
        refusals=tuple(refusal(at, at + seconds) for at, seconds in refused),
        sockets=tuple(
            socket(at, at + seconds, is_over=draw(st.booleans())) for at, seconds in ends
        ),
        tracks=tuple(draw(st.lists(tracks(), max_size=3, unique_by=lambda one: one.raw_id))),
        has_neighbours=draw(st.booleans()),
    )


class Laws(TestCase):
    @given(calls())
    def test_expected_time_is_recorded_or_missing(self, witnesses: Witnesses) -> None:
        found = reconcile(witnesses)
        if found is None or found.verdict == "unexpected":
            return
        self.assertEqual(found.expected_us, found.recorded_us + found.missing_us)
        self.assertGreaterEqual(found.recorded_us, 0)
        self.assertIn(found.verdict, ("complete", "partial", "missing"))

    @given(calls())
    def test_missing_spans_are_in_order_apart_and_within_the_call(
        self, witnesses: Witnesses
    ) -> None:
        found = reconcile(witnesses)
        for one in found.missing if found else ():
            self.assertLess(one.start_us, one.end_us)
            self.assertGreaterEqual(one.start_us, found.start_us if found else 0)
            self.assertLessEqual(one.end_us, found.end_us if found else 0)
            self.assertTrue(one.reason)
        for before, after in pairwise(found.missing if found else ()):
            self.assertLessEqual(before.end_us, after.start_us)

    @given(calls())
    def test_a_verdict_says_what_the_seconds_say(self, witnesses: Witnesses) -> None:
        found = reconcile(witnesses)
        if found is None:
            return
        if found.verdict in ("complete", "unexpected"):
            self.assertEqual(found.missing, ())
        elif found.verdict == "missing":
            self.assertEqual((found.recorded_us, found.longer_us), (0, 0))
        elif found.verdict == "partial":
            self.assertGreater(found.missing_us, 0)
            self.assertTrue(witnesses.tracks)

    @given(calls(), st.randoms())
    def test_the_order_of_witnesses_changes_nothing(
        self, witnesses: Witnesses, random: Random
    ) -> None:
        shuffled: dict[str, Any] = {}
        for name in ("statements", "refusals", "sockets", "tracks"):
            values = list(getattr(witnesses, name))
            random.shuffle(values)
            shuffled[name] = tuple(values)
        self.assertEqual(reconcile(witnesses), reconcile(witnesses._replace(**shuffled)))

    @given(calls(), SECONDS, st.integers(1, 20), REASONS)
    def test_one_gap_more_is_never_less_missing_time(
        self, witnesses: Witnesses, start: int, seconds: int, reason: str
    ) -> None:
        before = reconcile(witnesses)
        if before is None or not witnesses.tracks or before.verdict == "missing":
            return
        first, *others = witnesses.tracks
        gap = Gap(us(start), us(start + seconds), reason)
        if not first.start_us < gap.start_us < gap.end_us < first.end_us:
            return
        more = first._replace(gaps=(*first.gaps, gap))
        after = reconcile(witnesses._replace(tracks=(more, *others)))
        assert after, "it is still a call"
        self.assertGreaterEqual(after.missing_us, before.missing_us)

    @given(calls())
    def test_time_with_audio_of_the_only_track_is_never_missing(self, witnesses: Witnesses) -> None:
        found = reconcile(witnesses)
        if found is None or len(witnesses.tracks) != 1:
            return
        (only,) = witnesses.tracks
        gaps = [(gap.start_us, gap.end_us) for gap in only.gaps]
        for one in found.missing:
            span = (one.start_us, one.end_us)
            if overlap(span, (only.start_us, only.end_us)):
                self.assertTrue(any(overlap(span, gap) for gap in gaps))
