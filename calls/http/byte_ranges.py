"""The Range header of HTTP (RFC 9110, section 14). PURE.

A single range is served. Several ranges are answered with the whole file, which the RFC allows.
Other units and malformed headers are ignored, as it requires.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_MAX_DIGITS = 18
"""Longer numbers are beyond the end of any file."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes [first, last) of a file of `size` bytes; never empty."""

    first: int
    last: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last - 1}/{self.size}"


class Unsatisfiable(Exception):
    """The range begins beyond the end of the file: 416."""


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """A range as requested: from `first` to `last` inclusive, or the last `suffix` bytes."""

    first: int | None
    last: int | None
    suffix: int | None

    @property
    def is_whole(self) -> bool:
        """Whether it is `bytes=0-`, the first request of browsers: the whole file."""
        return self.first == 0 and self.last is None

    def resolve(self, size: int) -> ByteRange:
        """Returns the range within a file of `size` bytes. Raises `Unsatisfiable`."""
        if self.suffix is not None:
            if not self.suffix or not size:
                raise Unsatisfiable
            return ByteRange(max(size - self.suffix, 0), size, size)
        assert self.first is not None, "a range has a first byte or a suffix"
        if self.first >= size:
            raise Unsatisfiable
        last = size if self.last is None else min(self.last + 1, size)
        return ByteRange(self.first, last, size)


def parse(header: str | None) -> RangeSpec | None:
    """Returns the single range of a Range header; None means that the whole file is sent."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = (_number(text) for text in match.groups())
    if first is None:
        return RangeSpec(None, None, suffix=last)
    if last is not None and last < first:
        return None
    return RangeSpec(first, last, suffix=None)


def _number(text: str) -> int | None:
    if not text:
        return None
    text = text.lstrip("0") or "0"
    return int(text) if len(text) <= _MAX_DIGITS else 10**_MAX_DIGITS
