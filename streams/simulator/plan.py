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
        """The same script as another call."""
        return replace(
            self, connection_id=new_id(), correlation_id=new_id(), subscription_id=new_id()
        )


@dataclass(frozen=True)
class Plan:
    """A run against the media socket at `url`.

    `speed` 1 is real time, 0 as fast as it goes. `headers` come on top of the two x-ms- headers
    (`name_calls`). `drop` breaks the TCP connection at the end instead of closing it. `started_us`:
    what the timestamps begin with, microseconds since the epoch; None = the moment it is.
    `wait_seconds`: how long an address that nobody answers is tried again. `hashes`: keep account
    of the PCM sent, for the ledger.
    """

    url: str
    calls: tuple[PlannedCall, ...]
    speed: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    name_calls: bool = True
    token: str = ""
    signer: Signer | None = None
    drop: bool = False
    loop: bool = False
    pause_seconds: float = 3.0
    wait_seconds: float = 0.0
    silent_flag: bool = True
    started_us: int | None = None
    hashes: bool = True

    @property
    def address(self) -> str:
        """`url` with the stream token in its query string, where there is one."""
        if not self.token:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}token={quote(self.token, safe='')}"
