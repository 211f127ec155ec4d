"""The substring lookup finds the same with and without an index; Postgres uses the index."""

from __future__ import annotations

from typing import Any
from unittest import skipUnless
from unittest.mock import patch

from django.db import connection
from django.db.models import QuerySet
from django.test import TestCase

from calls import lookups
from calls.admin import search
from calls.models import Call, LedgerEntry, Participant, Subscription
from tests.calls.admin.pages import AdminPageTestCase
from tests.calls.admin.recordings import ALICE, BOB, Recording, Spoken
from tests.calls.rows import make_call, make_participant

POSTGRES = skipUnless(connection.vendor == "postgresql", "SQLite has no trigram index")
NAMES = (
    "Ærøskøbing",
    "straße 7",
    "100%_sure\\",
    "İstanbul",
    "a",
    "",
    "+49 30 'x'",
    "\N{GRINNING FACE}\N{GRINNING FACE}",
)


class PartTests(TestCase):
    def setUp(self) -> None:
        call = make_call()
        for number, name in enumerate(NAMES):
            make_participant(call, f"4:+4930555{number}", display_name=name)

    def test_a_part_matches_like_icontains(self) -> None:
        texts = {
            name[begin:end].swapcase()
            for name in NAMES
            for begin in range(3)
            for end in range(begin + 1, 9)
        }
        for text in (*texts, "%", "_", "\\", "'", "zzz", "5550"):
            for column in ("display_name", "raw_id"):
                with self.subTest(text=text, column=column):
                    found = Participant.objects.filter(**{f"{column}__part": text})
                    contains = Participant.objects.filter(**{f"{column}__icontains": text})
                    self.assertEqual(set(found), set(contains))


@POSTGRES
class PlanTests(TestCase):
    def test_every_searched_column_uses_its_index(self) -> None:
        indexed: dict[str, tuple[Any, str]] = {
            "call_connection_part": (Call, "call_connection_id"),
            "call_correlation_part": (Call, "correlation_id"),
            "participant_raw_id_part": (Participant, "raw_id"),
            "participant_name_part": (Participant, "display_name"),
            "subscription_id_part": (Subscription, "subscription_id"),
            "ledger_reason_part": (LedgerEntry, "reason"),
        }
        for index, (model, column) in indexed.items():
            with self.subTest(index):
                plan = self._plan(model.objects.filter(**{f"{column}__part": "55501"}))
                self.assertIn(index, plan)
                filters = [
                    line for line in plan.splitlines() if line.lstrip().startswith("Filter:")
                ]
                # Trigrams are not computed again for the rows found.
                self.assertNotIn("calls_trigrams", "".join(filters))

    def test_a_rare_part_is_found_by_its_indexes_only(self) -> None:
        for calls in (Call.objects.of_participant("55501"), Call.objects.holding("55501", "55501")):
            plan = self._plan(calls)
            self.assertIn("participant_raw_id_part", plan)
            self.assertNotIn("Seq Scan", plan)

    def _plan(self, rows: QuerySet[Any]) -> str:
        with connection.cursor() as cursor:
            # Tables of a test are small enough for a sequential scan.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_indexscan = off")
            return rows.order_by().explain()


class CommonTests(TestCase):
    def setUp(self) -> None:
        self.first = Recording(connection_id="conn-555", tracks=(Spoken(BOB),)).write()
        self.second = Recording(tracks=(Spoken("4:+4930555010"), Spoken("4:+4930555011"))).write()
        Recording(connection_id="other", tracks=(Spoken(BOB),)).write()

    def test_common_parts_are_found_like_rare_ones(self) -> None:
        socket = self.first.subscriptions.get()
        wanted = {
            "555": {self.first, self.second},
            "conn-": {self.first},
            socket.subscription_id[3:20]: {self.first},
        }
        for common in (lookups.COMMON, 0):
            with patch.object(lookups, "COMMON", common):
                for text, calls in wanted.items():
                    with self.subTest(text=text, common=common):
                        self.assertCountEqual(Call.objects.holding(text, text), calls)
                self.assertCountEqual(Call.objects.of_participant("555"), [self.second])

    def test_common_parts_are_not_listed_first(self) -> None:
        with patch.object(lookups, "COMMON", 0):
            self.assertNotIn(" IN (", str(Call.objects.holding("555", "555").query))

    def test_the_count_of_a_common_part_stops_at_the_limit(self) -> None:
        with patch.object(lookups, "COMMON", 1), self.assertNumQueries(1) as queries:
            self.assertTrue(lookups.is_common(Participant.objects.all()))
        self.assertIn("LIMIT 2", queries.captured_queries[0]["sql"])


class AdminTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.calls = [Recording(tracks=(Spoken(ALICE, gaps=1),)).write() for _ in range(3)]

    def test_a_part_that_is_too_short_is_reported(self) -> None:
        for model in ("call", "segment"):
            response = self.get_list(model, q="55")
            self.assertContains(response, "“55” is too short: parts need at least 3 characters.")
            self.assertEqual(self.listed(model, q="55"), set())

    def test_a_part_with_many_matches_shows_and_reports_the_newest(self) -> None:
        with patch.object(search, "MAX_MATCHES", 2):
            response = self.get_list("segment", q="555010")
            self.assertContains(
                response, "“555010” matches more than 2 participants: the newest are shown."
            )
            self.assertEqual(len(self.listed("segment", q="555010")), 2)
            self.assertNotContains(self.get_list("call", q="555010"), "the newest are shown")
        self.assertEqual(self.listed("call", q="555010"), {call.pk for call in self.calls})
        self.assertNotContains(self.get_list("segment", q="555010"), "the newest are shown")
