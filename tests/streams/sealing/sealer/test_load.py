"""Files arrive as fast as they are sealed: a round still ends, and the work between rounds is
done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from unittest.mock import patch

from django.db import OperationalError
from django.utils import timezone

from calls import storage
from calls.models import Call, Segment
from calls.storage import StoreUnreachable, deletion
from calls.storage.sweeper import EVERY_SECONDS
from calls.times import EPOCH
from streams.sealing import rows, steps
from streams.sealing.announcements import HEARTBEAT_SECONDS
from streams.sealing.backlog_watch import CHECK_SECONDS
from streams.sealing.sealer import TAKEOVER_SECONDS, Sealer
from streams.sealing.steps import SealJob
from tests.streams.journals import Socket
from tests.streams.packets import speech
from tests.streams.spools import Process, SpoolTest
from tests.waiting import wait_until

MAX_FILES = 250
"""Number of files after which the load stops, so that every round ends."""
FILE_SECONDS = TAKEOVER_SECONDS / 50


class SteadyLoad(SpoolTest):
    packets = speech(5)

    @contextmanager
    def load(
        self, after_each: Callable[[int], object] = int, *, ends: bool = False
    ) -> Iterator[None]:
        """Finishes another file for each that is stored; calls `after_each` with their number."""
        taken: list[str] = []
        write_object = storage.write_object

        def store(name: str, content: bytes) -> None:
            taken.append(name)
            self.clock.forward(FILE_SECONDS)
            write_object(name, content)
            if len(taken) < MAX_FILES:
                self.finish_one(f"call-{len(taken)}")
            after_each(len(taken))

        self.finish_one("call-0")
        with patch.object(storage, "write_object", store):
            yield
        self.assertEqual(len(taken) >= MAX_FILES, ends, "the load was still there at the end")

    def finish_one(self, connection: str, process: Process | None = None) -> None:
        Socket((process or self.process).folder, connection).say(self.packets).close()

    def test_a_round_ends_when_the_next_search_of_the_spool_is_due(self) -> None:
        began = self.clock.now
        with self.load():
            self.assertTrue(self.process.round())
        self.assertGreaterEqual(self.clock.now - began, TAKEOVER_SECONDS - CHECK_SECONDS)
        self.assertLessEqual(self.clock.now - began, TAKEOVER_SECONDS + CHECK_SECONDS)

    def test_a_process_that_dies_in_the_meantime_is_taken_over(self) -> None:
        other = self.new_process()
        self.finish_one("other", other)

        def kill(number: int) -> None:
            if number == 10:
                other.die()

        with self.load(kill):
            for _ in range(2):
                self.process.round()
        self.assertTrue(Call.objects.filter(call_connection_id="other").exists())
        self.assertFalse(other.folder.exists())

    def test_a_dead_folder_with_more_than_a_round_can_seal_is_continued_at_once(self) -> None:
        dead = self.new_process()
        for number in range(90):
            self.finish_one(f"dead-{number}", dead)
        dead.die()
        with self.load():
            self.process.round()
            self.assertTrue(dead.folder.exists())
            for _ in range(2):
                self.process.round()
        self.assertEqual(Call.objects.filter(call_connection_id__startswith="dead-").count(), 90)
        self.assertFalse(dead.folder.exists())

    def test_deleted_calls_are_swept(self) -> None:
        with self.load(), patch.object(deletion, "sweep") as sweep:
            began = self.clock.now
            while self.clock.now < began + 3 * TAKEOVER_SECONDS:
                self.process.round()
            self.assertEqual(sweep.call_count, 1)
            self.process.round(after_seconds=EVERY_SECONDS)
            self.assertEqual(sweep.call_count, 2)

    def test_heartbeats_continue_after_a_short_database_failure(self) -> None:
        live = Socket(self.process.folder, "live", connected_us=(timezone.now() - EPOCH).seconds)
        self.process.round()
        seen: list[float] = []
        write, vouch_for = steps.write_rows, rows.vouch_for
        failures = [OperationalError("gone")]

        def fail_once(files: Sequence[SealJob]) -> None:
            if failures:
                raise failures.pop()
            write(files)

        def note(stream_ids: list[str], now: datetime) -> None:
            self.assertEqual(stream_ids, [str(live.stream_id)])
            seen.append(self.clock.now)
            vouch_for(stream_ids, now)

        began = self.clock.now
        notes = patch.object(rows, "vouch_for", note)
        with self.load(), self.expected(), patch.object(steps, "write_rows", fail_once), notes:
            while self.clock.now < began + 3 * TAKEOVER_SECONDS:
                self.process.round()
        self.assertEqual((failures, self.process.sealer.failures["database"]), ([], 1))
        self.assertGreaterEqual(len(seen), 2)
        self.assertLess(seen[0] - began, TAKEOVER_SECONDS + HEARTBEAT_SECONDS)

    def test_a_failed_file_is_retried(self) -> None:
        store, refusals = steps.store_audio, [StoreUnreachable("no")]

        def refuse_first(file: SealJob) -> None:
            if refusals:
                raise refusals.pop()
            store(file)

        with self.load(), self.expected(), patch.object(steps, "store_audio", refuse_first):
            self.finish_one("first")
            self.process.round()
            self.process.round()
        self.assertTrue(Call.objects.filter(call_connection_id="first").exists())

    def test_the_thread_does_not_pause_between_rounds_under_load(self) -> None:
        """Runs the thread itself on the clock of this test: every pause would end the load."""
        sealer: Sealer = self.process.sealer
        pauses: list[int] = []
        wait = sealer._waking.wait

        def note(seconds: float | None = None) -> bool:
            pauses.append(Segment.objects.count())
            return wait(seconds)

        with self.load(ends=True), patch.object(sealer._waking, "wait", note):
            sealer.start()
            wait_until(lambda: pauses, what=lambda: "a pause")
            sealer.stop(30)
        self.assertEqual(pauses[0], MAX_FILES)
