"""nginx with the deployment's configuration, before small fake processes: names, limits, TLS."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from unittest import IsolatedAsyncioTestCase

from django.test import tag

from tests import machine
from tests.front_door import FrontDoor
from tests.servers import free_port
from tests.waiting import until

MEDIA = "/ws/acs/media"
EVENTS = ("/webhooks/acs/callbacks", "/webhooks/acs/events")


class Names(asyncio.DatagramProtocol):
    """A DNS server that answers every question with `addresses`, valid for an hour."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.answered: list[list[str]] = []
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        """Answers with A records (RFC 1035, section 4)."""
        question = data[12 : data.index(b"\0", 12) + 5]
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(self.addresses), 0, 0)
        records = [
            struct.pack(">HHHIH", 0xC00C, 1, 1, 3600, 4) + socket.inet_aton(address)
            for address in self.addresses
        ]
        self.answered.append(self.addresses)
        self._transport.sendto(head + question + b"".join(records), sender)


@asynccontextmanager
async def names() -> AsyncIterator[tuple[Names, int]]:
    """Runs a DNS server; yields it and its port."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Names, ("127.0.0.1", 0))
    try:
        yield server, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


class Process:
    """A fake process, which answers every request with its name, or not at all (`holds`)."""

    def __init__(self, name: str = "", *, holds: bool = False) -> None:
        self._name, self._holds = name, holds
        self.requests = 0

    def has_requests(self, count: int) -> bool:
        return self.requests == count

    @asynccontextmanager
    async def listening(self, port: int, address: str = "127.0.0.1") -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, address, port)
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self._holds:
            await reader.read()  # until nginx gives up
        else:
            body = self._name.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()


def get(door: FrontDoor, path: str) -> tuple[int, str]:
    """Returns status and body."""
    connection = http.client.HTTPConnection("localhost", door.http, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@tag("once")
class RouteTests(IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        machine.nginx()

    async def test_a_container_with_a_new_address_is_found_without_a_reload(self) -> None:
        port = free_port()
        async with names() as (dns, dns_port):
            replace = {
                "default ingest:8000;": f"default ingest.test:{port};",
                "default web:8000;": f"default web.test:{port};",
                "worker_processes auto;": "worker_processes 1;",  # each worker asks itself
                "resolver 127.0.0.11 valid=2s": f"resolver 127.0.0.1:{dns_port} valid=1s",
            }
            dns.addresses = ["127.0.0.1"]
            async with (
                Process("old").listening(port),
                Process("new").listening(port, "127.0.0.2"),
            ):
                with FrontDoor("behind-proxy", web=port, ingest=port, replace=replace) as door:
                    for path in (MEDIA, "/calls/"):
                        self.assertEqual(await asyncio.to_thread(get, door, path), (200, "old"))
                    dns.addresses = ["127.0.0.2"]
                    for path in (MEDIA, "/calls/"):
                        await until(partial(self.answers, door, path, "new"))
                    # two containers of one name, of which one has just been removed
                    dns.addresses = ["127.0.0.2", "127.0.0.3"]
                    while dns.addresses not in dns.answered:
                        await asyncio.to_thread(get, door, MEDIA)
                    answers = {await asyncio.to_thread(get, door, MEDIA) for _ in range(8)}
                    self.assertEqual(answers, {(200, "new")})

    async def answers(self, door: FrontDoor, path: str, body: str) -> bool:
        return (await asyncio.to_thread(get, door, path)) == (200, body)

    async def test_open_requests_of_an_address_are_limited_apart_from_calls(self) -> None:
        """A limit of 3 instead of 500 and 4 instead of 4000."""
        port = free_port()
        process = Process(holds=True)
        replace = {"browsers 500;": "browsers 3;", "calls 4000;": "calls 4;"}
        async with process.listening(port):
            with FrontDoor("behind-proxy", web=port, ingest=port, replace=replace) as door:
                for path, limit, status in (("/calls/", 3, 429), (MEDIA, 4, 503)):
                    with self.subTest(path):
                        before = process.requests
                        held = [await opened(door, path) for _ in range(limit)]
                        await until(partial(process.has_requests, before + limit))
                        self.assertEqual((await asyncio.to_thread(get, door, path))[0], status)
                        for writer in held:
                            writer.close()

    async def test_events_of_acs_are_limited_apart_from_its_calls_and_from_browsers(self) -> None:
        """Limits of 3, 4 and 2 instead of 500, 4000 and 1000."""
        port = free_port()
        process = Process(holds=True)
        replace = {"browsers 500;": "browsers 3;", "calls 4000;": "calls 4;"}
        replace["events 1000;"] = "events 2;"
        async with process.listening(port):
            with FrontDoor("behind-proxy", web=port, ingest=port, replace=replace) as door:
                held = [await opened(door, path) for path in (MEDIA,) * 4 + ("/calls/",) * 3]
                await until(partial(process.has_requests, 7))
                for count, path in enumerate(EVENTS, start=8):
                    held.append(await opened(door, path))
                    await until(partial(process.has_requests, count))
                for path in (*EVENTS, MEDIA):
                    self.assertEqual((await asyncio.to_thread(get, door, path))[0], 503, path)
                for writer in held:
                    writer.close()

    async def test_tls_is_new_and_its_ciphers_have_forward_secrecy(self) -> None:
        port = free_port()
        with FrontDoor("tls", web=port, ingest=port) as door:
            self.assertEqual(await negotiated(door), "TLSv1.3")
            version = ssl.TLSVersion.TLSv1_2
            self.assertEqual(await negotiated(door, maximum=version), "TLSv1.2")
            for maximum, ciphers in (
                (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
                (version, "AES128-GCM-SHA256"),
                (version, "ECDHE-ECDSA-AES128-SHA256"),
            ):
                with self.subTest(maximum, ciphers=ciphers), self.assertRaises(ssl.SSLError):
                    await negotiated(door, maximum=maximum, ciphers=ciphers)


async def opened(door: FrontDoor, path: str) -> asyncio.StreamWriter:
    """Sends a request and leaves it open."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", door.http)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return writer


async def negotiated(
    door: FrontDoor, *, maximum: ssl.TLSVersion | None = None, ciphers: str = ""
) -> str:
    """Returns the TLS version of a connection of a client with these limits."""
    context = door.trust
    if maximum:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, maximum
    if ciphers:
        context.set_ciphers(ciphers)
    _reader, writer = await asyncio.open_connection(
        "127.0.0.1", door.https, ssl=context, server_hostname="localhost"
    )
    try:
        version: str = writer.get_extra_info("ssl_object").version()
    finally:
        writer.close()
    return version
