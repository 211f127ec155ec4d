"""The live board of a process, tick by tick, with time as an argument."""

from __future__ import annotations

from calls.live.messages import (
    REPEAT_SECONDS,
    AlarmNews,
)
from calls.times import iso_from_microseconds
from streams.live.board import Board, is_worth_publishing
from tests.streams.live.boards import FULL_SCALE, GRACE_SECONDS, QUIET, BoardTestCase
from tests.streams.streams import (
    ALICE,
    BOB,
    audio,
    close,
)


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
