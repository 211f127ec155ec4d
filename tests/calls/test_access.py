"""Every route and socket as every role: docs/access.md has the answers, and no route is left out.

`UPDATE_ACCESS=1 python manage.py test tests.calls.test_access` writes that page again. The other
tests state what must never be in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import Client, TransactionTestCase, tag
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils import timezone
from rest_framework.authtoken.models import Token

from calls.audit.actors import Actor
from calls.models import (
    Call,
    CallCoverage,
    JobLease,
    NewEvent,
    OutgoingEvent,
    RaisedAlarm,
    Segment,
    Subscription,
    WebhookEndpoint,
)
from calls.routing import listen_socket, live_socket
from calls.storage.holds import set_hold
from tests.calls.canary.rows import make_run
from tests.calls.coverage.events import make_answered_call, make_event
from tests.calls.pages.coverage.examples import make_coverage
from tests.calls.rows import (
    make_alarm,
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_refusal,
    make_segment,
    make_subscription,
    noise,
    url_of,
)
from tests.people import person

PAGE = Path(__file__).resolve().parents[2] / "docs" / "access.md"

GROUPS = ("Viewers", "Listeners", "Exporters", "Administrators")
ROLES = ("anonymous", "no group", *GROUPS, "hear only", "listen only", "export only")
"""A group; or one permission alone, without `view_call`."""

SOCKETS: Any = URLRouter(
    [path("ws/live", live_socket), path("ws/listen/<uuid:call_id>", listen_socket)]
)


class Door(NamedTuple):
    """A route of Django as `pattern`; `address` leads through it."""

    name: str
    pattern: str
    address: str
    method: str = "GET"
    is_data: bool = True
    """Whether a good answer shows something of calls or of users."""


@dataclass(frozen=True)
class Site:
    ended: Call
    live: Call
    segment: Segment
    live_segment: Segment
    never_recorded: CallCoverage
    alarm: RaisedAlarm
    rows: dict[str, Any]  # app.model -> primary key

    def doors(self) -> Iterator[Door]:
        yield from self._pages()
        yield from self._rest()
        yield from self._admin()
        for name in ("healthz", "readyz", "metrics", "favicon.ico"):
            # `metrics` is open to this host, whoever asks.
            yield Door(f"/{name}", name, f"/{name}", is_data=False)
        # Public keys, for everybody who checks evidence.
        published = ".well-known/acsmedia-keys.json"
        yield Door("keys of evidence", published, f"/{published}", is_data=False)
        for name in ("callbacks", "events"):
            # Tokens of ACS and of Event Grid open them, and no account.
            address = f"webhooks/acs/{name}"
            yield Door(f"/{address}", address, f"/{address}", "POST")

    def _pages(self) -> Iterator[Door]:
        one = f"calls/{self.ended.pk}/"
        yield Door("dashboard", "", "/")
        yield Door("list of calls", "calls/", "/calls/")
        yield Door("list as CSV", "calls.csv", "/calls.csv")
        yield Door("zip of calls", "calls.zip", f"/calls.zip?call={self.ended.pk}", "POST")
        yield Door("page of a call", "calls/<uuid:pk>/", f"/{one}")
        yield Door("timeline of a call", "calls/<uuid:pk>/timeline", f"/{one}timeline")
        for action in ("acknowledge", "snooze", "release"):
            door = f"alarms/{self.alarm.pk}/{action}"
            pattern = f"alarms/<uuid:pk>/{action}"
            yield Door(f"{action} an alarm", pattern, f"/{door}?minutes=5", "POST")
        yield Door("active alarms", "alarms/", "/alarms/")
        yield Door("coverage", "coverage/", "/coverage/")
        yield Door("coverage: line of the dashboard", "coverage/line", "/coverage/line")
        yield Door("coverage as CSV", "coverage.csv", "/coverage.csv")
        never = f"/coverage/{self.never_recorded.pk}/"
        yield Door("coverage of a call", "coverage/<uuid:pk>/", never)
        for name in ("login/", "password/", "password/changed/"):
            yield Door(name[:-1], name, f"/{name}", is_data=False)
        yield Door("logout", "logout/", "/logout/", "POST", is_data=False)

    def _rest(self) -> Iterator[Door]:
        v1 = "api/v1/calls/<uuid:pk>/"
        audio = url_of(self.ended, "audio")
        yield Door("REST: calls", "api/v1/calls/", "/api/v1/calls/")
        for rest in ("", "segments/", "events/", "manifest", "peaks"):
            yield Door(f"REST: call {rest}".strip(), v1 + rest, url_of(self.ended, rest))
        yield Door("REST: audio", v1 + "audio", audio)
        yield Door("REST: audio, download", v1 + "audio", f"{audio}?download=1")
        yield Door("REST: audio of a live call", v1 + "audio", url_of(self.live, "audio"))
        address, pattern = "/api/v1/segments/{}/audio", "api/v1/segments/<uuid:pk>/audio"
        yield Door("REST: segment", pattern, address.format(self.segment.pk))
        yield Door(
            "REST: segment, download", pattern, address.format(self.segment.pk) + "?download=1"
        )
        yield Door("REST: segment of a live call", pattern, address.format(self.live_segment.pk))
        yield Door("REST: unknown path", "api/^v1/", "/api/v1/nothing", is_data=False)
        name = f"participants/{self.rows['calls.participant']}/"
        pattern = v1 + "participants/<uuid:participant>/"
        yield Door("REST: name a participant", pattern, url_of(self.ended, name), "PATCH")
        yield Door("REST: coverage", "api/v1/coverage/", "/api/v1/coverage/")
        yield Door("REST: coverage of calls", "api/v1/coverage/calls/", "/api/v1/coverage/calls/")
        expected = "api/v1/expected-calls/"
        yield Door("REST: expected call", expected, f"/{expected}", "POST", is_data=False)
        yield Door("REST: refusals", "api/v1/refusals/", "/api/v1/refusals/")
        yield Door("REST: audit", "api/v1/audit/", "/api/v1/audit/")
        yield Door("REST: set a hold", "api/v1/holds/", "/api/v1/holds/", "POST", is_data=False)
        hold, pattern = self.rows["calls.legalhold"], "api/v1/holds/<uuid:pk>/"
        address = f"/api/v1/holds/{hold}/"
        yield Door("REST: lift a hold", pattern, address, "DELETE", is_data=False)
        yield Door("schema", "api/schema/", "/api/schema/", is_data=False)
        yield Door("documentation of REST", "api/docs/", "/api/docs/", is_data=False)

    def _admin(self) -> Iterator[Door]:
        yield Door("admin", "admin/", "/admin/", is_data=False)
        yield Door("overview", "admin/overview/", "/admin/overview/")
        for action in ("retry", "sweep"):
            address = f"/admin/overview/{action}"
            yield Door(f"overview: {action}", address[1:], address, "POST", is_data=False)
        for name in ("login/", "password_change/", "password_change/done/", "jsi18n/"):
            yield Door(f"admin: {name[:-1]}", f"admin/{name}", f"/admin/{name}", is_data=False)
        yield Door("admin: logout", "admin/logout/", "/admin/logout/", "POST", is_data=False)
        yield Door("admin: autocomplete", "admin/autocomplete/", "/admin/autocomplete/")
        yield Door("admin: calls", "admin/^(?P<app_label>", "/admin/calls/", is_data=False)
        yield Door("admin: unknown path", "admin/(?P<url>", "/admin/nothing", is_data=False)
        yield Door("admin: view on site", "admin/r/", "/admin/r/1/1/", is_data=False)
        for model, pk in self.rows.items():
            base, one = f"admin/{model.replace('.', '/')}/", "<path:object_id>/"
            of = f"admin: {model}"
            yield Door(of, base, f"/{base}")
            yield Door(f"{of}, add", f"{base}add/", f"/{base}add/")
            for view in ("change/", "history/", "delete/", ""):
                named = view[:-1] or "short address"
                address = f"/{base}{pk}/{view}"
                yield Door(f"{of}, {named}", f"{base}{one}{view}", address, is_data=bool(view))
        pattern, pk = "admin/calls/webhookendpoint/{}/test/", self.rows["calls.webhookendpoint"]
        test, address = pattern.format("<int:pk>"), f"/{pattern.format(pk)}"
        name = "admin: calls.webhookendpoint, test"
        yield Door(name, test, address, "POST", is_data=False)
        pk = self.rows["auth.user"]
        pattern = "admin/auth/user/<id>/password/"
        yield Door("admin: auth.user, password", pattern, f"/admin/auth/user/{pk}/password/")


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yields every pattern of the site."""
    for one in (resolver or get_resolver()).url_patterns:
        if isinstance(one, URLResolver):
            yield from routes(one, before + str(one.pattern))
        else:
            assert isinstance(one, URLPattern)
            yield before + str(one.pattern)


def make_site() -> Site:
    ended, alice, _bob = make_conversation()
    gap = make_gap(alice, at=2.0, seconds=1.0)
    now = timezone.now()
    live = make_call(started_at=now)
    make_subscription(live, connected_at=now, seen_at=now, disconnected_at=None, close_code=None)
    speaker = make_participant(live)
    boss = User.objects.create_superuser("boss")
    return Site(
        ended,
        live,
        Segment.objects.filter(participant=alice)[0],
        make_segment(speaker, at=0, samples=noise(0.5)),
        make_coverage(now, "missing", ("never_streamed", 0.0, 100.0)),
        make_alarm(call_id=live.pk),
        {
            "calls.call": ended.pk,
            "calls.participant": alice.pk,
            "calls.subscription": make_subscription(ended).pk,
            "calls.segment": Segment.objects.filter(participant=alice)[0].pk,
            "calls.ledgerentry": gap.pk,
            "calls.refusedhandshake": make_refusal().pk,
            **make_notifications(),
            "calls.callevent": make_event().pk,
            "calls.answeredcall": make_answered_call().pk,
            "calls.canaryrun": make_run().pk,
            "calls.legalhold": set_hold(
                name="Case", reason="r", by=Actor("user", "boss"), number="4:+15552000009"
            ).pk,
            "auth.user": boss.pk,
            "auth.group": Group.objects.get(name="Viewers").pk,
            "authtoken.tokenproxy": Token.objects.create(user=boss).user_id,
            "axes.accessattempt": AccessAttempt.objects.create(failures_since_start=1).pk,
            "axes.accesslog": AccessLog.objects.create().pk,
            "axes.accessfailurelog": AccessFailureLog.objects.create().pk,
        },
    )


def make_notifications() -> dict[str, Any]:
    """Creates an endpoint that no request reaches, an event and its delivery, and an alarm."""
    endpoint = WebhookEndpoint.objects.create(url="https://127.0.0.1/", secret="whsec_c2VjcmV0")
    OutgoingEvent.objects.add(NewEvent("call.ended", timezone.now(), {}, "1"))
    return {
        "calls.webhookendpoint": endpoint.pk,
        "calls.outgoingevent": OutgoingEvent.objects.get().pk,
        "calls.webhookdelivery": endpoint.deliveries.get().pk,
        "calls.raisedalarm": make_alarm().pk,
        "calls.joblease": JobLease.objects.create(name="mail").pk,
    }


def keep_live(call: Call) -> None:
    """Notes that its recorder is alive: without that, all roles would have to be tried in 45 s."""
    Subscription.objects.filter(call=call).update(seen_at=timezone.now())


def user_of(role: str) -> User | None:
    """Creates a user of that role; members of a group may enter the admin as well."""
    alone = {
        "hear only": "hear_recording",
        "listen only": "listen_live",
        "export only": "export_recording",
    }
    if role == "anonymous":
        return None
    user = person(role, alone.get(role, "nothing"), is_staff=True)
    if role in GROUPS:
        user.groups.add(Group.objects.get(name=role))
    return user


def answer_of(client: Client, door: Door) -> str:
    """Returns the status; for a redirect whether it leads to the login."""
    address, _, query = door.address.partition("?")
    values = dict(pair.split("=") for pair in query.split("&") if pair)
    if door.method == "PATCH":
        body = {"display_name": "Alice"}
        response = client.patch(address, body, content_type="application/json")
    elif door.method == "DELETE":
        response = client.delete(address, {}, content_type="application/json")
    elif door.method == "POST":
        response = client.post(address, values)
    else:
        response = client.get(address, values)
    if response.streaming:
        response.close()
    if response.status_code not in {301, 302}:
        return str(response.status_code)
    return "log in" if "login" in response["Location"] else "elsewhere"


async def answer_of_socket(address: str, cookie: str) -> str:
    headers = [(b"origin", b"http://testserver"), (b"host", b"testserver")]
    if cookie:
        headers.append((b"cookie", f"sessionid={cookie}".encode()))
    socket = WebsocketCommunicator(SOCKETS, address, headers)
    is_open, code = await socket.connect()
    await socket.disconnect()
    return "open" if is_open else str(code)


@tag("once")
class AccessTests(TransactionTestCase):
    """Transactions are real, because exports read in other threads."""

    def setUp(self) -> None:
        # Tests with real transactions delete the groups that migrations make.
        loader = MigrationLoader(connection)
        for name in (
            "0008_groups",
            "0010_administrators_see_failures",
            "0019_groups_of_coverage_and_notifications",
            "0025_groups_of_retention",
        ):
            state = loader.project_state(("calls", name))
            for operation in loader.get_migration("calls", name).operations:
                with connection.schema_editor() as editor:
                    operation.database_forwards("calls", editor, state, state)

    def test_the_matrix(self) -> None:
        site = make_site()
        doors = list(site.doors())
        self._expect_all_routes(doors)
        names = [*(door.name for door in doors), "/ws/live", "/ws/listen/…"]
        answers: dict[str, list[str]] = {name: [] for name in names}
        for role in ROLES:
            user, client = user_of(role), Client(raise_request_exception=False)
            for door in doors:
                if user:
                    client.force_login(user)  # again: some doors log out
                keep_live(site.live)
                answer = answer_of(client, door)
                answers[door.name].append(answer)
                with self.subTest(role=role, door=door.name):
                    self._expect_closed(role, door, answer)
            if user:
                client.force_login(user)
            cookie = client.cookies["sessionid"].value if user else ""
            for name, address in (
                ("/ws/live", "/ws/live"),
                ("/ws/listen/…", f"/ws/listen/{site.live.pk}"),
            ):
                keep_live(site.live)
                answers[name].append(async_to_sync(answer_of_socket)(address, cookie))
        self._compare(table(answers))

    def _expect_all_routes(self, doors: list[Door]) -> None:
        """Every route of the site has a door here."""
        patterns = {door.pattern for door in doors}
        left = [
            route
            for route in routes()
            if route not in patterns
            and not any(each and "^" in each and route.startswith(each) for each in patterns)
            and not any("(?P<" in each and route.startswith(each) for each in patterns)
            and not (route.startswith("admin/r/"))
        ]
        self.assertEqual(left, [], "routes that this test does not try")

    def _expect_closed(self, role: str, door: Door, answer: str) -> None:
        """Asserts rules that hold whatever the table says."""
        self.assertFalse(answer.startswith("5"), answer)
        if door.is_data and role not in GROUPS:
            self.assertIn(answer, {"401", "403", "404", "405", "log in"})
        if door.name.startswith(("REST: audio", "REST: segment")):
            may = {"Listeners", "Exporters", "Administrators"}
            if "live" in door.name:
                may.remove("Exporters")
            if "download" in door.name:
                may.remove("Listeners")
            self.assertEqual(answer == "200", role in may)

    def _compare(self, matrix: str) -> None:
        before, start, _ = PAGE.read_text().partition("| door |")
        self.assertTrue(start, f"{PAGE} has the table")
        if os.environ.get("UPDATE_ACCESS"):
            PAGE.write_text(before + matrix)
        self.assertEqual(PAGE.read_text(), before + matrix)


def table(answers: dict[str, list[str]]) -> str:
    lines = [f"| door | {' | '.join(ROLES)} |", "| --- |" + " --- |" * len(ROLES)]
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in answers.items()]
    return "\n".join(lines) + "\n"
