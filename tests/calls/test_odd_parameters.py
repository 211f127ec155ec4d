"""Parameters that nobody means: every page and every resource answers them without an error of its
own.
"""

from __future__ import annotations

from itertools import product

from django.test import Client, TransactionTestCase, tag

from tests.calls.rows import make_conversation, url_of
from tests.people import person

VALUES = (
    "",
    "9999-12-31",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "99999999999999999999",
    "-1",
    "1e400",
    "nan",
    "inf",
    "\x00",
    "%00",
    "é" * 300,
    "2026-02-30",
)


@tag("once")
class OddParameterTests(TransactionTestCase):
    """Transactions are real: a failed query must not spoil the next request."""

    def test_no_parameter_is_an_error_of_the_server(self) -> None:
        call, _alice, _bob = make_conversation()
        user = person("boss", is_staff=True, is_superuser=True)
        client = Client(raise_request_exception=False)
        client.force_login(user)
        search = ["q", "p", "o", "e", "all", "started_at__gte", "started_at__year", "since", "kind"]
        pages = {
            "/calls/": [
                "q",
                "since",
                "until",
                "state",
                "minutes",
                "most",
                "gaps",
                "newest",
                "older",
            ],
            "/calls.csv": ["q", "since", "until", "state"],
            "/coverage/": ["since", "until", "show", "reason", "hour", "period", "after", "part"],
            "/coverage.csv": ["since", "until", "show", "reason", "hour", "period"],
            f"/coverage/{call.pk}/": ["since"],
            "/api/v1/calls/": ["started_after", "started_before", "search", "state", "cursor"],
            "/api/v1/coverage/": ["from", "to", "timezone"],
            "/api/v1/coverage/calls/": ["from", "to", "timezone", "verdict", "reason", "cursor"],
            "/api/v1/audit/": ["call", "actor", "action", "from", "to", "cursor", "page_size"],
            "/api/v1/refusals/": ["from", "to", "reason", "from_acs", "cursor", "page_size"],
            url_of(call, "audio"): ["start", "end", "participant", "layout", "format"],
            url_of(call, "peaks"): ["points", "start", "end", "participant"],
            url_of(call, "events/"): ["cursor", "page_size", "kind"],
            url_of(call, "segments/"): ["cursor", "page_size"],
            f"/calls/{call.pk}/": ["ledger", "part"],
            **{
                f"/admin/calls/{model}/": search
                for model in (
                    *("call", "segment", "ledgerentry", "participant", "subscription"),
                    "refusedhandshake",
                )
            },
        }
        for page, names in pages.items():
            for name, value in product(names, VALUES):
                with self.subTest(page, name=name, value=value):
                    response = client.get(page, {name: value})
                    if response.streaming:
                        response.close()
                    self.assertLess(response.status_code, 500)
