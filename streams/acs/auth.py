"""Who may connect to the media socket: decided before it is accepted, from the handshake alone.

    Refused
     ├── Unauthenticated   nothing was shown, or it cannot be read
     ├── Forbidden         what was shown does not let in
     └── Undecided         no key server, or too many handshakes at once: the client may try again

| class             | HTTP status | close code |
| ---               | ---         | ---        |
| `Unauthenticated` | 401         | 4401       |
| `Forbidden`       | 403         | 4403       |
| `Undecided`       | 503         | 4503       |

`ACS_AUTH=jwt` takes ACS's own token (RS256, issuer, audience, expiry), and the stream token as well
if one is set; `token` takes the stream token in the query string; `off` takes everyone. Neither
token is ever logged.
"""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, cast
from urllib.parse import unquote_to_bytes

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from streams.acs.jwks import KeySet, KeysUnavailable, UnknownKey, from_url
from streams.checks import check_auth
from streams.ingest.loop_limiter import LoopLimiter, Overloaded

log = structlog.get_logger(__name__)

ISSUER = "https://acscallautomation.communication.azure.com"
ALGORITHM = "RS256"
LEEWAY_SECONDS = 60.0
"""How far our clock and Microsoft's may differ."""

MAX_HEADER_BYTES = 16 * 1024
"""Longest Authorization header that is looked at. ACS's tokens have about 1 kB."""

MAX_QUERY_BYTES = 8 * 1024
MAX_WAITING = 1000
"""Handshakes that wait for their turn; one more is refused."""

WAIT_SECONDS = 4.0
"""How long one waits for its turn at most. Daphne gives a handshake 5 s."""

LOG_INTERVAL_SECONDS = 10.0

Mode = Literal["jwt", "token", "off"]


class Reason(StrEnum):
    """Why a handshake was refused; the word in the log."""

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
    CROWD = "too many handshakes at once"


class Refused(Exception):
    """The socket must not be accepted."""

    status: ClassVar[int]
    close_code: ClassVar[int]

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Unauthenticated(Refused):
    status, close_code = 401, 4401


class Forbidden(Refused):
    status, close_code = 403, 4403


class Undecided(Refused):
    status, close_code = 503, 4503


class HandshakeAuth:
    """Decides who comes in. One per process, because it holds the key set; may be shared by event
    loops.

    `audience` and `keys` are needed with mode "jwt", `stream_token` with mode "token".
    """

    def __init__(
        self,
        mode: Mode,
        *,
        audience: str = "",
        stream_token: str = "",
        keys: KeySet | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert mode != "jwt" or (audience and keys is not None), (
            "a JWT is checked against an audience and keys"
        )
        assert mode != "token" or stream_token, "an empty token would let everyone in"
        self._mode = mode
        self._audience = audience
        self._stream_token = stream_token.encode()
        self._keys = keys
        self._refusals = RefusalLog(clock)
        self._arrivals = LoopLimiter(most_waiting=MAX_WAITING, most_seconds=WAIT_SECONDS)
        self._departures = LoopLimiter()

    @classmethod
    def from_settings(cls) -> HandshakeAuth:
        """The door that the environment describes; raises ImproperlyConfigured where it would stand
        open.

        A server that is started directly runs no system checks, so the ones that concern access are
        run here.
        """
        if errors := [found.msg for found in check_auth() if found.is_serious()]:
            raise ImproperlyConfigured(" ".join(errors))
        mode = cast("Mode", settings.ACS_AUTH)  # settings.py lets no other word pass
        keys = KeySet(from_url(settings.ACS_JWKS_URL)) if mode == "jwt" else None
        return cls(
            mode,
            audience=settings.ACS_RESOURCE_ID,
            stream_token=settings.ACS_STREAM_TOKEN,
            keys=keys,
        )

    async def warm(self) -> None:
        """Fetches the keys ahead of the first call, which otherwise waits for them. Never
        raises.
        """
        if self._keys is not None:
            await self._keys.renew()

    async def admit(self, scope: Mapping[str, Any]) -> None:
        """Returns if the handshake `scope` (ASGI, type "websocket") may be accepted; raises
        `Refused` if not.
        """
        try:
            await self._acquire()
            await self._decide(scope)
        except Refused as refused:
            self._refusals.note(refused.reason)
            raise

    async def wait_to_close(self) -> None:
        """Waits until a socket that has closed may be looked after: a crowd may leave at once as
        well.
        """
        await self._departures.acquire()

    async def _acquire(self) -> None:
        try:
            await self._arrivals.acquire()
        except Overloaded:
            raise Undecided(Reason.CROWD) from None

    async def _decide(self, scope: Mapping[str, Any]) -> None:
        if self._mode == "off":
            return
        if (
            self._stream_token
        ):  # first: it costs nothing, and the key server is not asked for strangers
            check_stream_token(scope.get("query_string", b""), self._stream_token)
        if self._mode == "jwt":
            token = bearer_token(scope.get("headers", ()))
            check_claims(token, await self._key_of(token), self._audience)

    async def _key_of(self, token: str) -> RSAPublicKey:
        assert self._keys is not None, "mode jwt has keys"
        key_id = key_id_of(token)
        try:
            return await self._keys.find(key_id)
        except UnknownKey:
            raise Forbidden(Reason.UNKNOWN_KEY) from None
        except KeysUnavailable:
            raise Undecided(Reason.NO_KEYS) from None


def check_stream_token(query_string: bytes, expected: bytes) -> None:
    """Raises `Refused` unless the query string holds `token` exactly once, with that value.

    A plus sign stands for itself, so that a secret in base64 may be pasted into the address as it
    is.
    """
    if len(query_string) > MAX_QUERY_BYTES:
        raise Forbidden(Reason.QUERY_TOO_LONG)
    pairs = (pair.partition(b"=") for pair in query_string.split(b"&"))
    shown = [unquote_to_bytes(value) for name, _, value in pairs if name == b"token"]
    if not shown:
        raise Unauthenticated(Reason.NO_STREAM_TOKEN)
    if len(shown) > 1 or not hmac.compare_digest(shown[0], expected):
        raise Forbidden(Reason.WRONG_STREAM_TOKEN)


def bearer_token(headers: Any) -> str:
    """The token of `Authorization: Bearer …` in ASGI headers (pairs of bytes, names in lower
    case).
    """
    shown = [value for name, value in headers if name == b"authorization"]
    if not shown:
        raise Unauthenticated(Reason.NO_HEADER)
    if len(shown) > 1:
        raise Unauthenticated(Reason.SEVERAL_HEADERS)
    if len(shown[0]) > MAX_HEADER_BYTES:
        raise Unauthenticated(Reason.HEADER_TOO_LONG)
    scheme, _, token = shown[0].strip().partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise Unauthenticated(Reason.NOT_BEARER)
    try:
        text: str = token.strip().decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated(Reason.MALFORMED) from None
    return text


def key_id_of(token: str) -> str:
    """The id of the key that signed the token, as the token says; nothing of it is verified yet."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated(Reason.MALFORMED) from None
    if header.get("alg") != ALGORITHM:  # before any key is looked for: "none" and HS256 end here
        raise Forbidden(Reason.WRONG_ALGORITHM)
    key_id: str = header.get("kid", "")
    if not key_id:
        raise Forbidden(Reason.NO_KEY_ID)
    return key_id


# In this order: an error of a subclass stands above its base.
_REASONS: tuple[tuple[type[Exception], type[Refused], Reason], ...] = (
    (jwt.InvalidSignatureError, Forbidden, Reason.WRONG_SIGNATURE),
    (jwt.ExpiredSignatureError, Forbidden, Reason.EXPIRED),
    (jwt.ImmatureSignatureError, Forbidden, Reason.NOT_YET_VALID),
    (jwt.MissingRequiredClaimError, Forbidden, Reason.MISSING_CLAIM),
    (jwt.InvalidIssuerError, Forbidden, Reason.WRONG_ISSUER),
    (jwt.InvalidAudienceError, Forbidden, Reason.WRONG_AUDIENCE),
    (jwt.InvalidAlgorithmError, Forbidden, Reason.WRONG_ALGORITHM),
    (Exception, Unauthenticated, Reason.MALFORMED),
)


def check_claims(token: str, key: RSAPublicKey, audience: str) -> None:
    """Raises `Refused` unless `key` signed the token and its issuer, audience and times are
    right.
    """
    try:
        jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=[
                audience,
                audience.lower(),
            ],  # a GUID is the same in either case; portals show both
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        refused, reason = next(
            (refused, reason) for kind, refused, reason in _REASONS if isinstance(error, kind)
        )
        raise refused(reason) from None


class RefusalLog:
    """One line a reason in `LOG_INTERVAL_SECONDS`, with the number of those that were kept back
    since the last.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written_at: dict[Reason, float] = {}  # bounded, as the reasons are
        self._kept_back: Counter[Reason] = Counter()

    def note(self, reason: Reason) -> None:
        now = self._clock()
        written_at = self._written_at.get(reason)
        if written_at is not None and now - written_at < LOG_INTERVAL_SECONDS:
            self._kept_back[reason] += 1
            return
        self._written_at[reason] = now
        log.warning("stream refused", reason=reason.value, more=self._kept_back.pop(reason, 0))
