"""Rules of ACS_ANSWER: which calls are answered."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from streams.acs.answering.rules import called_ids, is_wanted

NUMBER = {
    "kind": "phoneNumber",
    "rawId": "4:+15551234567",
    "phoneNumber": {"value": "+15551234567"},
}
ACCOUNT = {"kind": "unknown", "rawId": "28:orgid:cd7b1f8e-f5f8-4f2c-8a2b-5a1f6e4b9f10"}


class CalledTests(TestCase):
    def test_a_number_and_a_raw_id_name_the_called_side(self) -> None:
        for to, expected in (
            (NUMBER, ("4:+15551234567", "+15551234567")),
            ({"rawId": "4:+1555"}, ("4:+1555", "+1555")),
            (ACCOUNT, (ACCOUNT["rawId"],)),
            ({"phoneNumber": {"value": "+1555"}}, ("+1555",)),
        ):
            with self.subTest(to):
                self.assertEqual(called_ids({"to": to}), expected)

    def test_what_is_no_identifier_names_nobody(self) -> None:
        wrong: tuple[Any, ...] = ({}, None, "4:+1555", {"rawId": 7}, {"phoneNumber": "+1"}, [])
        for to in wrong:
            with self.subTest(to):
                self.assertEqual(called_ids({"to": to}), ())
        self.assertEqual(called_ids({}), ())


class RuleTests(TestCase):
    def wanted(self, *rules: str, to: dict[str, Any] = NUMBER) -> bool:
        return is_wanted(rules, called_ids({"to": to}))

    def test_nothing_is_answered_by_default(self) -> None:
        self.assertFalse(self.wanted())
        self.assertFalse(is_wanted(["*"], ()))

    def test_numbers_and_beginnings_of_numbers(self) -> None:
        for rule in ("+15551234567", "4:+15551234567", "+1555*", "*"):
            self.assertTrue(self.wanted(rule), rule)
        for rule in ("+1555123456", "+15551234568", "+4930*", "15551234567", "28:orgid:*"):
            self.assertFalse(self.wanted(rule), rule)

    def test_resource_accounts_in_any_case(self) -> None:
        for rule in ("28:orgid:*", ACCOUNT["rawId"].upper(), "28:ORGID:cd7b1f8e*"):
            self.assertTrue(self.wanted(rule, to=ACCOUNT), rule)
        self.assertFalse(self.wanted("28:orgid:aa*", to=ACCOUNT))

    def test_the_first_rule_that_matches_decides(self) -> None:
        self.assertFalse(self.wanted("!+15551234567", "+1555*"))
        self.assertTrue(self.wanted("+1555*", "!+15551234567"))
        self.assertTrue(self.wanted("!+4930*", "*"))
