"""Files of sections: any byte range has the bytes of the whole, and needs only its sections."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import pairwise
from unittest import TestCase
from weakref import ref

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calls.audio.codec import Samples
from calls.export.encoders.sections import Read, Section, chunks, size_of
from calls.export.plan import Plan
from tests.calls.sealed import Sealed

RATE = 10
BLOCK = 35


class Tens:
    """A file of sections of ten samples; each byte is a sample, and needs three neighbours on both
    sides. Every section is read twice.
    """

    def __init__(self, count: int) -> None:
        self.sections = [
            Section(max(at - 3, 0), min(at + 13, count), min(10, count - at))
            for at in range(0, count, 10)
        ]
        self.encoded: list[int] = []

    def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
        self.encoded.append(index)
        section = self.sections[index]
        yield b""
        once, again = (np.concatenate(list(read()))[:, 0] for _ in range(2))
        np.testing.assert_array_equal(once, np.arange(section.first, section.last))
        np.testing.assert_array_equal(once, again)
        own = once[3 if index else 0 :][: section.size].astype(np.uint8).tobytes()
        yield own[:4]
        yield own[4:]


class Rendered:
    """Samples that are their own position, counted from the first of the plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.position = 0
        self.made: list[ref[Samples]] = []

    def blocks(self, first: int, last: int) -> Iterator[Samples]:
        for start in range(first - self._plan.first, last - self._plan.first, BLOCK):
            end = min(start + BLOCK, last - self._plan.first)
            self.position = end
            block = np.arange(start, end, dtype=np.int16)
            self.made.append(ref(block))
            yield block.reshape(-1, 1)
            del block


def plan_of(count: int) -> Plan:
    sealed = Sealed([[(0, np.zeros(count, np.int16))]], rate=RATE)
    return sealed.plan()


class SectionTests(TestCase):
    @given(st.integers(1, 200), st.lists(st.integers(0, 199), max_size=5))
    def test_adjoining_ranges_are_the_whole(self, count: int, cuts: list[int]) -> None:
        plan, file = plan_of(count), Tens(count)
        self.assertEqual(size_of(file), count)
        bounds = sorted({0, count, *(cut for cut in cuts if cut < count)})
        parts = [
            b"".join(chunks(file, plan, Rendered(plan).blocks, first, last))
            for first, last in pairwise(bounds)
        ]
        self.assertEqual([len(part) for part in parts], [b - a for a, b in pairwise(bounds)])
        self.assertEqual(b"".join(parts), bytes(range(count)))

    def test_only_the_sections_of_the_range_are_encoded_and_rendered(self) -> None:
        plan, file = plan_of(200), Tens(200)
        rendered = Rendered(plan)
        self.assertEqual(
            b"".join(chunks(file, plan, rendered.blocks, 125, 131)), bytes(range(125, 131))
        )
        self.assertEqual(file.encoded, [12, 13])
        self.assertEqual(rendered.position, 143)

    def test_what_is_before_the_range_is_an_empty_chunk(self) -> None:
        """So that the generator can be ended meanwhile."""
        plan = plan_of(50)
        parts = list(chunks(Tens(50), plan, Rendered(plan).blocks, 16, 18))
        self.assertEqual(parts, [b"", b"", bytes([16, 17])])

    def test_the_first_block_comes_in_parts_of_a_second(self) -> None:
        plan = plan_of(100)
        seen: list[int] = []

        class Counting(Tens):
            def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
                seen.extend(len(samples) for samples in read())
                yield bytes(self.sections[index].size)

        list(chunks(Counting(100), plan, Rendered(plan).blocks, 0, 20))
        self.assertEqual(seen, [10, 3, 3, 10, 3])

    def test_blocks_that_are_no_longer_needed_are_released(self) -> None:
        plan = plan_of(200)
        rendered = Rendered(plan)
        living: list[int] = []

        class Watching(Tens):
            def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
                yield from super().encode(index, read)
                living.append(sum(made() is not None for made in rendered.made))

        list(chunks(Watching(200), plan, rendered.blocks, 0, 200))
        self.assertEqual(len(rendered.made), 6)
        self.assertLessEqual(max(living), 2)

    def test_a_section_of_another_size_is_a_defect(self) -> None:
        class Short(Tens):
            def encode(self, index: int, read: Read) -> Generator[bytes, None, None]:
                yield bytes(9)

        plan = plan_of(30)
        with self.assertRaises(AssertionError):
            list(chunks(Short(30), plan, Rendered(plan).blocks, 0, 30))
