"""Text in CSV (RFC 4180), without formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Any

BYTE_ORDER_MARK = "\ufeff".encode()
"""To be sent before the first row: without it, Excel reads UTF-8 as the code page of the system."""

FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet would take text that begins with these, full-width or not, for a formula (OWASP,
"CSV Injection"), also after white space.
"""


def csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
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
