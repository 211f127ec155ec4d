"""Lists as CSV (RFC 4180), without formulas."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterable, Sequence
from datetime import tzinfo
from io import StringIO
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from calls.http.responses import as_file
from calls.http.streaming import Body
from calls.permissions import TO_EXPORT_LISTS

Rows = Iterable[Iterable[Any]]

BYTE_ORDER_MARK = "\ufeff".encode()
"""Begins a download: without it, Excel reads UTF-8 as the code page of the system."""

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet would take text that begins with these, full-width or not, for a formula (OWASP,
"CSV Injection"), also after white space.
"""


def csv_download(
    name: str, columns: Sequence[str], pages: Iterable[Rows], zone: tzinfo
) -> HttpResponseBase:
    """Returns a list as a file, whose name contains the time in the zone; a page is sent at once
    before the next one is read.
    """
    file_name = f"{name}-{timezone.now().astimezone(zone):%Y%m%d-%H%M%S}.csv"
    body = Body(csv_pieces(columns, pages))
    return as_file(body, TO_EXPORT_LISTS, file_name, "text/csv; charset=utf-8")


def csv_refused(errors: str) -> HttpResponse:
    """Returns the answer to wrong parameters."""
    return HttpResponse(errors, status=400, content_type="text/plain; charset=utf-8")


def csv_pieces(columns: Sequence[str], pages: Iterable[Rows]) -> Generator[bytes, None, None]:
    """Yields the text of the columns' names, then that of each page of rows."""
    yield BYTE_ORDER_MARK + csv_text([columns])
    yield from map(csv_text, pages)


def csv_text(rows: Rows) -> bytes:
    """Returns rows as CSV in UTF-8. Text that a spreadsheet would take for a formula has an
    apostrophe before it, which also keeps phone numbers from being shown as 1.56E+10.
    """
    text = StringIO()
    csv.writer(text).writerows(
        [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in row]
        for row in rows
    )
    return text.getvalue().encode()


def _is_formula(text: str) -> bool:
    return text.lstrip().startswith(FORMULA_STARTS) or text[:1] in ("\t", "\r", "\n")
