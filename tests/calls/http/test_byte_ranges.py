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
BEYOND = ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=" + "9" * 5_000 + "-"]
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
                spec = parse(header)
                assert spec is not None
                part = spec.resolve(SIZE)
                self.assertEqual((part.first, part.last), (first, last))
                self.assertEqual(part.content_range, f"bytes {first}-{last - 1}/100")

    def test_a_range_beyond_the_end_is_unsatisfiable(self) -> None:
        for header in BEYOND:
            spec = parse(header)
            assert spec is not None
            with self.subTest(header[:30]), self.assertRaises(Unsatisfiable):
                spec.resolve(SIZE)

    def test_anything_but_a_single_range_of_bytes_is_ignored(self) -> None:
        for header in IGNORED:
            with self.subTest(header):
                self.assertIsNone(parse(header))

    def test_only_an_open_range_from_the_first_byte_is_the_whole(self) -> None:
        specs = {header: parse(header) for header in SERVED}
        self.assertEqual(
            [header for header, spec in specs.items() if spec and spec.is_whole], ["bytes=0-"]
        )

    @given(st.text(max_size=40), st.integers(0, 10**6))
    def test_any_header_is_parsed_and_no_range_exceeds_the_file(self, text: str, size: int) -> None:
        for header in (text, f"bytes={text}"):
            spec = parse(header)
            try:
                part = spec.resolve(size) if spec else None
            except Unsatisfiable:
                continue
            if part:
                self.assertTrue(0 <= part.first < part.last <= size)
