"""Sent against received: lost, changed, shifted and resampled audio."""

from __future__ import annotations

from unittest import TestCase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.canary.comparison import PROBE, Difference, Samples, compare
from streams.canary.sound import RAW_IDS, SAMPLE_RATE, tracks_of

SENT = tracks_of(4711, 1.0)
FIRST, SECOND = RAW_IDS
COUNT = 2 * SAMPLE_RATE


def silence(count: int) -> Samples:
    return np.zeros(count, np.int16)


class Comparison(TestCase):
    def compared(self, first: Samples, late: int = 0) -> Difference:
        """Compares with `first` instead of the first track."""
        return compare(SENT, {**SENT, FIRST: first}, late)

    def test_equal_audio_has_no_difference(self) -> None:
        self.assertEqual(compare(SENT, SENT), Difference(0, 0))

    @given(st.integers(0, SAMPLE_RATE - 1))
    def test_one_changed_sample_is_found(self, at: int) -> None:
        changed = SENT[FIRST].copy()
        changed[at] ^= 1
        self.assertEqual(self.compared(changed), Difference(1, 0))

    @given(st.integers(1, SAMPLE_RATE // 2 - PROBE))
    def test_a_shift_is_measured(self, by: int) -> None:
        late = self.compared(np.concatenate([silence(by), SENT[FIRST]]))
        self.assertEqual(late.shift, by)
        self.assertGreater(late.samples, SAMPLE_RATE // 2)
        early = self.compared(SENT[FIRST][by:])
        self.assertEqual(early.shift, -by)

    def test_a_shift_of_the_second_track_only_is_measured(self) -> None:
        moved = {**SENT, SECOND: np.concatenate([silence(3), SENT[SECOND]])}
        self.assertEqual(compare(SENT, moved).shift, 3)

    def test_lost_audio_counts_sample_by_sample(self) -> None:
        self.assertEqual(self.compared(SENT[FIRST][:-320]), Difference(320, 0))
        self.assertEqual(compare(SENT, {SECOND: SENT[SECOND]}), Difference(SAMPLE_RATE, 0))
        self.assertEqual(compare(SENT, {}), Difference(COUNT, 0))

    def test_surplus_audio_counts_too(self) -> None:
        longer = np.concatenate([SENT[FIRST], silence(7)])
        self.assertEqual(self.compared(longer), Difference(7, 0))

    def test_exchanged_and_resampled_tracks_differ(self) -> None:
        exchanged = compare(SENT, {FIRST: SENT[SECOND], SECOND: SENT[FIRST]})
        self.assertGreater(exchanged.samples, 0.99 * COUNT)
        self.assertEqual(exchanged.shift, 0)
        resampled = self.compared(np.repeat(SENT[FIRST][::2], 2))
        self.assertGreater(resampled.samples, SAMPLE_RATE // 3)

    def test_a_call_that_lies_elsewhere_is_wrong_as_a_whole(self) -> None:
        self.assertEqual(compare(SENT, SENT, late_samples=-2), Difference(COUNT, -2))

    def test_bytes_between_two_samples_are_no_shift(self) -> None:
        # The bytes of the sent audio, found one byte later than a sample begins.
        pcm = b"\x00" + SENT[FIRST].tobytes() + b"\x00"
        between = self.compared(np.frombuffer(pcm, dtype="<i2").astype(np.int16))
        self.assertEqual(between.shift, 0)
        self.assertGreater(between.samples, 0)


class Sound(TestCase):
    def test_each_run_has_its_own_noise_in_whole_packets(self) -> None:
        tracks = [samples for seed in (1, 2) for samples in tracks_of(seed, 0.525).values()]
        for samples in tracks:
            self.assertEqual(len(samples), 26 * 320)
        self.assertEqual(len({samples.tobytes() for samples in tracks}), 4)
        again = tracks_of(1, 0.525)
        self.assertTrue(np.array_equal(again[FIRST], tracks[0]))
