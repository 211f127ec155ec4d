"""Plays a day against servers behind nginx; `comparison` compares what coverage says with the plan.

with installation() as site:
    outcomes = play(site, planned(...))
    problems = compare(site, outcomes)
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPSHandler, Request, build_opener, urlopen

from tests.end_to_end.day.acs import Caller, Outcome, Poster
from tests.end_to_end.day.plan import Kind, PlannedCall
from tests.end_to_end.installation import Account, make_account
from tests.front_door import FrontDoor
from tests.servers import Server, migrated_database
from tests.streams import tokens

GRACE_SECONDS = 5.0
DELAY_SECONDS = 4.0
"""`COVERAGE_DELAY_SECONDS` of the day."""

JUDGED_SECONDS = 90.0
"""Longest time until everything is judged."""


@dataclass(frozen=True)
class Site:
    """A web process and an ingest process behind nginx."""

    web: Server
    ingest: Server
    door: FrontDoor
    account: Account

    def get(self, path: str, **query: str) -> bytes:
        """Returns the body of an address, with the token of an engineer."""
        address = f"https://localhost:{self.door.https}{path}{'?' if query else ''}"
        request = Request(address + urlencode(query))  # noqa: S310 - a local server
        request.add_header("Authorization", f"Token {self.account.token}")
        request.add_header("Cookie", f"sessionid={self.account.session}")
        opener = build_opener(HTTPSHandler(context=self.door.trust))
        with opener.open(request, timeout=60) as answer:
            content: bytes = answer.read()
            return content

    def json(self, path: str, **query: str) -> Any:
        return json.loads(self.get(path, **query))

    def rows(self, begin: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """Yields the coverage of every call that started in a range of time."""
        query = {"from": begin.isoformat(), "to": end.isoformat()}
        page = self.json("/api/v1/coverage/calls/", **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            path, _, text = page["next"].partition("?")
            found = dict(pair.split("=", 1) for pair in text.split("&"))
            page = self.json(path[path.index("/api/") :], **{**query, "cursor": found["cursor"]})


@contextmanager
def installation(environment: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Runs nginx, web on Daphne and ingest on uvicorn with one database: SQLite, unless
    `environment` has another `DATABASE_URL`, which is migrated.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="acsmedia-day-")))
        database = folder / "shared.sqlite3"
        keys = stack.enter_context(tokens.key_server())
        shared = {
            "DATABASE_URL": f"sqlite:///{database}",
            "DEBUG": "true",  # allows a key server without TLS
            "INSECURE_HTTP": "false",
            "AUDIO_STORE": "database",
            "SEGMENT_SECONDS": "2",
            "RECONNECT_GRACE_SECONDS": str(GRACE_SECONDS),
            "COVERAGE_DELAY_SECONDS": str(DELAY_SECONDS),
            "ACS_AUTH": "jwt",
            "ACS_RESOURCE_ID": tokens.AUDIENCE,
            "ACS_JWKS_URL": keys.url,
            "ACS_STREAM_TOKEN": "",
            "REST_RATE_USER": "1000000/min",
            **(environment or {}),
        }
        web = Server("daphne", environment={**shared, "ROLE": "web"})
        if environment and "DATABASE_URL" in environment:
            web.manage("migrate", "--verbosity", "0")
        else:
            database.write_bytes(migrated_database())
        ingest = Server("uvicorn", environment={**shared, "ROLE": "ingest"})
        stack.enter_context(web)
        stack.enter_context(ingest)
        door = stack.enter_context(FrontDoor("tls", web=web.port, ingest=ingest.port))
        yield Site(web, ingest, door, make_account(web))


def play(site: Site, plan: Sequence[PlannedCall], say: Callable[[str], None]) -> list[Outcome]:
    """Plays all calls, imports the CDR, waits until they are judged, and then sends late events."""
    outcomes = asyncio.run(_play(site, plan))
    say(f"{len(outcomes)} calls played")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cdr.csv"
        file.write_text(cdr_of(outcomes))
        say(site.web.manage("import_cdr", str(file)).strip())
    late = [one for one in outcomes if one.call.kind is Kind.LATE_EVENTS]
    wait_until_judged(site, [one for one in outcomes if one not in late])
    poster = Poster(site.door.https, site.door.trust)
    for outcome in late:
        for event in reversed(outcome.events):
            poster.post([event, event])
    say(f"late events of {len(late)} calls sent")
    return outcomes


async def _play(site: Site, plan: Sequence[PlannedCall]) -> list[Outcome]:
    url = f"wss://localhost:{site.door.https}/ws/acs/media"
    poster = Poster(site.door.https, site.door.trust)
    origin = asyncio.get_running_loop().time()
    callers = [Caller(url, site.door.trust, poster, call) for call in plan]
    return await asyncio.gather(*(caller.play(origin) for caller in callers))


def cdr_of(outcomes: Sequence[Outcome]) -> str:
    """Returns the telephone system's records of the calls that it knows, as CSV."""
    lines = ["call_connection_id,started_at,ended_at,participants"]
    for outcome in outcomes:
        if outcome.call.kind in (Kind.CDR_ONLY, Kind.CDR_AGREES):
            begin, end = (
                datetime.fromtimestamp(moment, UTC).isoformat()
                for moment in (outcome.connected_at, outcome.disconnected_at)
            )
            lines.append(f"{outcome.call.connection_id},{begin},{end},2")
    return "\n".join(lines) + "\n"


def range_of(outcomes: Sequence[Outcome]) -> tuple[datetime, datetime]:
    """Returns a range of time that contains all calls, and nothing else."""
    begin = min(outcome.connected_at for outcome in outcomes) - 5
    end = max(outcome.disconnected_at for outcome in outcomes) + 5
    return datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)


def wait_until_judged(site: Site, outcomes: Sequence[Outcome]) -> None:
    """Waits until each call has the verdict that it must have, or `JUDGED_SECONDS`."""
    deadline = time.monotonic() + JUDGED_SECONDS
    wanted = {one.call.connection_id: one.call.verdict for one in outcomes}
    begin, end = range_of(outcomes)
    while time.monotonic() < deadline:
        found = {row["call_connection_id"]: row["verdict"] for row in site.rows(begin, end)}
        if all(found.get(name) == verdict for name, verdict in wanted.items()):
            return
        time.sleep(1.0)


def summary(site: Site, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yields what REST and the metrics say of the day."""
    begin, end = range_of(outcomes)
    yield json.dumps(
        site.json("/api/v1/coverage/", **{"from": begin.isoformat(), "to": end.isoformat()})
    )
    for server in (site.web, site.ingest):
        for line in metrics_of(server).splitlines():
            if re.match(r"acsmedia_(captured|missing|events)", line):
                yield line


def metrics_of(server: Server) -> str:
    """Returns `/metrics` of a server on this host."""
    with urlopen(f"{server.url}/metrics", timeout=30) as answer:  # noqa: S310 - a local server
        text: str = answer.read().decode()
        return text
