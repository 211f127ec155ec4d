"""Shared parts of the end-to-end tests: fast-starting servers, a REST client, comparable voices."""

from __future__ import annotations

import json
import re
import sqlite3
import wave
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray

from streams.journal.spool import is_written
from streams.simulator.casting import VOICES
from streams.simulator.scenario.audio import Clip, read_file
from streams.simulator.scenario.schedule import Conversation, ScriptedVoice
from tests.servers import Server, migrated_database, remove
from tests.waiting import wait_until

SEGMENT_SECONDS = 1.0
GRACE_SECONDS = 1.0
QUICK = {
    "SEGMENT_SECONDS": str(SEGMENT_SECONDS),
    "RECONNECT_GRACE_SECONDS": str(GRACE_SECONDS),
    "REST_RATE_USER": "1000000/min",  # tests poll until they get the expected answer
}
CALLER, AGENT = "4:+15550100142", "8:acs:3d20e1de-0f28-41c5_0000000b-faeb"

ENGINEER, PASSWORD = "engineer", "engineer-of-the-tests"
MAKE_ACCOUNT = f"""
from django.test import Client
from rest_framework.authtoken.models import Token
from tests.people import person
user, browser = person({ENGINEER!r}, password={PASSWORD!r}), Client()
browser.force_login(user)
print("account", Token.objects.create(user=user).key, browser.cookies["sessionid"].value)
"""


@dataclass(frozen=True)
class Account:
    """A user's token for REST and session for the live socket."""

    token: str
    session: str


def make_account(server: Server) -> Account:
    """Creates the user `ENGINEER` in the server's database."""
    printed = re.search(
        r"^account (\w+) (\w+)$", server.manage("shell", "-c", MAKE_ACCOUNT), re.MULTILINE
    )
    assert printed, "the account is printed"
    return Account(printed[1], printed[2])


@cache
def database_with_account() -> tuple[bytes, Account]:
    """Returns a migrated SQLite file with an account, cached because making it is slow."""
    with TemporaryDirectory() as folder:
        database = Path(folder) / "db.sqlite3"
        database.write_bytes(migrated_database())
        account = make_account(Server(data_dir=Path(folder)))
        return database.read_bytes(), account


@contextmanager
def running(
    kind: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Server, Rest]]:
    """Runs a server on "daphne" or "uvicorn" with its own data; yields it with a REST client."""
    content, account = database_with_account()
    folder = TemporaryDirectory(prefix="acsmedia-server-")
    with ExitStack() as stack:
        stack.callback(remove, folder)
        database = Path(folder.name) / "db.sqlite3"
        database.write_bytes(content)
        url = {"DATABASE_URL": f"sqlite:///{database}"}
        variables = {**QUICK, **url, **(environment or {})}
        server = Server(kind, environment=variables, data_dir=Path(folder.name))
        yield stack.enter_context(server), Rest(server, account)


class Rest:
    """REST client of one server, authenticated as an engineer."""

    def __init__(self, server: Server, account: Account) -> None:
        self.server = server
        self.account = account

    def body(self, path: str, **query: str) -> bytes:
        """Raises `HTTPError` for an error status."""
        address = f"{self.server.url}{path}{'?' if query else ''}{urlencode(query)}"
        request = Request(address, headers={"Authorization": f"Token {self.account.token}"})  # noqa: S310 - a local server
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content

    def json(self, path: str, **query: str) -> Any:
        return json.loads(self.body(path, **query))

    def calls(self, connection_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("/api/v1/calls/", call_connection_id=connection_id)[
            "results"
        ]
        return found

    def call(self, connection_id: str) -> dict[str, Any]:
        """Waits for the only call of that connection and returns it."""
        [call] = wait_until(
            lambda: self.calls(connection_id),
            what=lambda: f"{connection_id} is listed\n{self.server.log[-4000:]}",
        )
        return call

    def over(self, connection_id: str) -> dict[str, Any]:
        """Waits until the call has ended and no journal of this server waits to be sealed."""
        return wait_until(
            lambda: self._over(connection_id),
            what=lambda: f"{connection_id} is over\n{self.server.log[-4000:]}",
        )

    def _over(self, connection_id: str) -> dict[str, Any] | None:
        call = self.call(connection_id)
        spool_folder = self.server.data_dir / "spool"
        waiting = [
            *spool_folder.glob("*/*.journal"),
            # of a process that was killed
            *(path for path in spool_folder.glob("*/*.open") if not is_written(path.parent)),
        ]
        return None if call["state"] == "live" or waiting else call

    def audio(self, call: dict[str, Any], **query: str) -> tuple[NDArray[np.int16], int]:
        """Returns the samples of a WAV of the call, shape (samples, channels), and their rate."""
        with wave.open(BytesIO(self.body(f"/api/v1/calls/{call['id']}/audio", **query))) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            return samples.reshape(-1, file.getnchannels()), file.getframerate()

    def track(self, call: dict[str, Any], raw_id: str) -> bytes:
        """Returns PCM of one participant's track, from the start of the call to its end."""
        [participant] = [one["id"] for one in call["participants"] if one["raw_id"] == raw_id]
        return self.audio(call, participant=participant)[0].tobytes()

    def manifest(self, call: dict[str, Any]) -> dict[str, Any]:
        """Returns the manifest's tracks by raw id."""
        tracks = self.json(f"/api/v1/calls/{call['id']}/manifest")["tracks"]
        return {track["participant"]["raw_id"]: track for track in tracks}

    def packets(self) -> int:
        """Returns the number of audio packets written to journals, from the metrics."""
        counted = re.search(
            r"^acsmedia_packets_total (\S+)$", self.body("/metrics").decode(), re.MULTILINE
        )
        assert counted, "the metric is shown"
        return int(float(counted[1]))

    def ledger(self) -> set[tuple[str, str]]:
        """Returns (kind, reason) of all ledger entries, from the database: REST shows gaps only."""
        with sqlite3.connect(self.server.data_dir / "db.sqlite3") as database:
            return {*database.execute("SELECT kind, reason FROM calls_ledgerentry")}


def spoken(
    seconds: float, rate: int = 16_000, *, raw_ids: tuple[str, ...] = (CALLER, AGENT), **faults: Any
) -> Conversation:
    """Returns the start of the demo call `order`, with one speaker for each of `raw_ids`."""
    names = ("order-caller", "order-agent")
    voices = [
        ScriptedVoice(raw_id, Clip(read_file(VOICES / f"{name}.flac", rate), rate, seconds))
        for raw_id, name in zip(raw_ids, names, strict=False)
    ]
    return Conversation(tuple(voices), rate)


def noises(seconds: float, rate: int = 16_000, *, seed: int = 1, **faults: Any) -> Conversation:
    """Returns noise of two participants, so a shift by one sample or a swapped packet shows."""
    random = np.random.default_rng(seed)
    voices = [
        ScriptedVoice(
            raw_id, Clip(random.integers(-20_000, 20_000, round(seconds * rate), np.int16), rate)
        )
        for raw_id in (CALLER, AGENT)
    ]
    return Conversation(tuple(voices), rate, **faults)


def pcm_of(script: Conversation, raw_id: str) -> bytes:
    """Returns all PCM of the participant in the script."""
    [sound] = [voice.sound for voice in script.voices if voice.raw_id == raw_id]
    return b"".join(map(sound.packet, range(sound.packet_count)))
