"""Credentials of the webhooks: tokens of ACS for callbacks, a secret or Entra ID for Event Grid.

Callbacks carry the same JSON Web Token as media sockets, and are checked with the same functions
and keys; only `ACS_AUTH=off`, which needs DEBUG, accepts them without. Event Grid does not sign its
requests. It sends what the subscription has been given: `ACS_EVENTS_TOKEN` in the query, or a
bearer token of Entra ID for `ACS_EVENTS_AUDIENCE`, issued by `ACS_EVENTS_TENANT`. Without any of
these settings an address is closed. No credential is ever logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from streams.acs.bearer import ISSUER, bearer_token, check_claims, has_token, key_id_of
from streams.acs.jwks import KeySet, KeysUnavailable, UnknownKey, from_url
from streams.acs.refusals import (
    Forbidden,
    Reason,
    Unauthenticated,
    Undecided,
    WebhookReason,
)
from streams.acs.stored_keys import StoredKeys

ENTRA_KEYS = "https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys"
ENTRA_ISSUERS = (
    "https://login.microsoftonline.com/{tenant}/v2.0",  # tokens of version 2
    "https://sts.windows.net/{tenant}/",  # and of version 1
)
ENTRA_KEYS_FILE = "entra_keys.json"
EVENT_GRID = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
"""Application id of Event Grid in every tenant of the public cloud."""

EVENT_GRID_ROLE = "AzureEventGridSecureWebhookSubscriber"
"""Role of an application for webhooks that Microsoft's guide assigns to Event Grid:
https://learn.microsoft.com/azure/event-grid/secure-webhook-delivery
"""


class Closed(Forbidden):
    """No credential is configured, so none can be right. The text names the settings."""

    def __init__(self, needed: str) -> None:
        super().__init__(WebhookReason.CLOSED)
        self.needed = needed


class Authentication(Protocol):
    async def check(self, headers: Mapping[str, str], query_string: bytes) -> None:
        """Returns if the request may send events; otherwise raises `Refused`. Keys of `headers` are
        names in any case.
        """


@dataclass(frozen=True)
class Signer:
    """An issuer of tokens for us, and its keys."""

    keys: KeySet
    audience: str
    issuers: Sequence[str]

    async def check(self, headers: Mapping[str, str]) -> Mapping[str, Any]:
        """Returns the claims of the bearer token; raises `Refused` unless it is valid."""
        sent = headers.get("Authorization")
        token = bearer_token(
            [(b"authorization", sent.encode("latin-1", "replace"))] if sent else []
        )
        try:
            key = await self.keys.find(key_id_of(token))
        except UnknownKey:
            raise Forbidden(Reason.UNKNOWN_KEY) from None
        except KeysUnavailable:
            raise Undecided(Reason.NO_KEYS) from None
        return check_claims(token, key, audience=self.audience, issuers=self.issuers)


class CallbackAuth:
    """Credentials of callbacks. `signer`: ACS; None: nobody is admitted, or with `is_open`,
    everybody.
    """

    def __init__(self, signer: Signer | None, *, is_open: bool = False) -> None:
        self._signer, self._is_open = signer, is_open

    async def check(self, headers: Mapping[str, str], query_string: bytes) -> None:
        if self._signer is not None:
            await self._signer.check(headers)
        elif not self._is_open:
            raise Closed("ACS_RESOURCE_ID")


class GridAuth:
    """Credentials of Event Grid: one of the two is enough."""

    def __init__(self, *, token: str = "", signer: Signer | None = None) -> None:
        self._token, self._signer = token.encode(), signer

    async def check(self, headers: Mapping[str, str], query_string: bytes) -> None:
        if not self._token and self._signer is None:
            raise Closed("ACS_EVENTS_TOKEN, or ACS_EVENTS_TENANT and ACS_EVENTS_AUDIENCE")
        is_right = has_token(query_string, self._token) if self._token else None
        if is_right:
            return
        if self._signer is not None and "Authorization" in headers:
            if not _is_event_grid(await self._signer.check(headers)):
                raise Forbidden(WebhookReason.WRONG_SENDER)
            return
        if is_right is None:
            raise Unauthenticated(WebhookReason.NO_EVENTS_TOKEN)
        raise Forbidden(WebhookReason.WRONG_EVENTS_TOKEN)


def _is_event_grid(claims: Mapping[str, Any]) -> bool:
    """Whether a token of Entra ID was issued to Event Grid: every application of the tenant gets
    one with our audience unless an administrator forbids it.
    """
    # tokens of version 1 have `appid`, those of version 2 `azp`
    senders, roles = (claims.get("appid"), claims.get("azp")), claims.get("roles")
    return EVENT_GRID in senders or (isinstance(roles, list) and EVENT_GRID_ROLE in roles)


def callback_auth(keys: KeySet | None = None) -> CallbackAuth:
    """Builds the authentication of callbacks from the settings. `keys`: those of ACS, if the
    process has them already.
    """
    if settings.ACS_AUTH == "off" and settings.DEBUG:
        return CallbackAuth(None, is_open=True)
    if not settings.ACS_RESOURCE_ID:
        return CallbackAuth(None)
    url = settings.ACS_JWKS_URL
    if keys is None:
        keys = KeySet(from_url(url), StoredKeys(Path(settings.DATA_DIR), url))
    return CallbackAuth(Signer(keys, settings.ACS_RESOURCE_ID, [ISSUER]))


def grid_auth() -> GridAuth:
    """Builds the authentication of Event Grid from the settings."""
    tenant, audience = settings.ACS_EVENTS_TENANT.lower(), settings.ACS_EVENTS_AUDIENCE
    signer = None
    if tenant and audience:
        url = ENTRA_KEYS.format(tenant=tenant)
        stored = StoredKeys(Path(settings.DATA_DIR), url, name=ENTRA_KEYS_FILE)
        issuers = [issuer.format(tenant=tenant) for issuer in ENTRA_ISSUERS]
        signer = Signer(KeySet(from_url(url), stored), audience, issuers)
    return GridAuth(token=settings.ACS_EVENTS_TOKEN, signer=signer)
