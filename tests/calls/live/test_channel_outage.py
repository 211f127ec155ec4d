"""Outages of the channel layer are two lines in the log."""

from __future__ import annotations

import logging
from functools import partial
from unittest import mock

from django.test import SimpleTestCase
from redis.exceptions import ConnectionError as RedisConnectionError

from calls.live import channel
from calls.live.channel import LayerOutage, WithoutLayerErrors
from tests.waiting import until


class OutageTests(SimpleTestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.object(channel, "TRY_SECONDS", 0.01))
        self.now, self.attempts, self.is_away = 100.0, 0, True
        self.outage = LayerOutage(self.attempt, lambda: self.now)

    async def attempt(self) -> None:
        self.attempts += 1
        self.now += 1
        if self.is_away:
            raise RedisConnectionError("redis:6379 refused")

    async def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(self) -> None:
        with self.assertLogs("calls.live.channel") as logs:
            for _ in range(50):
                self.outage.note(RedisConnectionError())
            await until(lambda: self.attempts > 5)
            self.outage.note(TimeoutError())
            self.is_away = False
            await until(lambda: len(logs.output) > 1)
        unreachable, reachable = logs.output
        self.assertIn("channel layer unreachable", unreachable)
        self.assertIn("ConnectionError", unreachable)
        self.assertIn("channel layer reachable", reachable)

    async def test_a_layer_that_refuses_now_and_then_is_still_away(self) -> None:
        self.is_away = False
        with self.assertLogs("calls.live.channel") as logs:
            for _ in range(5):
                self.outage.note(TimeoutError())
                tried = self.attempts
                await until(partial(self.has_tried_since, tried))
            await until(lambda: len(logs.output) > 1)
        self.assertEqual(len(logs.output), 2)

    def has_tried_since(self, attempts: int) -> bool:
        return self.attempts > attempts

    async def test_the_next_outage_is_logged_again(self) -> None:
        self.is_away = False
        with self.assertLogs("calls.live.channel") as logs:
            self.outage.note(TimeoutError())
            await until(lambda: len(logs.output) == 2)
            self.outage.note(TimeoutError())
            await until(lambda: len(logs.output) == 4)


class FilterTests(SimpleTestCase):
    def setUp(self) -> None:
        self.note = self.enterContext(mock.patch.object(channel.layer_outage, "note"))

    def passes(self, name: str, error: Exception | None) -> bool:
        info = (type(error), error, None) if error else None
        record = logging.LogRecord(name, logging.ERROR, "", 1, "receive task", None, info)
        return WithoutLayerErrors().filter(record)

    def test_errors_of_the_layer_are_noted_instead(self) -> None:
        self.assertFalse(self.passes("channels_redis.pubsub", RedisConnectionError()))
        self.assertEqual(self.note.call_count, 1)

    def test_other_lines_pass(self) -> None:
        self.assertTrue(self.passes("channels_redis.pubsub", ValueError()))
        self.assertTrue(self.passes("channels_redis.pubsub", None))
        self.assertTrue(self.passes("calls.live.view", RedisConnectionError()))
        self.assertEqual(self.note.call_count, 0)
