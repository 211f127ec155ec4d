"""Calls that continue an ended call of the same connection id: rows, REST and pages."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls import identity
from calls.export import manifest
from calls.identity import CallLink
from calls.models import Call, database_now
from calls.models.continuations import create_and_lock, going_on, latest_calls
from calls.serializers import CallSerializer
from calls.storage.deletion import delete_call
from tests.calls.rows import START, make_call, make_subscription
from tests.people import person

CONNECTION = "411f0b00-1"
FIRST = identity.call_id_of(CONNECTION, uuid4())
GRACE = timedelta(seconds=10)


def link(number: int) -> CallLink:
    return CallLink(FIRST, number)


def chain(numbers: int = 2, started_at: datetime = START) -> list[Call]:
    """Creates a call and its continuations, each with a closed socket."""
    calls = [
        Call(
            id=link(number).id,
            call_connection_id=CONNECTION,
            started_at=started_at + number * timedelta(minutes=5),
            continuation=number,
            continued_from_id=link(number).continued_from,
        )
        for number in range(numbers)
    ]
    with transaction.atomic():
        create_and_lock(calls)
    for call in calls:
        make_subscription(call)
    return [Call.objects.get(id=call.id) for call in calls]


class Ids(TestCase):
    def test_each_call_of_a_chain_has_an_id_of_its_own_derived_from_the_first(self) -> None:
        ids = [link(number).id for number in range(20)]
        self.assertEqual(len(set(ids)), 20)
        self.assertEqual(ids[0], FIRST)
        self.assertEqual(ids[1:], [link(number).following.id for number in range(19)])
        self.assertEqual([None, *ids[:-1]], [link(number).continued_from for number in range(20)])
        self.assertEqual(str(link(1).id), str(UUID(str(link(1).id), version=5)))


class Latest(TestCase):
    def latest(self) -> CallLink | None:
        return latest_calls({FIRST: CONNECTION, uuid4(): "another"}).get(FIRST)

    def test_a_connection_id_without_a_call_has_none(self) -> None:
        self.assertIsNone(self.latest())

    def test_the_last_of_a_chain_is_the_latest_also_when_others_are_deleted(self) -> None:
        calls = chain(3)
        self.assertEqual(self.latest(), link(2))
        for call, latest in ((calls[1], link(2)), (calls[2], link(0)), (calls[0], None)):
            delete_call(call.id, timezone.now())
            self.assertEqual(self.latest(), latest)

    def test_many_connection_ids_take_two_queries(self) -> None:
        """All sockets of a process that restarts ask at once, and wait."""
        asked = {}
        for number in range(20):
            call = make_call(f"connection {number}")
            asked[call.id] = call.call_connection_id
        chain(3)
        with self.assertNumQueries(2):
            latest = latest_calls({**asked, FIRST: CONNECTION, uuid4(): "without a call"})
        self.assertEqual(latest, {FIRST: link(2), **{one: CallLink(one) for one in asked}})

    def test_calls_of_another_sender_with_this_connection_id_are_left_out(self) -> None:
        other = CallLink(identity.call_id_of(CONNECTION, uuid4(), "another"), 3)
        Call.objects.create(
            id=other.id, call_connection_id=CONNECTION, started_at=START, continuation=3
        )
        self.assertIsNone(self.latest())
        chain(2)
        self.assertEqual(self.latest(), link(1))

    def test_rows_of_the_version_before_numbers_are_in_the_chain(self) -> None:
        """After a rollback it seals what this version wrote, and knows the id of the call only. A
        later socket must not extend that call once it has ended.
        """
        for numbered in range(3):
            for unnumbered in (1, 3):
                Call.objects.all().delete()
                chain(numbered)
                for number in range(numbered, numbered + unnumbered):
                    Call.objects.create(
                        id=link(number).id, call_connection_id=CONNECTION, started_at=START
                    )
                self.assertEqual(self.latest(), link(numbered + unnumbered - 1))


class Older(TestCase):
    def test_a_row_without_a_number_gets_it_and_its_links_with_the_next_file(self) -> None:
        for number in range(2):
            Call.objects.create(id=link(number).id, call_connection_id=CONNECTION, started_at=START)
        second = Call(
            id=link(1).id,
            call_connection_id=CONNECTION,
            started_at=START,
            continuation=1,
            continued_from_id=FIRST,
        )
        for _again in range(2):
            with transaction.atomic():
                create_and_lock([second])
            links = Call.objects.values_list("continuation", "continued_from_id", "continued_in_id")
            self.assertEqual(links.get(id=second.id), (1, FIRST, None))
            self.assertEqual(links.get(id=FIRST), (0, None, second.id))


class Locks(TestCase):
    def test_both_calls_are_locked_in_the_order_of_their_ids(self) -> None:
        """Two processes that lock in another order, or in a mode that conflicts with rows that
        refer to a call, wait for each other.
        """
        first, second = chain(2)
        for _again in range(2):
            with CaptureQueriesContext(connection) as queries, transaction.atomic():
                started = create_and_lock([second])
            self.assertEqual(started, {second.id: second.started_at})
            (locking,) = (q["sql"] for q in queries if "ORDER BY" in q["sql"])
            columns, wanted, order = re.split(" WHERE | ORDER BY ", locking)
            for call in (first, second):
                self.assertIn(call.id.hex, wanted.replace("-", ""))
            mode = " FOR NO KEY UPDATE" * connection.features.has_select_for_no_key_update
            self.assertTrue(columns.startswith('SELECT "calls_call"."id" AS '), columns)
            self.assertEqual(order, f"1 ASC{mode}", "by the first column")


@override_settings(RECONNECT_GRACE_SECONDS=GRACE.total_seconds())
class GoingOn(TestCase):
    def setUp(self) -> None:
        self.call = make_call(CONNECTION)
        self.now = timezone.now()

    def goes_on(self, *closed_ids: str) -> bool:
        return going_on([link(0)], closed_ids, database_now()) == {link(0)}

    def socket(self, *, ended: timedelta | None, seen: timedelta, noted: timedelta | None) -> str:
        """Creates a socket: how long ago it ended, a process vouched for it, and its end became a
        row.
        """
        ended_at = None if ended is None else self.now - ended
        row = make_subscription(
            self.call,
            connected_at=self.now - timedelta(days=3),
            seen_at=self.now - seen,
            disconnected_at=ended_at,
            end_seen_at=None if noted is None else self.now - noted,
        )
        return str(row.stream_id)

    def test_an_open_socket_keeps_it_open_for_a_day_without_a_heartbeat(self) -> None:
        """Its process was killed, and its journals are not sealed yet."""
        for seen, goes_on in ((timedelta(hours=23), True), (timedelta(hours=25), False)):
            self.socket(ended=None, seen=seen, noted=None)
            self.assertEqual(self.goes_on(), goes_on)
            self.call.subscriptions.all().delete()

    def test_a_closed_socket_keeps_it_open_for_the_grace_time(self) -> None:
        second = timedelta(seconds=1)
        for noted in (None, GRACE - 3 * second):  # rows of older versions have no such time
            for ended, goes_on in ((GRACE - 2 * second, True), (GRACE + second, False)):
                self.socket(ended=ended, seen=GRACE + 4 * second, noted=noted)
                self.assertEqual(self.goes_on(), goes_on, ended)
                self.call.subscriptions.all().delete()

    def test_the_clock_of_the_host_does_not_count_if_it_contradicts_the_database(self) -> None:
        hour = timedelta(hours=1)
        for ended in (hour, -hour):
            for noted, goes_on in ((GRACE / 2, True), (2 * GRACE, False)):
                self.socket(ended=ended, seen=noted + timedelta(seconds=3), noted=noted)
                self.assertEqual(self.goes_on(), goes_on, (ended, noted))
                self.call.subscriptions.all().delete()

    def test_sockets_that_their_process_knows_to_be_over_do_not_count(self) -> None:
        over = self.socket(ended=None, seen=timedelta(), noted=None)
        self.assertFalse(self.goes_on(over))
        self.socket(ended=None, seen=timedelta(), noted=None)
        self.assertTrue(self.goes_on(over))


class Shown(TestCase):
    def setUp(self) -> None:
        self.client.force_login(person("viewer"))

    def links(self, call: Call) -> tuple[str | None, str | None]:
        found = self.client.get(f"/api/v1/calls/{call.pk}/").json()
        data = dict(CallSerializer(Call.objects.for_rest(database_now()).get(pk=call.pk)).data)
        proof = json.loads(
            b"".join(manifest.chunks(data, None, timezone.now(), lambda *_times: ""))
        )["call"]
        listed = self.client.get("/api/v1/calls/").json()["results"]
        [in_list] = [one for one in listed if one["id"] == str(call.pk)]
        links = found["continued_from"], found["continued_in"]
        self.assertEqual((in_list["continued_from"], in_list["continued_in"]), links)
        self.assertEqual((proof["continued_from"], proof["continued_in"]), links)
        return links

    def test_both_calls_name_each_other(self) -> None:
        first, second, third = chain(3)
        self.assertEqual(self.links(first), (None, str(second.id)))
        self.assertEqual(self.links(second), (str(first.id), str(third.id)))
        self.assertEqual(self.links(third), (str(second.id), None))

    def test_pages_link_both_ways(self) -> None:
        first, second = chain(2)
        for call, text, other in (
            (first, "Continued in", second),
            (second, "Continued from", first),
        ):
            page = self.client.get(f"/calls/{call.pk}/").content.decode()
            self.assertInHTML(f'<a href="/calls/{other.pk}/">{text} another call</a>', page)
        listed = self.client.get("/calls/").content.decode()
        self.assertEqual(listed.count("Continued from"), 1)
        self.assertEqual(listed.count("Continued in"), 1)

    def test_a_deleted_call_is_not_named(self) -> None:
        first, second, third = chain(3)
        delete_call(second.id, timezone.now())
        self.assertEqual(self.links(first), (None, None))
        self.assertEqual(self.links(third), (None, None))
