"""The chain of the audit: canonical bytes, hashes, and each kind of fault with its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from unittest import TestCase
from unittest.mock import patch
from uuid import UUID

from calls.audit import chain
from calls.audit.chain import GENESIS, Link, canonical, hash_of, portable, verdict_of

AT = datetime(2026, 12, 1, 4, 5, 6, 7, tzinfo=UTC)
CALL = UUID(int=7)


def chained(count: int) -> list[Link]:
    """Returns a sound chain of `count` entries."""
    links: list[Link] = []
    for number in range(1, count + 1):
        previous = links[-1].hash if links else GENESIS
        link = Link(
            number, AT, "user", "ann", "3", "::1", "heard", CALL, "aa", "", {"to": number}, previous
        )
        links.append(replace(link, hash=hash_of(link)))
    return links


def faults(links: list[Link]) -> list[tuple[str, int, int]]:
    return [(one.kind, one.first, one.last) for one in verdict_of(links).faults]


class CanonicalForm(TestCase):
    def test_it_is_json_with_sorted_keys_in_utf8(self) -> None:
        link = replace(chained(1)[0], actor_name="Zoë", call=None)
        self.assertEqual(
            canonical(link).decode(),
            '{"action":"heard","actor_id":"3","actor_kind":"user","actor_name":"Zoë",'
            '"address":"::1","at":"2026-12-01T04:05:06.000007Z","call":null,'
            '"call_connection_id":"aa","detail":{"to":1},"number":1,'
            f'"previous_hash":"{GENESIS}","reason":"","version":1}}',
        )

    def test_the_zone_of_a_time_changes_nothing(self) -> None:
        link = chained(1)[0]
        there = replace(link, at=AT.astimezone(timezone(timedelta(hours=5))))
        self.assertEqual(hash_of(there), link.hash)

    def test_values_are_those_that_every_database_returns(self) -> None:
        given = {"a\0": [1e20, 0.5, -0.0, True, None, 3], "b": ("\ud800",)}
        self.assertEqual(
            repr(portable(given)), repr({"a\ufffd": [10**20, 0.5, 0, True, None, 3], "b": ["?"]})
        )

    def test_what_is_not_json_is_an_error(self) -> None:
        for value in (float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                portable(value)
        with self.assertRaises(TypeError):
            portable({"at": AT})


class Faults(TestCase):
    def test_a_sound_chain_has_none(self) -> None:
        links = chained(5)
        verdict = verdict_of(links)
        self.assertEqual(
            (verdict.count, verdict.number, verdict.hash, verdict.faults), (5, 5, links[4].hash, [])
        )
        self.assertEqual(verdict_of([]).hash, GENESIS)

    def test_each_altered_column_is_found(self) -> None:
        for change in (
            {"at": AT + timedelta(microseconds=1)},
            {"actor_kind": "key"},
            {"actor_name": "bob"},
            {"actor_id": "4"},
            {"address": "::2"},
            {"action": "viewed"},
            {"call": None},
            {"call_connection_id": "ab"},
            {"reason": "x"},
            {"detail": {"to": 4}},
            {"previous_hash": "1" * 64},
            {"hash": "1" * 64},
        ):
            with self.subTest(change):
                links = chained(5)
                links[2] = replace(links[2], **change)
                self.assertEqual(faults(links), [("altered", 3, 3)])

    def test_an_altered_entry_with_a_new_hash_is_found_by_the_next(self) -> None:
        for place in (0, 2):
            links = chained(5)
            forged = replace(links[place], actor_name="bob")
            links[place] = replace(forged, hash=hash_of(forged))
            self.assertEqual(faults(links), [("altered", place + 1, place + 1)])

    def test_removed_entries_leave_a_hole_or_a_shift(self) -> None:
        links = chained(6)
        self.assertEqual(faults([links[0], *links[3:]]), [("removed", 2, 3)])
        self.assertEqual(faults([*links[:4], links[5]]), [("removed", 5, 5)])
        shifted = [replace(one, number=one.number - 1) for one in links[3:]]
        self.assertEqual(faults([*links[:2], *shifted]), [("removed", 3, 3)])

    def test_an_inserted_entry_is_found(self) -> None:
        links = chained(6)
        shifted = [replace(one, number=one.number + 1) for one in links[2:]]
        alien = replace(links[2], actor_name="bob")
        for intruder in (alien, replace(alien, hash=hash_of(alien))):
            self.assertEqual(faults([*links[:2], intruder, *shifted]), [("inserted", 3, 3)])
        zero = replace(links[0], number=0)
        self.assertIn(("inserted", 0, 0), faults([replace(zero, hash=hash_of(zero)), *links]))

    def test_swapped_entries_are_found(self) -> None:
        for one, other in ((1, 2), (1, 4), (0, 5), (4, 5)):
            links = chained(6)
            links[one], links[other] = (
                replace(links[other], number=one + 1),
                replace(links[one], number=other + 1),
            )
            self.assertEqual(faults(links), [("swapped", one + 1, other + 1)])

    def test_faults_of_renumbered_entries_are_told_apart(self) -> None:
        links = chained(8)
        moved = [replace(one, number=one.number + 1) for one in links[2:]]
        moved[2] = replace(moved[2], reason="x")
        alien = replace(links[2], actor_name="bob")
        self.assertEqual(
            faults([*links[:2], alien, *moved]), [("inserted", 3, 3), ("altered", 6, 6)]
        )
        later = [replace(one, number=one.number + 1) for one in links[1:3]]
        earlier = [replace(one, number=one.number - 1) for one in links[6:]]
        both = [links[0], replace(alien, number=2), *later, links[4], *earlier]
        self.assertEqual(faults(both), [("inserted", 2, 2), ("removed", 6, 6)])

    def test_several_faults_are_all_found_in_order(self) -> None:
        links = chained(12)
        links[1] = replace(links[1], reason="x")
        links[6] = replace(links[6], reason="y")
        del links[9]
        self.assertEqual(faults(links), [("altered", 2, 2), ("altered", 7, 7), ("removed", 10, 10)])

    @patch.object(chain, "MOST_REMEMBERED", 1)
    def test_a_long_list_of_altered_entries_is_complete(self) -> None:
        links = [replace(one, reason="x") for one in chained(3)]
        self.assertEqual(faults(links), [("altered", n, n) for n in (1, 2, 3)])

    def test_sentences_name_the_place(self) -> None:
        links = chained(6)
        swapped = [replace(links[1], number=1), replace(links[0], number=2), *links[2:]]
        said = [
            verdict_of(one).faults[0].text
            for one in (
                swapped,
                [links[0], *links[3:]],
                [links[0], *links[2:]],
                [replace(links[0], reason="x"), *links[1:]],
            )
        ]
        self.assertEqual(
            said,
            [
                "Entries 1 and 2 were swapped.",
                "Entries 2 to 3 were removed.",
                "Entry 2 was removed.",
                "Entry 1 was altered.",
            ],
        )
