"""Search and filters of the admin: whole identifiers, parts, state, kind and days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import connection
from django.test import SimpleTestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls.admin.search import terms_of
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from tests.calls.admin.pages import MODELS, AdminPageTestCase, Elements, list_path
from tests.calls.admin.recordings import ALICE, BOB, STARTED, Recording, Spoken

DAY = timedelta(days=1)


class SearchTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call = Recording(
            connection_id="401f0b00-1111",
            correlation_id="corr-77",
            tracks=(Spoken(ALICE, gaps=1), Spoken(BOB)),
        ).write()
        Recording(
            connection_id="other", correlation_id="else", tracks=(Spoken("4:+4989111"),)
        ).write()

    def test_a_call_is_found_by_each_of_its_identifiers(self) -> None:
        socket = self.call.subscriptions.get()
        participant = self.call.participants.get(raw_id=ALICE)
        segment = Segment.objects.filter(participant=participant).get()
        terms = {
            "connection id": "401f0b00-1111",
            "part of the connection id": "401F0B",
            "correlation id": "corr-77",
            "raw id": ALICE,
            "number": "+4930555010",
            "part of the number": "555010",
            "number as people write it": "+49 (0)30 555-010",
            "number from abroad": "0049 30 555 010",
            "part of a number in brackets": "(555) 010",
            "subscription id": socket.subscription_id,
            "acsmedia id": str(self.call.pk),
            "acsmedia id without hyphens": self.call.pk.hex,
            "id of a participant": str(participant.pk),
            "id of a segment": str(segment.pk),
            "id of a subscription": str(socket.pk),
            "id of the socket": str(socket.stream_id),
            "two parts": "555010 corr",
            "quoted": '"corr-77"',
        }
        for name, term in terms.items():
            with self.subTest(name):
                self.assertEqual(self.listed("call", q=term), {self.call.pk})

    def test_participants_and_events_are_found_by_a_number_as_people_write_it(self) -> None:
        alice = self.call.participants.get(raw_id=ALICE)
        self.assertEqual(self.listed("participant", q="030 / 555 010"), {alice.pk})
        self.assertEqual(
            self.listed("ledgerentry", q="+49 30 555"),
            set(LedgerEntry.objects.filter(participant=alice).values_list("pk", flat=True)),
        )

    def test_all_words_must_match(self) -> None:
        self.assertEqual(self.listed("call", q="555010 4989111"), set())

    def test_unknown_terms_find_nothing(self) -> None:
        for term in ("zzz", str(uuid4()), "%", "_", "'", '"', "\\", "\x00", "é" * 600):
            for model in MODELS:
                with self.subTest(term=term, model=model):
                    rows = self.listed(model, q=term)
                    if term != "\x00":  # refused by the form, with a message and the whole list
                        self.assertEqual(rows, set() if term != "_" else rows)

    def test_the_rows_of_a_call_are_found_by_its_identifiers(self) -> None:
        of_call: dict[str, Any] = {
            "participant": Participant.objects.filter(call=self.call),
            "subscription": Subscription.objects.filter(call=self.call),
            "segment": Segment.objects.filter(participant__call=self.call),
            "ledgerentry": LedgerEntry.objects.filter(call=self.call),
        }
        for model, rows in of_call.items():
            for term in ("401f0b00-1111", "corr-77", str(self.call.pk), str(rows[0].pk)):
                with self.subTest(model=model, term=term):
                    found = self.listed(model, q=term)
                    self.assertEqual(
                        found, {rows[0].pk} if term == str(rows[0].pk) else {row.pk for row in rows}
                    )

    def test_the_rows_of_a_number_are_found_by_part_of_it(self) -> None:
        alice: Any = Participant.objects.get(raw_id=ALICE)
        self.assertEqual(self.listed("participant", q="555010"), {alice.pk})
        self.assertEqual(self.listed("segment", q="555010"), {alice.segments.get().pk})
        self.assertEqual(
            self.listed("ledgerentry", q="555010"), {entry.pk for entry in alice.ledger.all()}
        )

    def test_a_whole_identifier_needs_no_search_for_parts(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            self.listed("call", q="401f0b00-1111")
        # the condition that hides canary calls reads no other row than the one that was found
        searched = [query["sql"].replace("LIKE 'canary-%'", "") for query in queries]
        self.assertFalse([sql for sql in searched if "LIKE" in sql])

    def test_a_number_in_two_calls_finds_each_once(self) -> None:
        again = Recording(tracks=(Spoken(ALICE), Spoken(f"{ALICE}_5"))).write()
        response: Any = self.get_list("call", q="555010")
        self.assertEqual(
            [call.pk for call in response.context["cl"].result_list].count(again.pk), 1
        )
        self.assertEqual(self.listed("call", q="555010"), {self.call.pk, again.pk})


class TermsTests(SimpleTestCase):
    def test_quotes_group_words(self) -> None:
        text = """+49 30 "a b" 'c d' "x"y ' " """
        self.assertEqual(list(terms_of(text)), ["+49", "30", "a b", "c d", '"x"y', "'", '"'])


class CallFilterTests(AdminPageTestCase):
    def test_by_state(self) -> None:
        now = timezone.now()
        calls = {
            "live": Recording(started=now, open_at=now).write(),
            "ended": Recording().write(),
            "interrupted": Recording(close_code=1006).write(),
        }
        for state, call in calls.items():
            with self.subTest(state):
                self.assertEqual(self.listed("call", state=state), {call.pk})

    def test_by_the_kind_of_any_participant(self) -> None:
        both = Recording(tracks=(Spoken(ALICE), Spoken(BOB))).write()
        phone = Recording(tracks=(Spoken(ALICE),)).write()
        self.assertEqual(self.listed("call", kind="phone"), {both.pk, phone.pk})
        self.assertEqual(self.listed("call", kind="acs"), {both.pk})
        self.assertEqual(self.listed("call", kind="bot"), set())

    def test_a_range_of_days_is_inclusive(self) -> None:
        midnight = STARTED.replace(hour=0, minute=0)
        calls = [
            Recording(tracks=(), started=midnight + offset).write()
            for offset in (
                -timedelta(microseconds=1),
                timedelta(0),
                2 * DAY - timedelta(microseconds=1),
                2 * DAY,
            )
        ]
        inside = {calls[1].pk, calls[2].pk}
        self.assertEqual(
            self.listed("call", started_at_since="2026-11-03", started_at_until="2026-11-04"),
            inside,
        )
        self.assertEqual(
            self.listed("call", started_at_since="2026-11-05", started_at_until=""), {calls[3].pk}
        )
        self.assertEqual(self.listed("call", started_at_until="2026-11-02"), {calls[0].pk})

    def test_links_to_usual_ranges(self) -> None:
        now = timezone.now()
        ages = {timedelta(0): 0, DAY: 1, 6 * DAY: 6, 29 * DAY: 29, 40 * DAY: 40}
        calls = {
            days: Recording(tracks=(), started=now - age).write().pk for age, days in ages.items()
        }
        spans = {
            "Today": {0},
            "Yesterday": {1},
            "Past 7 days": {0, 1, 6},
            "Past 30 days": {0, 1, 6, 29},
        }
        choices = self._choices_of("day started (UTC)")
        for span, days in spans.items():
            with self.subTest(span):
                response: Any = self.client.get(list_path("call") + choices[span])
                found = {call.pk for call in response.context["cl"].result_list}
                self.assertEqual(found, {calls[day] for day in days})

    def _choices_of(self, title: str) -> dict[str, str]:
        response: Any = self.get_list("call")
        changelist = response.context["cl"]
        spec = next(each for each in changelist.filter_specs if each.title == title)
        return {choice["display"]: choice["query_string"] for choice in spec.choices(changelist)}

    def test_the_date_form_keeps_search_and_other_filters(self) -> None:
        fields = Elements(
            self.get_list("call", q="555", state="ended", started_at_since="2026-11-03")
        ).found
        hidden = {
            attrs.get("name"): attrs["value"]
            for tag, attrs in fields
            if tag == "input" and "value" in attrs
        }
        self.assertEqual(
            (hidden["q"], hidden["state"], hidden["started_at_since"]),
            ("555", "ended", "2026-11-03"),
        )

    def test_filters_and_search_are_combined(self) -> None:
        broken = Recording(close_code=1006).write()
        Recording(close_code=1006, started=STARTED - 9 * DAY).write()
        Recording().write()
        found = self.listed(
            "call", state="interrupted", kind="phone", started_at_since="2026-11-01", q="555010"
        )
        self.assertEqual(found, {broken.pk})

    def test_filters_read_no_whole_table(self) -> None:
        Recording().write()
        with CaptureQueriesContext(connection) as queries:
            self.get_list("call")
        self.assertFalse(
            [
                query["sql"]
                for query in queries
                if "DISTINCT" in query["sql"] or "trunc" in query["sql"]
            ]
        )


class OtherFilterTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call = Recording(
            tracks=(Spoken(ALICE, segments=2, gaps=1), Spoken(BOB, gaps=1))
        ).write()
        self.other = Recording(close_code=1006, started=STARTED - 9 * DAY).write()

    def test_rows_of_one_call(self) -> None:
        expected = {"participant": 2, "subscription": 1, "segment": 3, "ledgerentry": 2}
        for model, count in expected.items():
            with self.subTest(model):
                self.assertEqual(len(self.listed(model, call=str(self.call.pk))), count)

    def test_rows_of_one_participant_and_of_one_socket(self) -> None:
        alice = self.call.participants.get(raw_id=ALICE)
        self.assertEqual(len(self.listed("segment", participant=str(alice.pk))), 2)
        self.assertEqual(
            len(self.listed("ledgerentry", participant=str(alice.pk), kind__exact="gap")), 1
        )
        self.assertEqual(
            len(self.listed("segment", subscription=str(self.call.subscriptions.get().pk))), 3
        )

    def test_segments_of_a_call_are_in_order_of_time(self) -> None:
        response: Any = self.get_list("segment", call=str(self.call.pk))
        rows = [
            (row.participant_id, row.start_sample) for row in response.context["cl"].result_list
        ]
        self.assertEqual(rows, sorted(rows, key=lambda row: (row[0].hex, row[1])))

    def test_participants_by_kind(self) -> None:
        self.assertEqual(len(self.listed("participant", kind__exact="phone")), 2)

    def test_entries_by_kind(self) -> None:
        LedgerEntry.objects.create(call=self.call, kind="dtmf", started_at=STARTED)
        self.assertEqual(len(self.listed("ledgerentry", kind__exact="dtmf")), 1)

    def test_sockets_by_state(self) -> None:
        now = timezone.now()
        live = Recording(started=now, open_at=now).write()
        dead = Recording(open_at=STARTED).write()
        silent = Recording(close_code=None).write()
        expected = {"open": {live}, "closed": {self.call}, "broken": {self.other, dead, silent}}
        for state, calls in expected.items():
            with self.subTest(state):
                sockets = Subscription.objects.filter(call__in=calls)
                self.assertEqual(
                    self.listed("subscription", state=state), {socket.pk for socket in sockets}
                )

    def test_every_list_has_a_filter_by_days(self) -> None:
        fields = {"participant": "heard_at", "subscription": "connected_at", "segment": "sealed_at"}
        for model, field in {**fields, "ledgerentry": "started_at"}.items():
            with self.subTest(model):
                of_call = self.listed(model, call=str(self.call.pk))
                self.assertEqual(self.listed(model, **{f"{field}_since": "2026-11-01"}), of_call)

    def test_an_invalid_value_redirects_to_the_list(self) -> None:
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("call", {"started_at_since": "yesterday"}),
            ("segment", {"call": "7"}),
            ("ledgerentry", {"participant": "'; DROP TABLE calls_call"}),
        ]
        for model, parameters in wrong:
            with self.subTest(model):
                self.assertRedirects(self.get_list(model, **parameters), f"{list_path(model)}?e=1")

    def test_an_unknown_call_has_no_rows(self) -> None:
        self.assertEqual(self.listed("segment", call=str(uuid4())), set())
        self.assertEqual(Call.objects.count(), 2)
