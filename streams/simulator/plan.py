"""Everything a run needs, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import quote
from uuid import uuid4

from streams.simulator.scenario.schedule import Script
from streams.simulator.token import Signer


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class PlannedCall:
    """One call: its script and its names. It begins `begin_us` after the run."""

    script: Script
    connection_id: str = field(default_factory=new_id)
    correlation_id: str = field(default_factory=new_id)
    subscription_id: str = field(default_factory=new_id)
    begin_us: int = 0

    def again(self) -> PlannedCall:
        """Returns the same script as another call."""
        return replace(
            self, connection_id=new_id(), correlation_id=new_id(), subscription_id=new_id()
        )


@dataclass(frozen=True)
class Plan:
    """A run against the media socket at `url`.

    `speed` 1 is real time, 0 as fast as possible. `headers` are sent in addition to the two x-ms-
    headers (`name_calls`). `drop` breaks the TCP connection at the end instead of closing it.
    `started_us` is the first timestamp, in microseconds since the epoch; None for the current time.
    `wait_seconds` limits the retries of an address that does not answer; `restart_seconds` those of
    a server that has closed a socket with 1012 to restart: as ACS does, a new socket continues the
    call. `hashes` adds the hashes
    of the PCM sent to the report. Events about the calls go to `events_url`, "" for none.
    """

    url: str
    calls: tuple[PlannedCall, ...]
    speed: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    name_calls: bool = True
    token: str = ""
    events_url: str = ""
    events_token: str = ""
    signer: Signer | None = None
    drop: bool = False
    loop: bool = False
    pause_seconds: float = 3.0
    wait_seconds: float = 0.0
    restart_seconds: float = 0.0
    silent_flag: bool = True
    started_us: int | None = None
    hashes: bool = True

    @property
    def address(self) -> str:
        """`url`, with the stream token in its query string if there is one."""
        return _with_token(self.url, self.token)

    @property
    def events_address(self) -> str:
        """`events_url`, with the secret of events in its query string if there is one."""
        return _with_token(self.events_url, self.events_token) if self.events_url else ""


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}token={quote(token, safe='')}" if token else url
