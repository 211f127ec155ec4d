"""The Range header, case by case."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from calls.http.byte_ranges import Unsatisfiable, parse

SIZE = 100
SERVED = {
    "bytes=0-": (0, 100),
    "bytes=0-0": (0, 1),
    "bytes=10-19": (10, 20),
    "bytes=99-": (99, 100),
    "bytes=90-1000": (90, 100),
    "bytes=-1": (99, 100),
    "bytes=-100": (0, 100),
    "bytes=-1000": (0, 100),
    "Bytes = 5 - 6 ": (5, 7),
    "bytes=0-" + "9" * 5_000: (0, 100),
    "bytes=0005-0006": (5, 7),
}
BEHIND = ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=" + "9" * 5_000 + "-"]
IGNORED = [
    None,
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=5-4",
    "bytes=a-b",
    "bytes=1-2,4-5",
    "items=0-5",
    "bytes=٣-",
]


class RangeTests(TestCase):
    def test_a_single_range_is_served(self) -> None:
        for header, (first, last) in SERVED.items():
            with self.subTest(header[:30]):
                wish = parse(header)
                assert wish is not None
                part = wish.of(SIZE)
                self.assertEqual((part.first, part.last), (first, last))
                self.assertEqual(part.content_range, f"bytes {first}-{last - 1}/100")

    def test_what_lies_behind_the_end_is_unsatisfiable(self) -> None:
        for header in BEHIND:
            wish = parse(header)
            assert wish is not None
            with self.subTest(header[:30]), self.assertRaises(Unsatisfiable):
                wish.of(SIZE)

    def test_what_is_no_single_range_of_bytes_is_ignored(self) -> None:
        for header in IGNORED:
            with self.subTest(header):
                self.assertIsNone(parse(header))

    def test_only_all_from_the_first_byte_is_the_whole(self) -> None:
        wishes = {header: parse(header) for header in SERVED}
        self.assertEqual(
            [header for header, wish in wishes.items() if wish and wish.is_whole], ["bytes=0-"]
        )

    @given(st.text(max_size=40), st.integers(0, 10**6))
    def test_no_header_breaks_it_and_no_range_leaves_the_file(self, text: str, size: int) -> None:
        for header in (text, f"bytes={text}"):
            wish = parse(header)
            try:
                part = wish.of(size) if wish else None
            except Unsatisfiable:
                continue
            if part:
                self.assertTrue(0 <= part.first < part.last <= size)
