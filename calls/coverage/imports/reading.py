"""Lines of an import: CSV or JSON lines, from a file (also gzip) or standard input."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, NamedTuple

GZIP = b"\x1f\x8b"
MAX_FIELD = 1_000_000


class Line(NamedTuple):
    """The content of a line, or why it cannot be read."""

    number: int
    row: dict[str, Any]
    error: str = ""


@contextmanager
def opened(name: str, encoding: str) -> Iterator[IO[str]]:
    """Opens a file, unpacked if it is gzip; `-` is standard input. Raises `OSError`."""
    source: Any = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115
    try:
        packed = source.peek(2)[:2] == GZIP
        content = gzip.open(source) if packed else source  # noqa: SIM115 - closed below
        yield TextIOWrapper(content, encoding=encoding, newline="")
    finally:
        if name != "-":
            source.close()


def csv_lines(text: IO[str], delimiter: str) -> Iterator[Line]:
    """Yields the lines after the header. Raises `csv.Error` for a file that is no CSV."""
    csv.field_size_limit(MAX_FIELD)
    rows = csv.reader(text, delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    for row in rows:
        if not row:
            continue
        error = "" if len(row) <= len(header) else "more values than columns"
        yield Line(rows.line_num, dict(zip(header, row, strict=False)), error)


def json_lines(text: IO[str]) -> Iterator[Line]:
    """Yields the objects of each line: of `{"records": […]}` all of them."""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield Line(number, {}, "not JSON")
            continue
        found = value.get("records") if isinstance(value, dict) else None
        for one in found if isinstance(found, list) else [value]:
            is_object = isinstance(one, dict)
            yield Line(number, one if is_object else {}, "" if is_object else "not a JSON object")
