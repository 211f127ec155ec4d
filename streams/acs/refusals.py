"""Refused handshakes and webhooks: their reasons, HTTP statuses and close codes.

    Refused
     ├── Unauthenticated   no credentials, or malformed ones
     ├── Forbidden         well-formed credentials that do not match
     └── Undecided         key server unreachable, or too many handshakes at once: may be retried

| class             | HTTP status | close code |
| ---               | ---         | ---        |
| `Unauthenticated` | 401         | 4401       |
| `Forbidden`       | 403         | 4403       |
| `Undecided`       | 503         | 4503       |
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Reason of a refused handshake, as written to the log."""

    NO_HEADER = "no authorization header"
    SEVERAL_HEADERS = "several authorization headers"
    HEADER_TOO_LONG = "authorization header too long"
    NOT_BEARER = "authorization is not a bearer token"
    MALFORMED = "malformed token"
    WRONG_ALGORITHM = "wrong algorithm"
    NO_KEY_ID = "token names no key"
    UNKNOWN_KEY = "unknown key"
    WRONG_SIGNATURE = "wrong signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    MISSING_CLAIM = "missing claim"
    WRONG_ISSUER = "wrong issuer"
    WRONG_AUDIENCE = "wrong audience"
    NO_STREAM_TOKEN = "no stream token"  # noqa: S105 - a reason, not a secret
    WRONG_STREAM_TOKEN = "wrong stream token"  # noqa: S105
    QUERY_TOO_LONG = "query string too long"
    NO_KEYS = "key server does not answer"
    WRONG_CANARY_TOKEN = "canary call without its token"  # noqa: S105
    OVERLOADED = "too many handshakes at once"
    WRONG_PROCESS = "this process does not record (ROLE=web)"
    WRONG_PATH = "wrong path"
    NOT_UPGRADED = "not a WebSocket handshake"


class WebhookReason(StrEnum):
    """Reason of a refused request to a webhook, beside those of `Reason`."""

    CLOSED = "no credentials are configured"
    NO_EVENTS_TOKEN = "no credentials of Event Grid"  # noqa: S105
    WRONG_EVENTS_TOKEN = "wrong token of Event Grid"  # noqa: S105
    WRONG_SENDER = "token of another application than Event Grid"
    TOO_LARGE = "body too large"
    MALFORMED_BODY = "malformed body"
    DATABASE_UNREACHABLE = "database unreachable"


SIGNED = frozenset(
    {
        *(Reason.EXPIRED, Reason.NOT_YET_VALID, Reason.MISSING_CLAIM),
        *(Reason.WRONG_ISSUER, Reason.WRONG_AUDIENCE),
    }
)
"""Found only after the signature was verified: the handshake is from ACS."""


class Refused(Exception):
    """The socket or request must not be accepted."""

    status: ClassVar[int]
    close_code: ClassVar[int]

    def __init__(self, reason: Reason | WebhookReason) -> None:
        super().__init__(reason.value)
        self.reason = reason

    @property
    def is_signed(self) -> bool:
        """Whether Microsoft has signed the token: scanners have none."""
        return self.reason in SIGNED


class Unauthenticated(Refused):
    status, close_code = 401, 4401


class Forbidden(Refused):
    status, close_code = 403, 4403


class Undecided(Refused):
    status, close_code = 503, 4503
