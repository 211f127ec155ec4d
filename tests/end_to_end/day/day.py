"""Plays a day against servers behind nginx, and compares what coverage says with what was planted.

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
from collections import Counter
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

TOLERANCE_SECONDS = 0.25
"""Of missing time per call: the clocks are the same, but a socket is noticed some packets later."""


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


def compare(site: Site, outcomes: Sequence[Outcome]) -> list[str]:
    """Returns a line for each difference between what was planted and what REST, the page and the
    metrics say.
    """
    begin, end = range_of(outcomes)
    rows = {row["call_connection_id"]: row for row in site.rows(begin, end)}
    problems = [
        problem
        for outcome in outcomes
        for problem in differences(outcome, rows.get(outcome.call.connection_id))
    ]
    problems += _totals(site, outcomes, begin, end)
    unknown = set(rows) - {outcome.call.connection_id for outcome in outcomes}
    return problems + [f"{name} was not planted" for name in sorted(unknown)]


def differences(outcome: Outcome, row: Mapping[str, Any] | None) -> Iterator[str]:
    """Yields what is wrong with the coverage of one call."""
    call = outcome.call
    name = f"{call.connection_id} ({call.kind})"
    if row is None:
        yield f"{name}: unknown"
        return
    if row["verdict"] != call.verdict:
        yield f"{name}: {row['verdict']} instead of {call.verdict}"
    if abs(row["missing_seconds"] - outcome.missing_seconds) > TOLERANCE_SECONDS:
        yield f"{name}: {row['missing_seconds']} s missing, not {outcome.missing_seconds:.2f}"
    expected = outcome.disconnected_at - outcome.connected_at
    if call.kind is not Kind.UNREPORTED and abs(row["expected_seconds"] - expected) > 0.1:
        yield f"{name}: {row['expected_seconds']} s expected, not {expected:.2f}"
    reasons = {one["reason"] for one in row["missing"]}
    if reasons != {reason for _, _, reason in outcome.missing}:
        yield f"{name}: missing because of {sorted(reasons)}"
    for one, (began, ended, _) in zip(row["missing"], outcome.missing, strict=False):
        for text, moment in ((one["started_at"], began), (one["ended_at"], ended)):
            if abs(datetime.fromisoformat(text).timestamp() - moment) > TOLERANCE_SECONDS:
                yield f"{name}: missing at {text}, not at {moment}"


def _totals(
    site: Site, outcomes: Sequence[Outcome], begin: datetime, end: datetime
) -> Iterator[str]:
    verdicts = Counter(outcome.call.verdict for outcome in outcomes)
    report = site.json("/api/v1/coverage/", **{"from": begin.isoformat(), "to": end.isoformat()})
    for verdict in ("complete", "partial", "missing", "unexpected"):
        if report["calls"][verdict] != verdicts[verdict]:
            yield f"REST: {report['calls'][verdict]} {verdict}, not {verdicts[verdict]}"
    missing: Counter[str] = Counter()
    for outcome in outcomes:
        for began, ended, reason in outcome.missing:
            missing[reason] += ended - began  # type: ignore[assignment]  # seconds
    found = report["seconds"]["missing"]
    for reason in {*missing, *found}:
        count = sum(reason in {one[2] for one in outcome.missing} for outcome in outcomes)
        if abs(found.get(reason, 0) - missing[reason]) > TOLERANCE_SECONDS * max(1, count):
            yield f"REST: {found.get(reason, 0)} s {reason}, not {missing[reason]:.2f}"
    page = re.sub(r"<[^>]+>", " ", site.get("/coverage/").decode())
    for number in (len(outcomes), verdicts["complete"], verdicts["missing"]):
        if str(number) not in page:
            yield f"the page does not say {number}"


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
