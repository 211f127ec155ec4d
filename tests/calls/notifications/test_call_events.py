"""Start, end and deletion of calls: told once, with the call as in REST, and never of canaries."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import TestCase, override_settings
from django.urls import reverse
from django.utils import timezone

from calls.models import AwaitedEnd, Call, OutgoingEvent, Subscription, database_now
from calls.notifications.call_events import MAX_AGE, add_ended, of_new_calls
from calls.notifications.payloads import call_payloads, links_of
from calls.storage.deletion import StillLive, delete_call
from tests.calls.client import RestTests
from tests.calls.rows import (
    make_call,
    make_conversation,
    make_participant,
    make_subscription,
    url_of,
)


def begin(call_connection_id: str = "", **values: Any) -> Call:
    """Creates a call with an open socket, as the sealer does."""
    now = timezone.now()
    call = Call(
        pk=uuid4(), call_connection_id=call_connection_id or str(uuid4()), started_at=now, **values
    )
    with transaction.atomic(), of_new_calls([str(call.pk)]):
        call.save(force_insert=True)
        make_subscription(
            call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        make_participant(call)
    return call


def close(call: Call, *, seconds_ago: float = 60, code: int = 1000) -> None:
    """Closes the socket of a call; with 60 s the call has ended."""
    ended = timezone.now() - timedelta(seconds=seconds_ago)
    Call.objects.filter(pk=call.pk).update(started_at=ended)
    times = {"connected_at": ended, "seen_at": ended, "disconnected_at": ended}
    Subscription.objects.filter(call=call).update(**times, close_code=code)


def lose(call: Call) -> None:
    """Lets the heartbeat of the call's socket stop a minute ago."""
    past = timezone.now() - timedelta(seconds=60)
    Call.objects.filter(pk=call.pk).update(started_at=past)
    Subscription.objects.filter(call=call).update(connected_at=past, seen_at=past)


def told(event_type: str) -> list[dict[str, Any]]:
    events = OutgoingEvent.objects.filter(type=event_type).order_by("occurred_at")
    return [event.data for event in events]


class Started(TestCase):
    def test_is_told_with_the_participants_and_the_links(self) -> None:
        call = begin("connection-1")
        (data,) = told("call.started")
        self.assertEqual((data["id"], data["state"]), (str(call.pk), "live"))
        self.assertEqual(data["call_connection_id"], "connection-1")
        self.assertEqual(len(data["participants"]), 1)
        self.assertEqual(data["links"], links_of(call.pk))
        event = OutgoingEvent.objects.get()
        self.assertEqual((event.occurred_at, event.call_id), (call.started_at, call.pk))

    def test_is_told_once(self) -> None:
        call = begin()
        with transaction.atomic(), of_new_calls([str(call.pk)]):
            Call.objects.filter(pk=call.pk).update(correlation_id="changed")
        self.assertEqual(len(told("call.started")), 1)

    def test_is_not_told_of_canaries_and_of_calls_that_have_waited_in_a_spool(self) -> None:
        begin("canary-1")
        old = Call(pk=uuid4(), started_at=timezone.now() - MAX_AGE - timedelta(minutes=1))
        with transaction.atomic(), of_new_calls([str(old.pk)]):
            old.save(force_insert=True)
        self.assertEqual(told("call.started"), [])
        self.assertFalse(AwaitedEnd.objects.exists())

    def test_is_not_told_if_the_transaction_fails(self) -> None:
        call = Call(pk=uuid4(), started_at=timezone.now())
        fault = self.assertRaises(ZeroDivisionError)
        with fault, transaction.atomic(), of_new_calls([str(call.pk)]):
            call.save(force_insert=True)
            raise ZeroDivisionError
        self.assertFalse(OutgoingEvent.objects.exists())


class Ended(TestCase):
    def run_job(self) -> None:
        add_ended(threading.Event())

    def test_is_told_once_when_the_call_is_not_live_any_more(self) -> None:
        call = begin()
        self.run_job()
        close(call, seconds_ago=1)  # within the grace time
        self.run_job()
        self.assertEqual(told("call.ended"), [])
        close(call)
        self.run_job()
        self.run_job()
        (data,) = told("call.ended")
        self.assertEqual((data["id"], data["state"]), (str(call.pk), "ended"))
        self.assertFalse(AwaitedEnd.objects.exists())
        event = OutgoingEvent.objects.get(type="call.ended")
        ended = Call.objects.with_state(database_now()).get(pk=call.pk).ended_at
        self.assertEqual(event.occurred_at, ended)

    def test_of_a_broken_socket_is_an_interruption(self) -> None:
        close(begin(), code=1006)
        self.run_job()
        self.assertEqual(told("call.ended")[0]["state"], "interrupted")

    def test_of_a_process_that_died_is_told_again_when_more_is_known(self) -> None:
        call = begin()
        lose(call)
        self.run_job()
        self.run_job()
        self.assertEqual(len(told("call.ended")), 1)
        self.assertTrue(AwaitedEnd.objects.exists(), "its journal may be sealed later")
        close(call, seconds_ago=30)
        self.run_job()
        states = [data["state"] for data in told("call.ended")]
        self.assertEqual(states, ["interrupted", "ended"])
        self.assertFalse(AwaitedEnd.objects.exists())

    def test_of_earlier_calls_is_not_told_after_an_upgrade(self) -> None:
        make_conversation()
        self.run_job()
        self.assertFalse(OutgoingEvent.objects.exists())

    def test_is_left_to_the_next_run_when_the_process_stops(self) -> None:
        close(begin())
        stopping = threading.Event()
        stopping.set()
        add_ended(stopping)
        self.assertEqual(told("call.ended"), [])
        self.run_job()
        self.assertEqual(len(told("call.ended")), 1)


class Deleted(TestCase):
    def test_is_told_without_participants_and_removes_the_events_that_name_them(self) -> None:
        call = begin("connection-1")
        close(call)
        add_ended(threading.Event())
        delete_call(call.pk, database_now())
        (event,) = OutgoingEvent.objects.all()
        self.assertEqual(event.type, "call.deleted")
        expected = {"id", "call_connection_id", "correlation_id", "started_at", "deleted_at"}
        self.assertEqual(set(event.data), expected)
        self.assertEqual(event.data["call_connection_id"], "connection-1")
        self.assertFalse(AwaitedEnd.objects.exists())

    def test_is_not_told_of_live_calls_unknown_calls_and_canaries(self) -> None:
        call = begin()
        with self.assertRaises(StillLive):
            delete_call(call.pk, database_now())
        canary = begin("canary-1")
        close(canary)
        delete_call(canary.pk, database_now())
        delete_call(canary.pk, database_now())
        self.assertEqual(told("call.deleted"), [])
        self.assertEqual(len(told("call.started")), 1)


class Payloads(RestTests):
    async def test_are_the_calls_of_rest_with_links(self) -> None:
        call, _alice, _bob = await sync_to_async(make_conversation)()
        payload = (await sync_to_async(call_payloads)([call.pk]))[call.pk]
        rest = await self.json(url_of(call))
        rest.pop("alarms")
        links = payload.pop("links")
        self.assertEqual(payload, {name: rest[name] for name in payload})
        for name in links:
            with self.subTest(name):
                self.assertEqual(
                    (await self.ask(links[name])).status_code, 302 if name == "page" else 200
                )

    @override_settings(PUBLIC_URL="https://calls.example.com")
    def test_links_begin_with_the_public_address(self) -> None:
        call = make_call()
        links = links_of(call.pk)
        self.assertEqual(
            links["page"], "https://calls.example.com" + reverse("call", args=[call.pk])
        )
        names = {
            "call": "call-detail",
            "audio": "call-audio",
            "manifest": "call-manifest",
            "segments": "call-segments",
        }
        for link, name in names.items():
            self.assertEqual(
                links[link], "https://calls.example.com" + reverse(f"api:{name}", args=[call.pk])
            )
