"""The live board of a process, tick by tick, with time as an argument."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from calls.live.messages import (
    REPEAT_SECONDS,
    SILENCE_DBFS,
    AlarmNews,
    CallData,
    CountsData,
    News,
    ParticipantData,
    SubscriptionData,
)
from calls.times import iso_from_microseconds
from streams.ingest.stream import Stream
from streams.live.board import QUIET_TICKS, Board, is_worth_publishing
from tests.streams.streams import (
    ALICE,
    BOB,
    START_US,
    Clock,
    audio,
    close,
    dtmf,
    metadata,
    open_stream,
    participant_id,
)

TICK = 0.1
GRACE_SECONDS = 10.0
FULL_SCALE = b"\xff\x7f" * 320
QUIET = b"\x01\x00" * 320


class BoardTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.board = Board("process", GRACE_SECONDS)
        self.clock = Clock()
        self.now = 100.0
        self.streams: list[Stream] = []
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for stream in self.streams:
            if stream.closed is None:
                close(stream)

    def stream(self, connection: str = "connection", *, connected_at_us: int = START_US) -> Stream:
        """Returns an open stream on the board that has announced its audio."""
        stream = open_stream(
            self.folder, connection, clock=self.clock, connected_at_us=connected_at_us
        )
        stream.receive(metadata())
        self.streams.append(stream)
        self.board.add(stream)
        return stream

    def tick(self, *, after: float = TICK) -> News:
        self.now += after
        self.clock.now += round(after * 1_000_000)
        return self.board.tick(self.now)

    def calls(self, *, after: float = TICK) -> list[CallData]:
        return self.tick(after=after)["calls"]

    def levels(self) -> dict[str, list[float]]:
        return self.tick()["levels"]


class Alarms(BoardTestCase):
    def test_speakers_keep_their_loudest_window_and_their_clipped_ones(self) -> None:
        stream = self.stream()
        for pcm in (FULL_SCALE, FULL_SCALE, QUIET):
            stream.receive(audio(ALICE, pcm))
            self.tick()
        self.assertEqual(
            (stream.speakers[ALICE].loudest_dbfs, stream.speakers[ALICE].clipped), (0.0, 2)
        )

    def test_alarms_and_totals_are_in_the_news_if_given(self) -> None:
        self.stream()
        self.now += 1
        alarm: AlarmNews = {
            "call": None,
            "participant": None,
            "alarm": "disk_low",
            "since": "2026-11-23T10:00:00Z",
        }
        first = self.board.tick(self.now, [alarm])
        self.assertEqual(first["alarms"], [alarm])
        quiet = self.board.tick(self.now)
        self.assertNotIn("alarms", quiet)
        over = self.board.tick(self.now, [])
        self.assertEqual((over["alarms"], over["number"]), ([], first["number"] + 1))
        self.assertTrue(is_worth_publishing(over))
        totals = self.board.tick(
            self.now, None, {"packets_per_second": 50.0, "seal_lag_seconds": 1.0}
        )
        self.assertEqual(totals["totals"]["packets_per_second"], 50.0)
        self.assertTrue(is_worth_publishing(totals))
        self.assertFalse(is_worth_publishing(quiet))


class Minutes(BoardTestCase):
    def test_are_published_with_their_calls(self) -> None:
        stream = self.stream()
        stream.receive(audio(ALICE, QUIET))
        self.assertNotIn("minutes", self.tick())
        stream.speakers[ALICE].minute.extend("0.9")
        self.assertNotIn("minutes", self.tick())
        self.assertEqual(self.tick(after=REPEAT_SECONDS)["minutes"], {participant_id(ALICE): "0.9"})

    def test_of_a_voice_on_two_sockets_are_those_of_the_newer_one(self) -> None:
        for minute in ("111", "22"):
            stream = self.stream()
            stream.receive(audio(ALICE, QUIET))
            stream.speakers[ALICE].minute.extend(minute)
        self.assertEqual(self.tick()["minutes"], {participant_id(ALICE): "22"})


class Levels(BoardTestCase):
    def test_of_everyone_heard_since_the_last_tick(self) -> None:
        stream = self.stream()
        stream.receive(audio(ALICE, FULL_SCALE))
        stream.receive(audio(BOB, QUIET))
        levels = {participant_id(ALICE): [0.0, 0.0], participant_id(BOB): [-90.3, -90.3]}
        self.assertEqual(self.levels(), levels)
        self.assertEqual(self.levels(), {})

    def test_of_all_calls_come_in_one_news(self) -> None:
        for connection in ("one", "two", "three"):
            self.stream(connection).receive(audio(ALICE))
        self.assertEqual(len(self.levels()), 3)

    def test_a_voice_that_goes_quiet_is_silent_once(self) -> None:
        self.stream().receive(audio(ALICE))
        levels = [self.levels() for _ in range(3 * QUIET_TICKS)]
        self.assertIn(participant_id(ALICE), levels[0])
        silence = {participant_id(ALICE): [SILENCE_DBFS, SILENCE_DBFS]}
        self.assertEqual(
            levels[1:], [{}] * (QUIET_TICKS - 1) + [silence] + [{}] * (2 * QUIET_TICKS - 1)
        )

    def test_a_stall_shorter_than_that_is_not_seen(self) -> None:
        stream = self.stream()
        for number in range(3):
            stream.receive(audio(ALICE, at=number))
            levels = [self.levels() for _ in range(QUIET_TICKS)]
            self.assertEqual([len(heard) for heard in levels], [1] + [0] * (QUIET_TICKS - 1))
            self.assertNotIn([SILENCE_DBFS, SILENCE_DBFS], levels[0].values())

    def test_a_voice_that_speaks_again_has_levels_again(self) -> None:
        stream = self.stream()
        for number in range(2):
            stream.receive(audio(ALICE, at=number))
            heard = [self.levels() for _ in range(QUIET_TICKS + 1)]
            self.assertEqual([len(levels) for levels in heard], [1] + [0] * (QUIET_TICKS - 1) + [1])

    def test_a_voice_on_two_sockets_shows_the_louder_level(self) -> None:
        first, second = self.stream(), self.stream()
        first.receive(audio(ALICE, FULL_SCALE))
        second.receive(audio(ALICE, QUIET))
        self.assertEqual(self.levels(), {participant_id(ALICE): [0.0, 0.0]})

    def test_a_voice_that_continues_on_another_socket_is_not_silent(self) -> None:
        before, after = self.stream(), self.stream()
        before.receive(audio(ALICE))
        self.tick()
        for number in range(2 * QUIET_TICKS):
            after.receive(audio(ALICE, at=number))
            self.assertNotIn([SILENCE_DBFS, SILENCE_DBFS], self.levels().values())

    def test_a_voice_of_two_sockets_is_silent_once(self) -> None:
        for stream in (self.stream(), self.stream()):
            stream.receive(audio(ALICE))
        silences = [
            heard
            for _ in range(3 * QUIET_TICKS)
            if [SILENCE_DBFS] * 2 in (heard := self.levels()).values()
        ]
        self.assertEqual(len(silences), 1)

    def test_of_a_socket_that_has_closed_end_in_silence(self) -> None:
        stream = self.stream()
        stream.receive(audio(ALICE))
        self.tick()
        close(stream)
        heard = [self.levels() for _ in range(QUIET_TICKS)]
        self.assertEqual(heard[-1], {participant_id(ALICE): [SILENCE_DBFS, SILENCE_DBFS]})


class Call(BoardTestCase):
    def test_is_published_when_it_begins(self) -> None:
        self.stream()
        [call] = self.calls()
        self.assertEqual(
            (call["state"], call["ended_at"], call["call_connection_id"]),
            ("live", None, "connection"),
        )

    def test_is_published_again_when_someone_joins_and_not_for_every_packet(self) -> None:
        stream = self.stream()
        self.tick()
        stream.receive(audio(ALICE))
        self.assertEqual([one["raw_id"] for one in self.calls()[0]["participants"]], [ALICE])
        stream.receive(audio(ALICE, at=1))
        self.assertEqual(self.calls(), [])
        stream.receive(audio(BOB, at=1))
        self.assertEqual([one["raw_id"] for one in self.calls()[0]["participants"]], [ALICE, BOB])

    def test_is_repeated_for_dashboards_that_missed_it(self) -> None:
        self.stream()
        self.assertEqual(len(self.calls()), 1)
        self.assertEqual(self.calls(after=REPEAT_SECONDS - 0.1), [])
        self.assertEqual(len(self.calls(after=0.1)), 1)
        self.assertEqual(self.calls(), [])

    def test_is_repeated_while_only_its_grace_time_runs(self) -> None:
        close(self.stream())
        self.tick()
        self.assertEqual([call["state"] for call in self.calls(after=REPEAT_SECONDS)], ["live"])

    def test_stays_live_between_two_sockets(self) -> None:
        close(self.stream())
        news = self.tick(after=GRACE_SECONDS - 1)
        self.assertEqual(([call["state"] for call in news["calls"]], news["ended"]), (["live"], []))
        again = self.stream()
        news = self.tick(after=GRACE_SECONDS)
        self.assertEqual(([call["state"] for call in news["calls"]], news["ended"]), (["live"], []))
        close(again)
        self.assertEqual(len(self.tick(after=GRACE_SECONDS)["ended"]), 1)

    def test_has_ended_after_its_grace_time_as_its_last_socket_closed(self) -> None:
        for code, state in (
            (1000, "ended"),
            (1001, "ended"),
            (1005, "ended"),
            (1006, "interrupted"),
            (None, "interrupted"),
        ):
            with self.subTest(code):
                stream = self.stream(f"connection {code}")
                close(stream, code)
                assert stream.closed
                [call] = self.tick(after=GRACE_SECONDS)["ended"]
                self.assertEqual(
                    (call["state"], call["subscriptions"][0]["close_code"]), (state, code)
                )
                self.assertEqual(call["ended_at"], call["subscriptions"][0]["disconnected_at"])

    def test_that_broke_off_reconnected_and_closed_normally_has_ended(self) -> None:
        close(self.stream(), 1006)
        self.clock.now += 1_000_000
        close(self.stream(), 1000)
        self.assertEqual(
            [call["state"] for call in self.tick(after=GRACE_SECONDS)["ended"]], ["ended"]
        )

    def test_whose_replaced_socket_closed_later_ends_as_the_newer_one(self) -> None:
        lingering, newer = self.stream(), self.stream()
        close(newer, 1000)
        self.clock.now += 1_000_000
        close(lingering, 1006)
        [call] = self.tick(after=GRACE_SECONDS)["ended"]
        self.assertEqual(call["state"], "ended")

    def test_that_has_ended_is_gone_from_the_board(self) -> None:
        self.assertFalse(self.board)
        close(self.stream())
        self.assertTrue(self.board)
        self.tick(after=GRACE_SECONDS)
        self.assertFalse(self.board)
        self.assertEqual((self.tick()["calls"], self.tick()["ended"]), ([], []))

    def test_may_begin_again_after_it_has_ended(self) -> None:
        close(self.stream())
        self.tick(after=GRACE_SECONDS)
        self.stream()
        self.assertEqual([call["state"] for call in self.calls()], ["live"])

    def report_end(self, after: float = 0.0, connection: str = "connection", **ids: str) -> None:
        """Reports that the call has ended, so many seconds after now."""
        at = iso_from_microseconds(self.clock.now + round(after * 1_000_000))
        ids = {"call_connection_id": connection, "correlation_id": "", **ids}
        self.board.end([{**ids, "at": at}])  # type: ignore[typeddict-item]

    def test_ends_at_once_when_acs_reports_its_end(self) -> None:
        close(self.stream())
        self.clock.now += 1_000_000
        self.report_end()
        [call] = self.tick()["ended"]
        self.assertEqual(call["state"], "ended")
        self.assertEqual(call["ended_at"], call["subscriptions"][0]["disconnected_at"])
        self.assertFalse(self.board)

    def test_ends_at_its_reported_end_although_its_socket_is_open(self) -> None:
        self.stream()
        self.clock.now += 1_000_000
        self.report_end()
        reported = iso_from_microseconds(self.clock.now)
        [call] = self.tick()["ended"]
        self.assertEqual((call["state"], call["ended_at"]), ("ended", reported))
        self.assertEqual(self.tick(after=60)["calls"], [], "it does not come back")

    def test_ends_at_its_reported_end_although_its_socket_closes_later(self) -> None:
        stream = self.stream()
        self.report_end()
        reported = iso_from_microseconds(self.clock.now)
        self.clock.now += 1_000_000
        close(stream, 1006)
        [call] = self.tick()["ended"]
        self.assertEqual((call["state"], call["ended_at"]), ("ended", reported))

    def test_is_ended_if_its_socket_broke_just_before_its_reported_end(self) -> None:
        for number, (seconds, state) in enumerate(((4.9, "ended"), (5.1, "interrupted"))):
            with self.subTest(seconds):
                stream = self.stream(f"connection-{number}")
                close(stream, 1006)
                self.report_end(seconds, f"connection-{number}")
                [call] = self.tick()["ended"]
                self.assertEqual(call["state"], state)

    def test_goes_on_if_a_socket_has_connected_since_its_reported_end(self) -> None:
        self.stream()
        later = self.clock.now + 2_000_000
        self.stream(connected_at_us=later)
        self.report_end(1.0)
        self.assertEqual([call["state"] for call in self.calls()], ["live"])
        self.report_end(3.0)
        self.report_end(1.0)
        self.assertEqual(len(self.tick()["ended"]), 1)

    def test_is_ended_by_its_correlation_id_and_by_no_other_or_missing_one(self) -> None:
        stream = self.stream()
        correlation = stream.handshake.correlation_id
        self.report_end(connection="", correlation_id="")
        self.report_end(connection="another", correlation_id="another")
        self.assertEqual(len(self.calls()), 1)
        self.report_end(connection="", correlation_id=correlation)
        self.assertEqual(len(self.tick()["ended"]), 1)

    def test_without_grace_ends_at_once(self) -> None:
        self.board = Board("process", 0)
        close(self.stream())
        self.assertEqual([call["state"] for call in self.tick(after=0)["ended"]], ["ended"])


class Numbers(BoardTestCase):
    def test_are_numbered_without_a_hole_over_ticks_with_nothing_new(self) -> None:
        stream = self.stream()
        first = self.tick()
        self.tick()
        stream.receive(audio(ALICE))
        self.assertEqual(self.tick()["number"], first["number"] + 1)
        self.assertEqual(first["process"], "process")


class CallAsInRest(BoardTestCase):
    def test_is_that_of_rest(self) -> None:
        stream = self.stream()
        stream.receive(audio(ALICE))
        [call] = self.calls()
        [participant], [subscription] = call["participants"], call["subscriptions"]
        self.assertEqual(list(call), list(CallData.__annotations__))
        self.assertEqual(list(participant), list(ParticipantData.__annotations__))
        self.assertEqual(list(subscription), list(SubscriptionData.__annotations__))
        self.assertEqual(list(subscription["counts"]), list(CountsData.__annotations__))

    def test_has_the_facts_of_each_socket(self) -> None:
        first, second = self.stream(), self.stream(connected_at_us=START_US + 1_500_000)
        first.receive(audio(ALICE))
        second.receive(dtmf())
        [call] = self.calls()
        self.assertEqual(call["started_at"], "2022-10-03T19:16:12.925000Z")
        self.assertEqual(
            [one["connected_at"] for one in call["subscriptions"]],
            ["2022-10-03T19:16:12.925000Z", "2022-10-03T19:16:14.425000Z"],
        )
        self.assertEqual([one["counts"]["audio"] for one in call["subscriptions"]], [1, 0])
        self.assertEqual([one["counts"]["dtmf"] for one in call["subscriptions"]], [0, 1])

    def test_counts_each_subscription_of_a_socket_by_itself(self) -> None:
        stream = self.stream()
        for message in (
            audio(ALICE),
            audio(ALICE, at=1),
            metadata(24_000, "sub-2"),
            audio(ALICE, at=2),
        ):
            stream.receive(message)
        before, after = self.calls()[0]["subscriptions"]
        self.assertEqual((before["sample_rate"], before["counts"]["audio"]), (16_000, 2))
        self.assertEqual((after["sample_rate"], after["counts"]["audio"]), (24_000, 1))
        self.assertEqual(
            (before["disconnected_at"], after["disconnected_at"]), (after["connected_at"], None)
        )
        close(stream, 1000)
        before, after = self.calls()[0]["subscriptions"]
        self.assertEqual((before["close_code"], after["close_code"]), (None, 1000))

    def test_has_a_socket_without_metadata(self) -> None:
        stream = open_stream(self.folder)
        self.streams.append(stream)
        self.board.add(stream)
        [one] = self.calls()[0]["subscriptions"]
        self.assertEqual((one["sample_rate"], one["encoding"], one["length"]), (None, "", None))

    def test_sums_what_is_heard_of_a_voice_on_two_sockets(self) -> None:
        for stream in (self.stream(), self.stream()):
            stream.receive(audio(ALICE, bytes(32_000)))
        [call] = self.calls()
        [alice] = call["participants"]
        self.assertEqual((alice["id"], alice["recorded_seconds"]), (participant_id(ALICE), 2.0))
        self.assertEqual((alice["kind"], alice["label"]), ("phone", "+15551234567"))
        self.assertEqual(call["duration_seconds"], 2.0)
