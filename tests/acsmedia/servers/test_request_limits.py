"""The length that a request announces; whole requests: tests/end_to_end/test_large_requests.py."""

from __future__ import annotations

from unittest import TestCase

from acsmedia.servers.request_limits import MAX_BODY_BYTES, announced_length


class AnnouncedLengthTests(TestCase):
    def test_is_the_greatest_that_can_be_read(self) -> None:
        for values, length in (
            ((), 0),
            ((b"17",), 17),
            ((b"17", b"18"), 18),
            ((b"-1",), 0),
            ((b"x",), 0),
            ((b"",), 0),
        ):
            headers = [(b"host", b"9"), *((b"content-length", value) for value in values)]
            self.assertEqual(announced_length(headers), length)

    def test_a_number_of_thousands_of_digits_is_too_large(self) -> None:
        headers = [(b"content-length", b"9" * 10_000)]
        self.assertGreater(announced_length(headers), MAX_BODY_BYTES)
