"""The gateway of `make torture` in front of a real S3: the effect of each order on the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from botocore.config import Config
from django.core.files.base import ContentFile
from django.test import SimpleTestCase, tag

from calls.storage import AudioStorage, StoreUnreachable
from calls.storage.object_storage import S3_CONFIG, S3AudioStorage
from tests.object_stores import S3
from tests.torture import gateway, integrity
from tests.torture.faults.store import halve
from tests.torture.gateway import Gateway

NAME = "call/participant/0-0123456789abcdef.flac"
CONTENT = b"fLaC" * 10_000
IMPATIENT = S3_CONFIG.merge(Config(read_timeout=0.3))


@tag("once")
class GatewayTests(SimpleTestCase):
    store: S3
    opened: AudioStorage

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.store = cls.enterClassContext(S3())
        cls.opened = cls.store.opened()

    def test_passes_on(self) -> None:
        self.assertEqual(self.tried(gateway.PASS_ON), [])
        with self.opened.open(NAME) as file:
            self.assertEqual(file.read(), CONTENT)

    def test_refuses(self) -> None:
        self.assertEqual(self.tried(gateway.REFUSE), ["EndpointConnectionError"])

    def test_hangs(self) -> None:
        self.assertEqual(self.tried(gateway.HANG), ["ReadTimeoutError"])

    def test_aborts_in_the_middle_of_an_upload(self) -> None:
        self.assertEqual(self.tried(gateway.BREAK_OFF), ["ConnectionClosedError"])

    def test_throttles(self) -> None:
        self.assertEqual(self.tried(gateway.BUSY), ["SlowDown"])

    def test_keeps_half_and_reports_success(self) -> None:
        self.assertEqual(self.tried(gateway.KEEP_HALF), [])
        self.assertFalse(self.opened.holds(NAME, CONTENT))
        self.assertEqual(self.opened.size(NAME), len(CONTENT) // 2)

    def test_recovers_for_a_client_after_a_fault(self) -> None:
        async def try_twice(client: S3AudioStorage, way: Gateway) -> None:
            for order in (gateway.REFUSE, gateway.BREAK_OFF, gateway.BUSY):
                await way.obey(order)
                with self.assertRaises(StoreUnreachable):
                    await asyncio.to_thread(save, client)
                await way.obey(gateway.PASS_ON)
                await asyncio.to_thread(save, client)

        self.behind_a_gateway(try_twice)

    def test_does_not_hide_inconsistencies(self) -> None:
        """`integrity` reads a bucket like a folder."""
        self.tried(gateway.PASS_ON)
        row = ("track", 0, 10, "0" * 64, NAME)
        self.assertIn("is damaged", "".join(integrity.faults_of([row], self.opened)))
        self.assertEqual(
            list(integrity.faults_of([], self.opened)), [f"audio without a row left behind: {NAME}"]
        )
        lost = ("track", 0, 10, "0" * 64, "call/lost.flac")
        self.assertIn(
            "a row whose audio is not there: call/lost.flac",
            integrity.faults_of([lost], self.opened),
        )

    def tried(self, order: str) -> list[str]:
        """Returns the client's results for a store that follows an order."""
        results: list[str] = []

        async def attempt(client: S3AudioStorage, way: Gateway) -> None:
            await way.obey(order)
            try:
                await asyncio.to_thread(save, client)
            except StoreUnreachable as error:
                results.append(str(error))

        self.behind_a_gateway(attempt)
        return results

    def behind_a_gateway(
        self, attempt: Callable[[S3AudioStorage, Gateway], Awaitable[None]]
    ) -> None:
        async def keep_half(path: str) -> None:
            await asyncio.to_thread(halve, self.opened, self.store.name_at(path))

        async def run() -> None:
            async with Gateway(self.store.port, keep_half) as way:
                options: dict[str, Any] = self.store.storage()["OPTIONS"]
                endpoint = f"http://127.0.0.1:{way.port}"
                await attempt(
                    S3AudioStorage(
                        **{**options, "endpoint_url": endpoint, "client_config": IMPATIENT}
                    ),
                    way,
                )

        asyncio.run(run())


def save(client: S3AudioStorage) -> None:
    client.save(NAME, ContentFile(CONTENT, name=NAME))
