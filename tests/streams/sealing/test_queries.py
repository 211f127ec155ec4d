"""Queries before sealing: one for many files, and only rows that concern them."""

from __future__ import annotations

from uuid import UUID

from django.test import TestCase, override_settings
from django.utils import timezone
from msgspec import structs

from calls import identity
from calls.identity import CallLink
from calls.models import Call, LedgerEntry, Participant, Subscription
from calls.times import from_microseconds
from streams.acs.messages import SAMPLE_RATES
from streams.journal.records import Handshake
from streams.sealing import queries
from streams.sealing.digest import SealedSegment
from streams.timeline.socket_clock import SocketClock
from streams.timeline.timeline import Timeline
from tests.streams.journals import handshake_of
from tests.streams.packets import RATE, START_US
from tests.streams.written import START, announce, later, open_facts, replace_facts, segment, write

END_US = START_US + 1_000_000


class Sealed(TestCase):
    def test_a_file_is_sealed_when_its_segments_are_rows(self) -> None:
        handshake, another = structs.replace(handshake_of(), sequence=3), handshake_of("another")
        write(handshake, [segment(0, 10), segment(20, 10, 2)])
        write(another, [segment(0, 10)])
        asked = [
            (handshake.stream_id, 3),
            (handshake.stream_id, 0),
            (another.stream_id, 3),
            (another.stream_id, 0),
        ]
        with self.assertNumQueries(1):
            found = queries.sealed_among(asked)
        self.assertEqual(found, {(handshake.stream_id, 3), (another.stream_id, 0)})

    def test_without_files_there_is_no_query(self) -> None:
        with self.assertNumQueries(0):
            self.assertEqual((queries.sealed_among([]), queries.axes_of([])), (set(), []))

    def test_the_duplicates_counted_so_far_are_found(self) -> None:
        handshake = handshake_of()
        write(handshake, facts=replace_facts(open_facts(handshake), duplicate=12))
        self.assertEqual(queries.duplicates_of(handshake.stream_id, 0), 12)


@override_settings(RECONNECT_GRACE_SECONDS=10)
class Decided(TestCase):
    """Sockets that opened while the database could not be asked. The first call ends after 10 s."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.link = CallLink(UUID(self.first.call_id))

    def guess(self, seconds: float) -> Handshake:
        return structs.replace(later(self.first, seconds), is_guess=True)

    def decide(self, handshake: Handshake) -> tuple[Handshake, CallLink]:
        (one,) = queries.decided([handshake])
        link = CallLink(self.link.first_id, one.continuation)
        self.assertEqual(one.call_id, str(link.id))
        self.assertEqual(one.continued_from, str(link.continued_from or ""))
        self.assertFalse(one.is_guess, "decided once and for all")
        return one, link

    def test_the_first_of_its_connection_id_begins_the_first_call(self) -> None:
        self.assertEqual(self.decide(self.guess(0))[1], self.link)

    def test_one_within_the_grace_time_joins_the_call(self) -> None:
        write(self.first)
        self.assertEqual(self.decide(self.guess(15))[1], self.link)

    def test_one_after_the_grace_time_begins_another_call_and_stays_there(self) -> None:
        write(self.first)
        guess = self.guess(25)
        decided, link = self.decide(guess)
        self.assertEqual(link, self.link.following)
        write(decided)
        self.assertEqual(self.decide(guess)[1], link, "of its next journal file")

    def test_what_is_no_guess_is_not_asked_about(self) -> None:
        with self.assertNumQueries(0):
            self.assertEqual(queries.decided([self.first]), [self.first])


class Positions(TestCase):
    """The order of the sockets of a call, whatever the clocks of their hosts show."""

    def setUp(self) -> None:
        self.first = handshake_of()

    def positions(self, *handshakes: Handshake) -> list[int | None]:
        return [Subscription.objects.get(stream_id=one.stream_id).position for one in handshakes]

    def test_a_socket_that_becomes_a_row_while_it_is_open_is_the_latest(self) -> None:
        sockets = [self.first, later(self.first, -3600), later(self.first, 3600), self.first]
        for handshake in sockets:
            announce(handshake, [open_facts(handshake)])
        self.assertEqual(self.positions(*sockets), [1, 2, 3, 1])
        self.assertEqual([one.position for one in Subscription.objects.all()], [1, 2, 3])
        self.assertTrue(queries.connected_before(sockets[0], sockets[1]))
        self.assertFalse(queries.connected_before(sockets[1], sockets[0]))
        self.assertFalse(queries.connected_before(sockets[0], sockets[0]))
        self.assertEqual(Call.objects.get().started_at, from_microseconds(START_US))

    def test_a_socket_keeps_its_position_until_its_end(self) -> None:
        second = later(self.first, -3600)
        for handshake in (self.first, second):
            announce(handshake, [open_facts(handshake)])
        for handshake in (second, self.first):
            write(handshake)
        self.assertEqual(self.positions(self.first, second), [1, 2])
        self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "ended")
        reconnect = LedgerEntry.objects.get(kind="reconnect")
        self.assertEqual(reconnect.started_at, from_microseconds(second.connected_at_us))

    def test_a_socket_that_is_over_before_it_becomes_a_row_has_its_place_by_the_clock(self) -> None:
        third, second = later(self.first, 60), later(self.first, 30)
        announce(third, [open_facts(third)])
        write(self.first)
        write(second)
        ordered = Subscription.objects.latest_first().values_list("stream_id", flat=True)
        expected = [UUID(one.stream_id) for one in (second, self.first)]
        self.assertEqual([*ordered][1:], expected)
        self.assertEqual(Call.objects.get().started_at, from_microseconds(START_US))

    def test_a_socket_whose_first_file_becomes_a_row_late_has_its_place_by_the_clock(self) -> None:
        """Its process died; it has more files."""
        second = later(self.first, 30)
        announce(second, [open_facts(second)])
        write(second)
        write(self.first, facts=open_facts(self.first))
        write(structs.replace(self.first, sequence=1))
        latest = Subscription.objects.latest_first().values_list("stream_id", flat=True)[0]
        self.assertEqual(latest, UUID(second.stream_id))

    def test_of_two_subscriptions_that_end_at_once_the_closed_one_is_the_latest(self) -> None:
        """The network held up the second metadata message until the socket was closed."""
        for codes in ((None, 1000), (1000, None)):  # rows have no order of their own
            Call.objects.all().delete()
            facts = [
                structs.replace(open_facts(self.first), index=index, close_code=code)
                for index, code in enumerate(codes)
            ]
            for one in facts:
                one.disconnected_us = START_US + 1_000_000
            announce(self.first, facts)
            write(self.first, facts=facts[0])
            write(self.first, facts=facts[1])
            self.assertEqual(Call.objects.with_state(timezone.now()).get().state, "ended")

    def test_an_open_socket_that_becomes_a_row_late_still_begins_the_call(self) -> None:
        second = later(self.first, 30)
        write(second)
        announce(self.first, [open_facts(self.first)])
        self.assertEqual(Call.objects.get().started_at, from_microseconds(START_US))
        self.assertTrue(queries.connected_before(self.first, second))

    def test_a_second_metadata_has_the_position_of_its_socket(self) -> None:
        facts = open_facts(self.first)
        announce(self.first, [facts])
        second = later(self.first, 30)
        announce(second, [open_facts(second)])
        announce(self.first, [facts, replace_facts(facts, index=1)])
        found = Subscription.objects.order_by("position").values_list("position", flat=True)
        self.assertEqual([*found], [1, 1, 2])

    def test_a_row_of_an_older_version_stays_the_earliest(self) -> None:
        second = later(self.first, -3600)
        announce(self.first, [open_facts(self.first)])
        Subscription.objects.update(position=None)
        announce(second, [open_facts(second)])
        announce(self.first, [open_facts(self.first)])
        self.assertEqual(self.positions(self.first, second), [None, 1])
        self.assertFalse(queries.connected_before(self.first, second), "then clocks decide")


class OtherSockets(TestCase):
    def test_calls_with_another_socket_are_found_with_the_earliest_one(self) -> None:
        alone, first, unknown = (
            handshake_of("alone"),
            handshake_of("several"),
            handshake_of("unknown"),
        )
        for handshake in (alone, later(first, 60), later(first, 30), first):
            announce(handshake, [open_facts(handshake)])
        with self.assertNumQueries(1):
            found = queries.other_sockets([alone, first, unknown])
        self.assertEqual(found, {first.call_id: from_microseconds(START_US + 30_000_000)})


class Beside(TestCase):
    """Sockets that were open at the same time as another one."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.at_us = self.first.connected_at_us

    def add(self, seconds: int, closed_after: int | None = None) -> str:
        handshake = later(self.first, seconds)
        facts, at_us = open_facts(handshake), handshake.connected_at_us
        if closed_after is not None:
            facts = replace_facts(facts, disconnected_us=at_us + closed_after * 1_000_000)
        announce(handshake, [facts])
        Subscription.objects.filter(stream_id=handshake.stream_id).update(
            disconnected_at=None
            if facts.disconnected_us is None
            else from_microseconds(facts.disconnected_us)
        )
        return handshake.stream_id

    def test_are_those_that_were_not_closed_before_it_or_opened_after_it(self) -> None:
        announce(self.first, [open_facts(self.first)])
        self.add(-50, closed_after=49)
        lingering, still = self.add(-40, closed_after=41), self.add(-30)
        twin, after = self.add(10, closed_after=5), self.add(21)
        announce(handshake_of("another"), [open_facts(handshake_of("another"))])
        with self.assertNumQueries(1):
            found = queries.open_beside(self.first, self.at_us + 20_000_000)
        ended = self.at_us + 1_000_000, None, self.at_us + 15_000_000
        self.assertEqual(found, dict(zip((lingering, still, twin), ended, strict=True)))
        self.assertEqual(
            queries.open_beside(self.first, None).keys(), {lingering, still, twin, after}
        )

    def test_those_that_touch_it_are_among_them(self) -> None:
        """A burst of the network brings the end of one and the beginning of the other at once."""
        announce(self.first, [open_facts(self.first)])
        touching = {self.add(-50, closed_after=50), self.add(20)}
        found = queries.open_beside(self.first, self.at_us + 20_000_000)
        self.assertEqual(found.keys(), touching)


class Near(TestCase):
    """Stored segments at the positions of a file's audio."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.second = later(self.first, 1)

    def near(self, *segments: SealedSegment) -> dict[str, list[tuple[int, int]]]:
        names = {
            identity.participant_id_of(UUID(self.first.call_id), raw_id): raw_id for raw_id in "pqr"
        }
        found = queries.stored_near([(self.second, segments)])
        return {
            names[key]: [(one.start_sample - START, one.end_sample - START) for one in of]
            for key, of in found.items()
        }

    def test_a_file_without_audio_needs_no_query(self) -> None:
        write(self.first, [segment(0, 10)])
        with self.assertNumQueries(0):
            self.assertEqual(self.near(), {})

    def test_many_files_need_one_query(self) -> None:
        another = handshake_of("another")
        for handshake in (self.first, another):
            write(handshake, [segment(0, 10), segment(20, 10, 2)])
        with self.assertNumQueries(1):
            found = queries.stored_near(
                [(self.second, [segment(5, 10)]), (later(another, 1), [segment(5, 10)])]
            )
        self.assertEqual(
            {key: len(of) for key, of in found.items()}, dict.fromkeys(self.participants(), 2)
        )

    def participants(self) -> list[UUID]:
        return list(Participant.objects.values_list("id", flat=True))

    def test_segments_of_the_same_voices_are_found_in_order(self) -> None:
        write(
            self.first,
            [
                segment(20, 10),
                segment(0, 10, 2),
                segment(0, 10, raw_id="q"),
                segment(0, 10, raw_id="r"),
            ],
        )
        found = self.near(segment(5, 10), segment(5, 10, raw_id="q"))
        self.assertEqual(found, {"p": [(0, 10), (20, 30)], "q": [(0, 10)]})

    def test_the_longest_segment_that_reaches_into_the_position_is_found(self) -> None:
        long = segment(0, 10 * RATE)
        write(self.first, [long])
        self.assertEqual(self.near(segment(10 * RATE - 1, 10)), {"p": [(0, 10 * RATE)]})

    def test_the_longest_segment_that_may_have_equal_packets_is_found_at_any_rate(self) -> None:
        for number, rate in enumerate((min(SAMPLE_RATES), RATE, max(SAMPLE_RATES))):
            write(self.first, [segment(0, 10 * rate, number + 1, rate=rate)])
            near, far = (10 + queries.FAR_SECONDS + more for more in (-0.1, 1.1))
            with self.subTest(rate=rate):
                self.assertEqual(len(self.near(segment(round(near * RATE), 10))["p"]), number + 1)
                self.assertEqual(self.near(segment(round(far * RATE), 10)), {})

    def test_all_segments_stored_behind_the_position_are_found(self) -> None:
        write(self.first, [segment(RATE * number, RATE, number) for number in range(50)])
        self.assertEqual(len(self.near(segment(5, 10))["p"]), 50)

    def test_audio_of_the_socket_itself_is_included(self) -> None:
        write(self.first, [segment(0, 10)])
        write(self.second, [segment(10, 10)])
        self.assertEqual(self.near(segment(5, 10)), {"p": [(0, 10), (10, 20)]})


class Axis(TestCase):
    """The axis of a call, as the database has it."""

    def setUp(self) -> None:
        self.first = handshake_of()
        self.second = later(self.first, 30)

    def axis(self, handshake: Handshake | None = None) -> dict[str, tuple[int | None, int, str]]:
        timeline = queries.axes_of([handshake or self.second])[0]
        return {
            raw_id: (track.end, track.sample_rate, track.gap_reason)
            for raw_id, track in timeline.tracks.items()
        }

    def test_an_unknown_call_has_an_empty_axis(self) -> None:
        self.assertEqual(queries.axes_of([self.first]), [Timeline()])

    def test_each_track_ends_with_its_last_segment(self) -> None:
        write(self.first, [segment(0, 10), segment(50, 10, 2), segment(0, 5, raw_id="q")])
        expected = {
            "p": (START + 60, RATE, "not_connected"),
            "q": (START + 5, RATE, "not_connected"),
        }
        self.assertEqual(self.axis(), expected)
        self.assertEqual(
            queries.axes_of([self.second])[0].latest_us, START_US + 60 * 1_000_000 // RATE
        )

    def test_a_participant_without_audio_has_no_track(self) -> None:
        announce(self.first, [], ["p"])
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
        self.assertEqual(
            self.axis(structs.replace(self.second, sequence=1)),
            {"p": (START + 10, RATE, "not_received")},
        )
        self.assertEqual(self.axis(self.second), {})

    def test_it_continues_what_the_latest_earlier_socket_knew_of_the_clocks(self) -> None:
        clock = SocketClock("process", [0, -10_000_000], 500, START_US)
        facts = replace_facts(open_facts(self.first), clock=clock, disconnected_us=START_US)
        write(self.first, [segment(0, RATE)], facts=facts)
        younger = later(self.first, 60)
        write(younger, facts=replace_facts(open_facts(younger), clock=SocketClock()))
        for handshake in (self.second, later(self.first, -3600)):
            announce(handshake, [open_facts(handshake)])  # it has a later position
            (timeline,) = queries.axes_of([handshake])
            track, arrival = timeline.tracks["p"], timeline.arrival
            self.assertEqual((timeline.epochs, track.shift_us), ([0, -10_000_000], -10_000_000))
            self.assertEqual((track.newest_us, track.newest_end_us), (END_US - 20_000, END_US))
            self.assertEqual((arrival.lead_us, arrival.latest_arrived_us), (500, START_US))
            self.assertFalse(arrival.is_shown)
            Subscription.objects.filter(stream_id=younger.stream_id).delete()

    def test_a_socket_without_timestamps_knew_the_epochs_only(self) -> None:
        facts = replace_facts(open_facts(self.first), clock=SocketClock("process", [0, 7]))
        write(self.first, [segment(0, RATE)], facts=replace_facts(facts, disconnected_us=END_US))
        (timeline,) = queries.axes_of([self.second])
        self.assertEqual(timeline.epochs, [0, 7])
        self.assertEqual(timeline.arrival.latest_arrived_us, END_US)

    def test_another_call_has_another_axis(self) -> None:
        write(handshake_of("another"), [segment(0, 10)])
        self.assertEqual(self.axis(), {})
