"""Levels and minutes of the voices on the board, tick by tick."""

from __future__ import annotations

from calls.live.messages import (
    REPEAT_SECONDS,
    SILENCE_DBFS,
)
from streams.live.board import QUIET_TICKS
from tests.streams.live.boards import FULL_SCALE, QUIET, BoardTestCase
from tests.streams.streams import (
    ALICE,
    BOB,
    audio,
    close,
    participant_id,
)


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
