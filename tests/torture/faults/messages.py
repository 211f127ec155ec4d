"""Hostile messages: bounded, counted and escaped; nothing is executed, no file is written outside
the folders.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from uuid import UUID, uuid4

from calls import identity
from streams.simulator import wire
from tests.servers import ROOT
from tests.torture.caller import METADATA
from tests.torture.dashboard import log_in
from tests.torture.media_socket import BINARY, TEXT, MediaSocket, frame
from tests.torture.memory import Peak
from tests.torture.numbered import NumberedVoice
from tests.torture.recording import NoAnswer, get
from tests.torture.trial import Fault, Trial

MARKUP = '<script>alert("1")</script><img src=x onerror=alert(2)>'
OUTSIDE = f"{gettempdir()}/acsmedia-torture-escaped"
EVIL_IDS = (
    MARKUP,
    f"../../../../../../..{OUTSIDE}",
    "..\\..\\windows",
    "/etc/passwd",
    "'; DROP TABLE calls_call; --",
    '" OR 1=1; --',
    "{{ 7*7 }}{% load static %}",
    "%s%s%s%n",
    "\u202e\u0623\U0001f4a3",
)
MAX_PARTICIPANTS = 512
MAX_MB = 60.0
COUNTS = "SELECT SUM(malformed), SUM(unknown), SUM(odd_timestamp) FROM calls_subscription"
PARTICIPANTS = "SELECT call_id, COUNT(*) FROM calls_participant GROUP BY call_id"
TEXT_PCM = NumberedVoice(3).packet(0)


async def hostile(trial: Trial) -> None:
    """Sends all hostile messages on one socket, beside another call."""
    site = await trial.install()
    trial.call(1)
    await site.warm()
    async with Peak(site.process) as peak:
        attacker = await MediaSocket.open(site.server.media_url)
        await attacker.send(wire.audio_metadata("hostile", METADATA))
        sent = 0
        for message in malformed():
            await attacker.send_raw(message)
            sent += 1
        for text in ODD_TEXTS:
            await attacker.send_raw(frame(TEXT, text.encode()))
        await attacker.close()
        counts = await crowd(trial)
    await trial.end_calls()
    (row,) = site.database.query(site.database_url, COUNTS)
    trial.note(
        f"{sent} hostile messages: {row[0]} malformed, {row[1]} unknown; memory "
        f"{peak.grown_mb:+.1f} MB"
    )
    trial.expect(row[0] + row[1] >= sent, f"{sent} hostile messages, {row[0] + row[1]} counted")
    odd = sum('"timestamp"' in text for text in ODD_TEXTS)
    trial.expect(row[2] == odd, f"{odd} odd timestamps, {row[2]} counted")
    trial.expect(peak.grown_mb <= MAX_MB, f"memory grew by {peak.grown_mb:.1f} MB")
    trial.expect(counts <= MAX_PARTICIPANTS, f"{counts} participants in one call")


async def crowd(trial: Trial) -> int:
    """Sends 10,000 participants in one call; returns the number in the database."""
    attacker = await MediaSocket.open(trial.site.server.media_url)
    with suppress(OSError):
        await attacker.send(wire.audio_metadata("crowd", METADATA))
        for number in range(10_000):
            await attacker.send(
                wire.audio_data(number, f"4:+1{number:010d}", TEXT_PCM, silent=False)
            )
            await asyncio.sleep(0)
    await attacker.close()
    await trial.site.until(lambda: len(trial.site.journals()) <= 2, "the participants are sealed")
    return max(
        int(number)
        for _, number in trial.site.database.query(trial.site.database_url, PARTICIPANTS)
    )


NUMBERS = ("NaN", "Infinity", "1e999", "9" * 5_000)
"""JSON has no such numbers, or msgspec does not accept them."""
MALFORMED_TEXTS = (
    "",
    "null",
    "[]",
    "{" * 50_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
    '{"kind":"AudioData"}',
    '{"kind":"AudioData","audioData":{"data":"****"}}',
    '{"kind":{"$ne":1},"audioData":[]}',
    '{"kind":"DtmfData","dtmfData":{"data":"' + "5" * 100_000 + '"}}',
    *(f'{{"kind":"DtmfData","dtmfData":{{"data":{number}}}}}' for number in ("NaN", "1e999", "{}")),
    *(
        f'{{"kind":"AudioData","audioData":{{"data":"AAAA","timestamp":{number}}}}}'
        for number in NUMBERS
    ),
    '{"kind":"__proto__","__proto__":{"x":1}}',
)
ODD_TEXTS = (
    '{"kind":"AudioData","audioData":{"data":"AAAA","participantRawID":"' + "x" * 200_000 + '"}}',
    '{"kind":"AudioData","audioData":{"data":"AAAA","participantRawID":"a\\u0000b"}}',
    *(
        f'{{"kind":"AudioData","audioData":{{"data":"AAAA","timestamp":{timestamp}}}}}'
        for timestamp in (
            *('"tomorrow"', '"9999-99-99T99:99:99Z"', "{}"),
            *("-16000", "0", "1e-300", "9" * 4_000),
        )
    ),
)
"""Audio beside members that cannot be read: it is recorded."""


def malformed() -> Iterator[bytes]:
    """Yields frames of messages without content, none of which may end the call."""
    for text in MALFORMED_TEXTS:
        yield frame(TEXT, text.encode())
    yield frame(BINARY, b"\xff\xfe\x00\x80" * 100)
    yield frame(
        BINARY, b'{"kind":"AudioData","audioData":{"data":"AAAA","participantRawID":"\xff\xff"}}'
    )


async def invalid_text(trial: Trial) -> None:
    """Sends invalid UTF-8, invalid rates and raw ids of a megabyte: only that socket may end."""
    site = await trial.install()
    trial.call(2)
    bad_rates = ("-16000", "0", "1e999", "1e12", "NaN", '"fast"')
    metadata = (
        '{"kind":"AudioMetadata","audioMetadata":'
        '{"subscriptionId":"s","encoding":"PCM","sampleRate":%s,"channels":1}}'
    )
    messages = [frame(TEXT, (metadata % rate).encode()) for rate in bad_rates]
    big = wire.audio_data(0, "x" * 1_000_000, TEXT_PCM, silent=False).encode()
    for content in (
        *messages,
        frame(TEXT, b'{"kind":"\xff\xfe"}'),
        frame(TEXT, big),
        frame(0x3, b"?"),
        b"\x00" * 1000,
    ):
        attacker = await MediaSocket.open(site.server.media_url)
        with suppress(OSError):
            await attacker.send_raw(content)
        await trial.some_time(0.05, 0.1)
        await attacker.close()
    await trial.end_calls()
    ours = [
        line for line in site.server.log.splitlines() if f'File "{ROOT}/streams' in line
    ]  # uvicorn logs tracebacks of its own
    trial.expect(not ours, f"a traceback in the log: {ours[:1]}")


async def evil_ids(trial: Trial) -> None:
    """Sends ids of markup, paths and SQL: stored unchanged, shown escaped, never in a path."""
    site = await trial.install()
    connection_id = f"../../{MARKUP}{uuid4()}"
    attacker = await MediaSocket.open(
        site.server.media_url, {wire.CONNECTION_ID_HEADER: connection_id}
    )
    await attacker.send(wire.audio_metadata(MARKUP, METADATA))
    for number in range(50):
        for raw_id in EVIL_IDS:
            await attacker.send(wire.audio_data(number * 20_000, raw_id, TEXT_PCM, silent=False))
    await attacker.send('{"kind":"DtmfData","dtmfData":{"data":"<b>1</b>"}}')
    await attacker.close()
    await site.sealed()
    await expect_escaped(trial, identity.call_id_of(connection_id, uuid4()))
    trial.expect(not Path(OUTSIDE).exists(), "an id created a file outside the folders")  # noqa: ASYNC240 - once
    names = [
        path for path in site.data_dir.rglob("*") if "script" in path.name or "passwd" in path.name
    ]
    trial.expect(not names, f"ids in file names: {names}")
    trial.expect(
        "<script>" not in site.server.log and "passwd" not in site.server.log, "ids in the log"
    )
    trial.findings.broken += await site.faults()


async def expect_escaped(trial: Trial, call_id: UUID) -> None:
    """Checks that pages show the ids escaped, and that the manifest contains them."""
    port = trial.site.server.port
    cookie = await asyncio.to_thread(log_in, port)
    lists = ("call", "participant", "segment", "subscription", "ledgerentry")
    for path in (
        *(f"/admin/calls/{name}/" for name in lists),
        f"/admin/calls/call/{call_id}/change/",
        "/",
    ):
        status, body = await asyncio.to_thread(page, port, path, cookie)
        trial.expect(status == 200, f"{path} answered {status}")
        trial.expect(
            "<script>alert" not in body and "<img src=x" not in body,
            f"{path} shows markup of an id",
        )
        trial.expect("{{ 7*7 }}" in body or "49{%" not in body, f"{path} evaluated an id")
    try:
        manifest = await asyncio.to_thread(get, port, f"/api/v1/calls/{call_id}/manifest")
        found = manifest.decode().count('"raw_id"')
        trial.expect(found >= len(EVIL_IDS), "not every id is in the manifest")
    except NoAnswer as error:
        trial.findings.broken.append(str(error))


def page(port: int, path: str, cookie: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Cookie": cookie})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


PROMISED = "others: 0 ms; bounded, counted, escaped"
FAULTS = (
    Fault("hostile-messages", PROMISED, hostile),
    Fault("invalid-text", PROMISED, invalid_text),
    Fault("evil-ids", PROMISED, evil_ids),
)
