"""Text in CSV (RFC 4180), without formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would take text that begins with these for a formula (OWASP, "CSV Injection")."""


def csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Returns rows as CSV in UTF-8. Text that a spreadsheet would take for a formula is quoted."""
    text = StringIO()
    csv.writer(text).writerows(
        [
            f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
            for cell in row
        ]
        for row in rows
    )
    return text.getvalue().encode()
