"""Lines that come too often are counted instead."""

from __future__ import annotations

from unittest import TestCase

from streams.log_limiter import INTERVAL_SECONDS, LogLimiter


class LogLimiterTests(TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.limiter = LogLimiter(lambda: self.now)

    def test_the_first_line_is_written_and_the_next_ones_are_counted(self) -> None:
        self.assertEqual([self.limiter.take("full") for _ in range(3)], [0, None, None])
        self.now += INTERVAL_SECONDS
        self.assertEqual([self.limiter.take("full") for _ in range(2)], [2, None])
        self.now += INTERVAL_SECONDS
        self.assertEqual(self.limiter.take("full"), 1)

    def test_keys_are_counted_apart(self) -> None:
        self.assertEqual(self.limiter.take("full"), 0)
        self.assertEqual(self.limiter.take("malformed"), 0)
