"""CSV for spreadsheets: nothing in it is a formula."""

from __future__ import annotations

import csv
from io import StringIO
from unittest import TestCase

from calls.pages.csv_text import csv_text


class Cells(TestCase):
    def cells(self, *row: object) -> list[str]:
        (cells,) = csv.reader(StringIO(csv_text([row]).decode()))
        return cells

    def test_that_a_spreadsheet_would_take_for_a_formula_begin_with_an_apostrophe(self) -> None:
        for text in (
            *("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1"),
            *("\tSUM", "\rSUM", "\nSUM"),
            *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(1)", "\u00a0=1"),
        ):
            self.assertEqual(self.cells(text), [f"'{text}"])

    def test_of_phone_numbers_stay_readable_as_text(self) -> None:
        self.assertEqual(self.cells("+15551234567; Ada"), ["'+15551234567; Ada"])

    def test_of_other_text_and_numbers_stay_as_they_are(self) -> None:
        row = ("Ünïcödé", "a=b", "", -1.5, 7, "2026-03-02T09:30:00Z", 'a "b", c', "8:acs:1-2")
        self.assertEqual(self.cells(*row), [str(each) for each in row])
