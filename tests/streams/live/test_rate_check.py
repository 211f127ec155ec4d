"""The check of the announced sample rate: only a wrong rate contradicts it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from unittest import TestCase

from streams.acs.messages import ACS
from streams.live.rate_check import RATE_CHECK_SECONDS, Progress, RateCheck, is_contradiction

START_US = 1_664_824_572_000_000
HOUR = 3600
LENGTHS = ((320, 0.02), (160, 0.01), (640, 0.04), (960, 0.06), (480, 0.03))
"""Samples and seconds of packets at 16 kHz."""


@dataclass(frozen=True)
class Packet:
    """`arrived` in seconds of the recorder; the timestamp in seconds of the sender's clock."""

    arrived: float
    timestamp: float
    samples: int


def packets(seconds: float, samples: int = 320, every: float = 0.02) -> list[Packet]:
    """Returns packets of a voice that speaks without a pause, received as they are sent."""
    times = [number * every for number in range(round(seconds / every))]
    return [Packet(at, at, samples) for at in times]


def readings(sent: Iterable[Packet], announced: int) -> Iterator[tuple[float, Progress]]:
    """Yields a reading for each second with a packet before it, like the alarm monitor."""
    ordered = sorted(sent, key=lambda packet: packet.arrived)
    samples, number = 0, 0
    for second in range(1, int(ordered[-1].arrived) + 2):
        while number < len(ordered) and ordered[number].arrived < second:
            samples += ordered[number].samples
            number += 1
        if number:
            newest = ordered[number - 1]
            timestamp_us = START_US + round(newest.timestamp * 1_000_000)
            documented = ACS.rates.get(2 * newest.samples)
            yield float(second), Progress(announced, samples, timestamp_us, documented)


def first_wrong(sent: Iterable[Packet], announced: int = 16_000) -> float | None:
    """Returns the second in which the rate is found wrong; None if it never is."""
    check = RateCheck()
    for second, progress in readings(sent, announced):
        check.update(progress, second - 1)
        if check.is_wrong:
            return second
    return None


class WrongRates(TestCase):
    def test_are_found_after_ten_seconds(self) -> None:
        for samples, announced in ((480, 16_000), (320, 24_000), (480, 48_000), (320, 44_100)):
            with self.subTest(samples=samples, announced=announced):
                self.assertEqual(
                    first_wrong(packets(30, samples), announced), RATE_CHECK_SECONDS + 1
                )

    def test_are_found_without_a_documented_size_if_there_are_too_many_samples(self) -> None:
        for samples, announced in ((960, 24_000), (960, 16_000), (882, 16_000), (160, 6_000)):
            with self.subTest(samples=samples, announced=announced):
                self.assertEqual(
                    first_wrong(packets(30, samples), announced), RATE_CHECK_SECONDS + 1
                )

    def test_are_found_while_the_voice_pauses_between_words(self) -> None:
        for samples, announced in ((480, 16_000), (320, 24_000)):
            spoken = [one for one in packets(120, samples) if int(one.timestamp) % 6 < 4]
            with self.subTest(samples=samples, announced=announced):
                self.assertIsNotNone(first_wrong(spoken, announced))

    def test_are_found_with_jitter_and_a_burst(self) -> None:
        source = random.Random(7)
        jittered = [
            Packet(one.arrived, one.timestamp + source.uniform(0, 0.06), one.samples)
            for one in delayed(packets(60, 480), 5.0, 7.0)
        ]
        self.assertIsNotNone(first_wrong(jittered))

    def test_begin_when_the_first_second_contradicted_the_rate(self) -> None:
        check = RateCheck()
        for second, progress in readings(packets(15, 480), 16_000):
            check.update(progress, second - 1)
        self.assertEqual((check.is_wrong, check.since), (True, 1.0))

    def test_end_after_ten_seconds_that_agree(self) -> None:
        check = RateCheck()
        thirty_ms = [
            Packet(one.arrived + 20, one.timestamp + 20, one.samples)
            for one in packets(20, 480, 0.03)
        ]
        wrong = []
        for second, progress in readings(packets(20, 480) + thirty_ms, 16_000):
            check.update(progress, second - 1)
            wrong.append(check.is_wrong)
        self.assertEqual(wrong.index(True), RATE_CHECK_SECONDS)
        ended = len(wrong) - wrong[::-1].index(True)
        self.assertEqual(ended, 20 + RATE_CHECK_SECONDS - 1)

    def test_end_at_once_with_other_metadata(self) -> None:
        check = RateCheck()
        for second, progress in readings(packets(20, 480), 16_000):
            check.update(progress, second - 1)
        self.assertTrue(check.is_wrong)
        check.update(progress._replace(sample_rate=24_000, samples=480), 20.0)
        self.assertFalse(check.is_wrong)


def delayed(sent: list[Packet], start: float, end: float) -> list[Packet]:
    """Returns the packets with a stall, whose packets all arrive, and are stamped, at its end."""
    return [Packet(end, end, one.samples) if start <= one.arrived < end else one for one in sent]


class RightRates(TestCase):
    """Nothing but a wrong rate is taken for one. 320 samples at 16 kHz are a documented packet;
    160 and 640 are not, so only their timestamps can show the rate.
    """

    def check_never_wrong(self, change: Callable[[list[Packet]], list[Packet]]) -> None:
        for samples, every in LENGTHS:
            with self.subTest(samples=samples):
                self.assertIsNone(first_wrong(change(packets(300, samples, every))))

    def test_packets_of_any_length(self) -> None:
        self.check_never_wrong(lambda sent: sent)
        for samples, every, rate in (
            *((480, 0.02, 24_000), (960, 0.04, 24_000), (240, 0.01, 24_000)),
            *((160, 0.02, 8_000), (320, 0.04, 8_000), (320, 0.01, 32_000), (960, 0.02, 48_000)),
        ):
            with self.subTest(samples=samples, rate=rate):
                self.assertIsNone(first_wrong(packets(60, samples, every), rate))

    def test_stalls_and_bursts(self) -> None:
        def change(sent: list[Packet]) -> list[Packet]:
            for start in range(5, 300, 4):
                sent = delayed(sent, start, start + 1.7)
            return sent

        self.check_never_wrong(change)

    def test_a_burst_that_takes_seconds(self) -> None:
        """After a stall of 3 s, packets arrive, and are stamped, at 1.5 times their speed."""

        def caught_up(one: Packet) -> Packet:
            at = (
                max(one.arrived, 13 + (one.arrived - 10) / 1.5)
                if one.arrived >= 10
                else one.arrived
            )
            return Packet(at, at, one.samples)

        self.check_never_wrong(lambda sent: [caught_up(one) for one in sent])

    def test_a_sender_that_is_too_fast_and_too_slow_in_turn(self) -> None:
        """Every other second, timestamps advance by 0.6 s; in the seconds between, by 1.4 s."""

        def uneven(one: Packet) -> Packet:
            second, rest = divmod(one.timestamp, 1)
            ahead = 0.6 * rest if second % 2 == 0 else -0.4 + 1.4 * rest
            return Packet(one.arrived, second + ahead, one.samples)

        for samples, every in LENGTHS[:4]:  # the last one has a documented size of another rate
            with self.subTest(samples=samples):
                sent = packets(300, samples, every)
                self.assertIsNone(first_wrong([uneven(one) for one in sent]))

    def test_audio_that_is_sent_faster_than_it_was_spoken(self) -> None:
        for speed in (1.5, 10.0, 1e9):
            self.check_never_wrong(
                lambda sent, speed=speed: [  # type: ignore[misc]
                    Packet(one.arrived / speed, one.timestamp, one.samples) for one in sent
                ]
            )

    def test_a_clock_that_drifts(self) -> None:
        for ppm in (-500, 500):
            self.check_never_wrong(
                lambda sent, ppm=ppm: [  # type: ignore[misc]
                    Packet(one.arrived, one.timestamp * (1 + ppm / 1e6), one.samples)
                    for one in sent
                ]
            )

    def test_pauses_and_lost_packets(self) -> None:
        source = random.Random(3)
        for share in (0.1, 0.33, 0.5, 0.9):
            self.check_never_wrong(
                lambda sent, share=share: [one for one in sent if source.random() > share]  # type: ignore[misc]
            )
        self.check_never_wrong(
            lambda sent: [one for one in sent if int(one.timestamp) % 7 in {0, 1, 4}]
        )

    def test_jitter(self) -> None:
        source = random.Random(5)
        self.check_never_wrong(
            lambda sent: [
                Packet(one.arrived, one.timestamp + source.uniform(0, 0.2), one.samples)
                for one in sent
            ]
        )

    def test_a_clock_that_jumps_and_single_wrong_timestamps(self) -> None:
        def jumping(one: Packet) -> Packet:
            steps = int(one.timestamp / 20)  # ahead, back, ahead, …
            jump = [0.0, 5.0, -0.4, HOUR, -HOUR][steps % 5]
            stray = 600.0 if round(one.timestamp * 100) % 700 == 0 else 0.0
            return Packet(one.arrived, one.timestamp + jump + stray, one.samples)

        self.check_never_wrong(lambda sent: [jumping(one) for one in sent])

    def test_timestamps_in_whole_seconds_or_all_equal(self) -> None:
        self.check_never_wrong(
            lambda sent: [
                Packet(one.arrived, float(int(one.timestamp)), one.samples) for one in sent
            ]
        )
        self.check_never_wrong(lambda sent: [Packet(one.arrived, 0.0, one.samples) for one in sent])

    def test_packets_that_are_sent_twice(self) -> None:
        self.assertIsNone(first_wrong(packets(60) * 2))


class Contradiction(TestCase):
    def test_needs_samples_and_timestamps_that_advance(self) -> None:
        now = Progress(16_000, 24_000, START_US + 1_000_000, 24_000)
        for before in (
            now._replace(samples=0),
            now._replace(timestamp_us=START_US),
            now._replace(samples=0, timestamp_us=START_US + 2_000_000),
        ):
            self.assertIsNone(is_contradiction(before, now))
        self.assertTrue(is_contradiction(now._replace(samples=0, timestamp_us=START_US), now))
