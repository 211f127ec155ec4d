"""The question to database and spool which call a new socket belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

from django.db import OperationalError, connections
from django.test import SimpleTestCase, override_settings
from django.utils import timezone

from calls import identity
from calls.identity import CallLink
from calls.models import Call
from streams import call_lookup as module
from streams.call_lookup import Answers, CallLookup, Question, find_calls
from streams.ingest.call_chains import NO_CALL, UNANSWERED, FoundCall
from tests.calls.rows import START, make_call, make_subscription
from tests.streams.journals import Socket
from tests.streams.spools import SpoolTest
from tests.waiting import PATIENCE_SECONDS, until


def continued(link: CallLink) -> dict[str, Any]:
    return {
        "id": link.id,
        "call_connection_id": "connection",
        "started_at": START,
        "continuation": link.number,
        "continued_from_id": link.continued_from,
    }


def question(number: int) -> Question:
    return Question(UUID(int=number), f"connection {number}")


class Database:
    """Answers questions, one at a time; `away` and `hang` are its faults."""

    def __init__(self) -> None:
        self.asked: list[list[Question]] = []
        self.away = False
        self.may_answer = Event()
        self.may_answer.set()

    def __call__(self, questions: Sequence[Question]) -> Answers:
        self.asked.append([*questions])
        self.may_answer.wait(30)
        if self.away:
            raise OperationalError("the server is down")
        return {
            one.first_id: FoundCall(CallLink(one.first_id))
            for one in questions
            if int(one.first_id) % 2
        }


class Lookup(SimpleTestCase):
    def setUp(self) -> None:
        self.database, self.seconds = Database(), 1000.0
        self.lookup = CallLookup(self.database, clock=lambda: self.seconds)
        self.addCleanup(self.database.may_answer.set)

    async def test_returns_the_call_or_that_there_is_none(self) -> None:
        found = FoundCall(CallLink(UUID(int=1)))
        self.assertEqual(await self.lookup.find(question(1)), found)
        self.assertEqual(await self.lookup.find(question(2)), NO_CALL)

    async def test_handshakes_share_a_question_and_resume_one_by_one(self) -> None:
        """A burst that resumed at once would stall open sockets."""
        self.database.may_answer.clear()
        resumed: list[tuple[int, int]] = []  # (handshake, iteration of the event loop)
        iteration = 0

        async def count() -> None:
            nonlocal iteration
            while True:
                iteration += 1
                await asyncio.sleep(0)

        async def find(number: int) -> None:
            await self.lookup.find(question(number))
            resumed.append((number, iteration))

        counting = asyncio.ensure_future(count())
        finds = [asyncio.ensure_future(find(number)) for number in range(50)]
        await until(lambda: self.database.asked and len(self.lookup._waiting) == 49)
        self.database.may_answer.set()
        await asyncio.gather(*finds)
        counting.cancel()
        self.assertEqual([number for number, _ in resumed], [*range(50)])
        self.assertEqual(len({at for _, at in resumed}), 50, "each in an iteration of its own")
        self.assertEqual([len(asked) for asked in self.database.asked], [1, 49])

    async def test_an_error_is_no_answer_and_is_not_repeated_at_once(self) -> None:
        self.database.away = True
        with self.assertLogs("streams.call_lookup", "WARNING") as logs:
            self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
            self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
        self.assertEqual((len(self.database.asked), len(logs.output)), (1, 1))
        self.database.away = False
        self.seconds += module.RETRY_SECONDS
        self.assertTrue((await self.lookup.find(question(1))).is_answer)

    async def test_nobody_waits_long_for_a_database_that_hangs(self) -> None:
        self.lookup = CallLookup(self.database, wait_seconds=0.01, clock=lambda: self.seconds)
        self.database.may_answer.clear()
        with self.assertLogs("streams.call_lookup", "WARNING") as logs:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await asyncio.gather(*(self.lookup.find(question(1)) for _ in range(3)))
        self.assertEqual(found, [UNANSWERED] * 3)
        self.assertEqual(len(logs.output), 1, "one line for all that wait")
        self.seconds += module.RETRY_SECONDS
        self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
        self.assertEqual(len(self.database.asked), 1, "one question at a time")
        self.database.may_answer.set()

        async def answered() -> bool:
            return (await self.lookup.find(question(1))).is_answer

        await until(answered)

    async def test_a_question_that_hangs_for_very_long_is_abandoned(self) -> None:
        self.lookup = CallLookup(self.database, wait_seconds=0.01, clock=lambda: self.seconds)
        self.database.may_answer.clear()
        with self.assertLogs("streams.call_lookup", "WARNING"):
            self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
            self.seconds += module.GIVE_UP_SECONDS + 1
            self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
        self.assertEqual(len(self.database.asked), 2)

    async def test_the_late_answer_to_an_abandoned_question_begins_no_other(self) -> None:
        gates, asked = [Event(), Event()], list[Future[Answers]]()
        for gate in gates:
            self.addCleanup(gate.set)
        left = iter(gates)

        def ask(questions: Sequence[Question]) -> Answers:
            next(left).wait(30)
            return self.database(questions)

        self.lookup = CallLookup(ask, wait_seconds=0.01, clock=lambda: self.seconds)
        for seconds in (0.0, module.GIVE_UP_SECONDS + 1):
            self.seconds += seconds
            with self.assertLogs("streams.call_lookup", "WARNING"):
                self.assertEqual(await self.lookup.find(question(1)), UNANSWERED)
            assert self.lookup._asked, "it hangs"
            asked.append(self.lookup._asked)
        delivered = asyncio.Event()
        asked[0].add_done_callback(lambda _: loop.call_soon_threadsafe(delivered.set))
        loop = asyncio.get_running_loop()
        gates[0].set()
        await delivered.wait()
        self.assertIs(self.lookup._asked, asked[1], "one question at a time")

    async def test_a_handshake_that_is_cancelled_disturbs_no_other(self) -> None:
        self.database.may_answer.clear()
        finds = [asyncio.ensure_future(self.lookup.find(question(number))) for number in (1, 3, 5)]
        await until(lambda: self.database.asked)
        finds[0].cancel()
        finds[1].cancel()
        self.database.may_answer.set()
        self.assertTrue((await finds[2]).is_answer)


@override_settings(RECONNECT_GRACE_SECONDS=10)
class FindCalls(SpoolTest):
    """The rows and the spool."""

    def found(self, *closed_ids: str) -> FoundCall | None:
        first_id = identity.call_id_of("connection", uuid4())
        return find_calls(self.spool, [Question(first_id, "connection", closed_ids)]).get(first_id)

    def make_ended_call(self) -> Call:
        call = make_call("connection")
        make_subscription(call)  # months ago
        return call

    def test_a_new_connection_id_has_no_call(self) -> None:
        self.assertIsNone(self.found())

    def test_a_call_ends_when_its_sockets_have(self) -> None:
        call = self.make_ended_call()
        self.assertEqual(self.found(), FoundCall(CallLink(call.id), has_ended=True))
        open_one = make_subscription(call, seen_at=timezone.now(), disconnected_at=None)
        self.assertEqual(self.found(), FoundCall(CallLink(call.id)))
        self.assertEqual(
            self.found(str(open_one.stream_id)), FoundCall(CallLink(call.id), has_ended=True)
        )

    def test_a_journal_without_a_row_keeps_the_call_open(self) -> None:
        """Its process was killed while the database was unreachable."""
        call = self.make_ended_call()
        Socket(self.process.folder, "another call")
        socket = Socket(self.process.folder)
        self.process.die()
        self.assertEqual(self.found(), FoundCall(CallLink(call.id)))
        closed = FoundCall(CallLink(call.id), has_ended=True)
        self.assertEqual(self.found(str(socket.stream_id)), closed)

    def test_a_journal_of_a_socket_with_a_row_says_nothing_about_its_end(self) -> None:
        """It is not sealed yet; the row knows when the socket ended."""
        call = self.make_ended_call()
        socket = Socket(self.process.folder)
        make_subscription(call, stream_id=socket.stream_id)
        self.assertEqual(self.found(), FoundCall(CallLink(call.id), has_ended=True))
        self.process.die()

    def test_a_journal_of_an_earlier_call_opens_no_later_one(self) -> None:
        second = CallLink(self.make_ended_call().id).following
        make_subscription(Call.objects.create(**continued(second)))
        Socket(self.process.folder)
        self.assertEqual(self.found(), FoundCall(second, has_ended=True))
        self.process.die()

    def test_connections_of_the_thread_are_closed_whatever_happens(self) -> None:
        for failure in (None, OperationalError):
            with (
                mock.patch.object(module, "latest_calls", side_effect=failure, return_value={}),
                mock.patch.object(connections, "close_all") as close_all,
                suppress(OperationalError),
            ):
                self.found()
            close_all.assert_called_once_with()

    def test_a_journal_that_has_just_been_sealed_is_no_error(self) -> None:
        call = self.make_ended_call()
        Socket(self.process.folder)
        with mock.patch.object(Path, "open", side_effect=FileNotFoundError):
            self.assertEqual(self.found(), FoundCall(CallLink(call.id), has_ended=True))

    def test_a_file_of_another_name_is_no_journal(self) -> None:
        call = self.make_ended_call()
        (self.process.folder / "copy of a journal.journal").write_bytes(b"")
        Socket(self.process.folder)
        self.process.die()
        self.assertEqual(self.found(), FoundCall(CallLink(call.id)))

    def test_a_journal_that_cannot_be_read_stops_no_look_up(self) -> None:
        call = self.make_ended_call()
        (self.process.folder / f"{uuid4()}.journal").mkdir()
        self.assertEqual(self.found(), FoundCall(CallLink(call.id), has_ended=True))
