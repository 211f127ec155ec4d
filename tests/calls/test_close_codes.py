"""Close codes of a normal end."""

from __future__ import annotations

from unittest import TestCase

from websockets.frames import OK_CLOSE_CODES, CloseCode

from calls.close_codes import GOOD_CLOSE_CODES


class CloseCodeTests(TestCase):
    def test_they_are_those_that_the_websockets_library_takes_for_an_ok(self) -> None:
        self.assertEqual(set(GOOD_CLOSE_CODES), OK_CLOSE_CODES)

    def test_an_abnormal_closure_is_not_among_them(self) -> None:
        self.assertNotIn(CloseCode.ABNORMAL_CLOSURE, GOOD_CLOSE_CODES)
