"""The two addresses: who may send, what is stored, what is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import OperationalError
from django.http import HttpResponse
from django.test import AsyncClient, TransactionTestCase, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TransactionTestCase as GivenTransactionTestCase

from calls.coverage.acs_events import Event, history_of
from calls.models import CallEvent
from streams.acs.bearer import ISSUER
from streams.acs.jwks import KeySet
from streams.acs.webhooks import views
from streams.acs.webhooks.authentication import (
    EVENT_GRID,
    EVENT_GRID_ROLE,
    CallbackAuth,
    GridAuth,
    Signer,
    callback_auth,
    grid_auth,
)
from streams.acs.webhooks.counts import EventCounts
from streams.acs.webhooks.storage import store as real_store
from streams.acs.webhooks.views import MAX_BODY_BYTES, callback_webhook, grid_webhook
from tests.streams.acs.webhooks.samples import (
    ANN,
    CONNECTION,
    VALIDATION,
    as_cloud_event,
    at,
    body_of,
    callback,
    grid_event,
    incoming_call,
)
from tests.streams.tokens import AUDIENCE, handmade, key_set, public_pem, token

CALLBACKS, EVENTS = "/webhooks/acs/callbacks", "/webhooks/acs/events"
SECRET = "a secret of 16+/= characters"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
ENTRA_1 = f"https://sts.windows.net/{TENANT}/"


def signer(*issuers: str, audience: str = AUDIENCE) -> Signer:
    return Signer(KeySet(key_set), audience, issuers or [ISSUER])


@contextmanager
def installed(callbacks: Any, events: Any) -> Iterator[EventCounts]:
    """Replaces the authentication of both addresses, and the counters."""
    counts = EventCounts()
    with patch.object(views, "counts", counts):
        callback_webhook.install(callbacks)
        grid_webhook.install(events)
        try:
            yield counts
        finally:
            callback_webhook.install(None)
            grid_webhook.install(None)


def grid_token(**claims: Any) -> str:
    """Returns a token of Entra ID as Event Grid sends it."""
    return token(appid=EVENT_GRID, **claims)


class WebhookCase(TransactionTestCase):
    def setUp(self) -> None:
        self.counts = self.enterContext(
            installed(CallbackAuth(signer()), GridAuth(token=SECRET, signer=signer(ENTRA, ENTRA_1)))
        )

    async def post(
        self, address: str, body: bytes, *, bearer: str | None = None, **headers: str
    ) -> HttpResponse:
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        return await AsyncClient().post(  # type: ignore[return-value]  # a response with more
            address, body, content_type="application/json", headers=headers
        )

    async def call_back(self, *events: dict[str, Any], **options: Any) -> HttpResponse:
        return await self.post(CALLBACKS, body_of(*events), **{"bearer": token(), **options})

    async def report(self, *events: dict[str, Any], query: str = "") -> HttpResponse:
        query = query or f"token={SECRET.replace(' ', '%20')}"
        return await self.post(f"{EVENTS}?{query}", body_of(*events))

    async def stored(self) -> list[str]:
        return [event.event_id async for event in CallEvent.objects.order_by("event_id")]


class Callbacks(WebhookCase):
    async def test_with_acs_token_are_stored(self) -> None:
        response = await self.call_back(callback("CallConnected", 1), callback("Thunder", 2))
        self.assertEqual((response.status_code, response.content), (200, b""))
        event = await CallEvent.objects.aget(type="CallConnected")
        self.assertEqual((event.source, event.call_connection_id), ("callback", CONNECTION))
        self.assertEqual((event.occurred_at, event.data["callConnectionId"]), (at(1), CONNECTION))
        self.assertEqual(await CallEvent.objects.acount(), 2)
        self.assertEqual(self.counts.received["callback", "CallConnected"], 1)
        self.assertEqual(self.counts.received["callback", "other"], 1)

    async def test_are_stored_once_however_often_they_come(self) -> None:
        first, second = callback("CallConnected"), callback("CallDisconnected")
        await self.call_back(first, first)
        await self.call_back(second, first)
        self.assertEqual(await self.stored(), ["CallConnected-0.0", "CallDisconnected-0.0"])
        # the same id of another source is another event (CloudEvents 1.0, section 3.1)
        await self.call_back(callback("CallConnected", connection="another"))
        self.assertEqual(await CallEvent.objects.acount(), 3)

    async def test_without_a_valid_token_are_refused(self) -> None:
        old = token(iat=0, nbf=0, exp=300)
        none = handmade({"alg": "none", "kid": "key-1"}, {"iss": ISSUER, "aud": AUDIENCE})
        hs256 = handmade({"alg": "HS256", "kid": "key-1"}, {"iss": ISSUER}, public_pem())
        for status, reason, bearer in (
            (401, "no_header", None),
            (401, "malformed", "x"),
            (401, "malformed", "é"),
            (403, "expired", old),
            (403, "wrong_audience", token(aud="another")),
            (403, "wrong_issuer", token(iss=ENTRA)),
            (403, "wrong_algorithm", none),
            (403, "wrong_algorithm", hs256),
            (403, "unknown_key", token(header={"kid": "another"})),
            (403, "wrong_signature", token(key="stranger", header={"kid": "key-1"})),
        ):
            with self.subTest(reason, bearer=bearer):
                response = await self.call_back(callback("CallConnected"), bearer=bearer)
                self.assertEqual(response.status_code, status)
                self.assertIn("Refused", json.loads(response.content)["detail"])
                self.assertEqual("WWW-Authenticate" in response.headers, status == 401)
                self.assertGreaterEqual(self.counts.refused[reason], 1)
        self.assertEqual(await self.stored(), [])

    async def test_do_not_take_the_secret_of_event_grid(self) -> None:
        response = await self.post(f"{CALLBACKS}?token={SECRET}", body_of(callback("CallStarted")))
        self.assertEqual(response.status_code, 401)

    async def test_while_the_key_server_is_unreachable_are_to_be_repeated(self) -> None:
        def fetch() -> bytes:
            raise ConnectionRefusedError

        callback_webhook.install(CallbackAuth(Signer(KeySet(fetch), AUDIENCE, [ISSUER])))
        with self.assertLogs("streams.acs"):
            response = await self.call_back(callback("CallConnected"))
        self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))

    async def test_that_are_malformed_name_the_field_and_store_nothing(self) -> None:
        good, bad = callback("CallConnected"), callback("CallDisconnected", callConnectionId=7)
        with self.assertLogs("streams.acs.webhooks.views", "WARNING") as logs:
            response = await self.call_back(good, good, bad)
            await self.call_back(bad)
        self.assertEqual(response.status_code, 400)
        self.assertTrue(
            json.loads(response.content)["detail"].startswith("[2].data.callConnectionId: ")
        )
        self.assertEqual(self.counts.refused["malformed_body"], 2)
        self.assertEqual(await self.stored(), [])
        self.assertEqual(len(logs.output), 1, "one line for many")

    async def test_that_are_too_large_are_413(self) -> None:
        for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
            body = body_of(callback("CallConnected"))
            body += b" " * (size - len(body))
            response = await self.post(CALLBACKS, body, bearer=token())
            self.assertEqual(response.status_code, status)
        self.assertEqual(self.counts.refused["too_large"], 1)

    async def test_by_other_methods_are_405(self) -> None:
        for method in ("get", "put", "delete", "options", "head"):
            response = await getattr(AsyncClient(), method)(CALLBACKS)
            self.assertEqual((response.status_code, response["Allow"]), (405, "POST"), method)
        self.assertEqual((await AsyncClient().get(EVENTS))["Allow"], "POST, OPTIONS")

    async def test_need_no_csrf_token(self) -> None:
        response = await AsyncClient(enforce_csrf_checks=True).post(
            CALLBACKS,
            body_of(callback("CallConnected")),
            content_type="application/json",
            headers={"authorization": f"Bearer {token()}"},
        )
        self.assertEqual(response.status_code, 200)

    async def test_while_the_database_is_away_are_neither_lost_nor_stored_twice(self) -> None:
        events = [callback(f"Event{number}", number) for number in range(20)]

        def fails_after_commit(*arguments: Any) -> None:
            real_store(*arguments)
            raise OperationalError("the connection was lost after the commit")

        with self.assertLogs("streams.acs.webhooks.views", "WARNING") as logs:
            for event in events:
                is_odd = events.index(event) % 2
                failing = fails_after_commit if is_odd else OperationalError("away")
                with patch.object(views, "store", side_effect=failing):
                    response = await self.call_back(event)
                self.assertEqual((response.status_code, response["Retry-After"]), (503, "5"))
        self.assertEqual(len(logs.output), 1, "one line for many")
        self.assertEqual(self.counts.refused["database_unreachable"], 20)
        for event in events:
            self.assertEqual((await self.call_back(event)).status_code, 200)
        self.assertEqual(await self.stored(), sorted(event["id"] for event in events))


class GridEvents(WebhookCase):
    async def test_with_the_secret_are_stored_in_both_schemas_once(self) -> None:
        event = incoming_call()
        for one in (event, as_cloud_event(event)):
            self.assertEqual((await self.report(one)).status_code, 200)
        row = await CallEvent.objects.aget()
        self.assertEqual((row.source, row.type), ("event_grid", "IncomingCall"))
        self.assertEqual(row.data["customContext"]["sipHeaders"]["X-MS-Custom-Queue"], "7")

    async def test_with_a_token_of_entra_id_are_stored(self) -> None:
        for number, issuer in enumerate((ENTRA, ENTRA_1)):
            event = grid_event("CallStarted", number)
            response = await self.post(EVENTS, body_of(event), bearer=grid_token(iss=issuer))
            self.assertEqual(response.status_code, 200)
        self.assertEqual(await CallEvent.objects.acount(), 2)

    async def test_of_other_applications_of_the_tenant_are_refused(self) -> None:
        """Entra ID gives every application a token for us, unless assignment is required."""
        cases: list[tuple[int, dict[str, Any]]] = [
            (403, {}),
            (403, {"appid": "00000000-0000-0000-0000-000000000000"}),
            (403, {"appid": [EVENT_GRID], "azp": None, "roles": EVENT_GRID_ROLE}),
            (403, {"roles": [{}, "Another"]}),
            (200, {"appid": EVENT_GRID}),
            (200, {"azp": EVENT_GRID, "roles": []}),
            (200, {"appid": "of another cloud", "roles": ["Another", EVENT_GRID_ROLE]}),
        ]
        for number, (status, claims) in enumerate(cases):
            with self.subTest(claims=claims):
                body = body_of(grid_event("CallStarted", number))
                response = await self.post(EVENTS, body, bearer=token(iss=ENTRA, **claims))
                self.assertEqual(response.status_code, status)
        self.assertEqual(self.counts.refused["wrong_sender"], 4)
        self.assertEqual(await CallEvent.objects.acount(), 3)

    async def test_with_wrong_credentials_are_refused(self) -> None:
        for status, query, bearer in (
            (401, "", None),
            (403, "token", None),
            (403, "token=wrong", None),
            (403, f"token={SECRET}&token={SECRET}", None),
            (403, "token=" + "x" * 9000, None),
            (403, "", token()),
            (403, "", grid_token(iss=ENTRA.replace("7", "8"))),
            (403, "token=wrong", grid_token(iss=ENTRA, aud="another")),
        ):
            with self.subTest(query[:20], bearer=bearer):
                body = body_of(grid_event("CallStarted"))
                response = await self.post(f"{EVENTS}?{query}", body, bearer=bearer)
                self.assertEqual(response.status_code, status)
                self.assertNotIn(SECRET, response.content.decode())
        self.assertEqual(await self.stored(), [])

    async def test_validate_the_subscription(self) -> None:
        response = await self.report(VALIDATION)
        self.assertEqual(
            json.loads(response.content),
            {"validationResponse": VALIDATION["data"]["validationCode"]},  # type: ignore[index]
        )
        self.assertEqual(await self.stored(), [])
        response = await self.post(EVENTS, body_of(VALIDATION))
        self.assertEqual(response.status_code, 401, "a stranger validates nothing")

    async def test_allow_their_sender_by_options(self) -> None:
        headers = {
            "WebHook-Request-Origin": "eventgrid.azure.net",
            "WebHook-Request-Rate": "120",
        }
        address = f"{EVENTS}?token={SECRET.replace(' ', '%20')}"
        response = await AsyncClient().options(address, headers=headers)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response["WebHook-Allowed-Origin"], "eventgrid.azure.net")
        self.assertEqual(response["WebHook-Allowed-Rate"], "*")
        response = await AsyncClient().options(EVENTS, headers=headers)
        self.assertEqual(response.status_code, 401)
        self.assertNotIn("WebHook-Allowed-Origin", response.headers)
        response = await AsyncClient().options(address)
        self.assertNotIn("WebHook-Allowed-Origin", response.headers)

    async def test_keep_the_secret_out_of_logs(self) -> None:
        with self.assertLogs(level="INFO") as logs:
            await self.report(grid_event("CallStarted"), query="token=a-secret-of-a-stranger")
            await self.report({"id": "no-event"})
        self.assertNotIn("secret", " ".join(logs.output).replace("a secret of", "secret"))


class Settings(TransactionTestCase):
    async def test_without_credentials_close_both_addresses(self) -> None:
        with (
            override_settings(ACS_RESOURCE_ID="", ACS_EVENTS_TOKEN="", ACS_EVENTS_TENANT=""),
            installed(None, None),
        ):
            for address, variable in ((CALLBACKS, "ACS_RESOURCE_ID"), (EVENTS, "ACS_EVENTS_TOKEN")):
                response = await AsyncClient().post(
                    f"{address}?token=",
                    body_of(callback("CallConnected")),
                    content_type="application/json",
                    headers={"authorization": f"Bearer {token()}"},
                )
                self.assertEqual(response.status_code, 403)
                self.assertIn(variable, json.loads(response.content)["detail"])

    def test_without_debug_never_open_the_callbacks(self) -> None:
        with override_settings(ACS_AUTH="off", DEBUG=False, ACS_RESOURCE_ID=""):
            self.assertFalse(callback_auth()._is_open)
        with override_settings(ACS_AUTH="off", DEBUG=True):
            self.assertTrue(callback_auth()._is_open)

    async def test_of_acs_auth_off_accept_callbacks_in_debug(self) -> None:
        with installed(CallbackAuth(None, is_open=True), None):
            response = await AsyncClient().post(
                CALLBACKS, body_of(callback("CallConnected")), content_type="application/json"
            )
        self.assertEqual(response.status_code, 200)

    def test_choose_keys_and_issuers_of_the_tenant(self) -> None:
        with override_settings(ACS_EVENTS_TENANT=TENANT.upper(), ACS_EVENTS_AUDIENCE="api://app"):
            signer_ = grid_auth()._signer
        assert signer_ is not None
        self.assertEqual(
            (signer_.audience, tuple(signer_.issuers)), ("api://app", (ENTRA, ENTRA_1))
        )

    def test_share_the_keys_of_the_media_socket(self) -> None:
        keys = KeySet(key_set)
        with override_settings(ACS_AUTH="jwt", ACS_RESOURCE_ID=AUDIENCE):
            signer_ = callback_auth(keys)._signer
            assert signer_ is not None
            self.assertIs(signer_.keys, keys)
            self.assertIsNotNone(callback_auth()._signer, "a web process has keys of its own")


CALL = [
    callback("CallConnected", 1),
    callback(
        "ParticipantsUpdated",
        2,
        sequenceNumber=1,
        participants=[{"identifier": {"rawId": ANN}, "isMuted": False}],
    ),
    callback(
        "ParticipantsUpdated",
        1.5,
        sequenceNumber=2,
        participants=[{"identifier": {"rawId": ANN}, "isMuted": True}],
    ),
    callback("CallDisconnected", 60),
    incoming_call(),
    grid_event("CallEnded", 61, durationOfCall=60.0),
]


class AnyOrder(GivenTransactionTestCase):
    @settings(max_examples=15, deadline=None)
    @given(st.permutations(CALL), st.lists(st.sampled_from(CALL), max_size=4))
    def test_of_events_shuffled_and_repeated_gives_the_same_call(
        self, order: list[dict[str, Any]], again: list[dict[str, Any]]
    ) -> None:
        histories = []
        for events in (CALL, [*order, *again]):
            CallEvent.objects.all().delete()
            for event in events:
                grid = "eventType" in event
                address = f"{EVENTS}?token={SECRET.replace(' ', '%20')}" if grid else CALLBACKS
                with installed(CallbackAuth(None, is_open=True), GridAuth(token=SECRET)):
                    response = self.client.post(address, body_of(event), "application/json")
                self.assertEqual(response.status_code, 200)
            self.assertEqual(CallEvent.objects.count(), len(CALL))
            histories.append(history_of(Event(*row) for row in rows()))
        self.assertEqual(*histories)
        self.assertEqual(histories[0].disconnected_at, at(60))


def rows() -> Any:
    named = ("type", "occurred_at", "received_at", "sequence_number", "data")
    return CallEvent.objects.values_list(*named)
