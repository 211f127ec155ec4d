"""Credentials of requests: bearer tokens that Microsoft has signed, and secrets in the query.

The media socket and the webhooks check theirs with the same functions. Nothing is ever logged.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from streams.acs.refusals import Forbidden, Reason, Refused, Unauthenticated

ISSUER = "https://acscallautomation.communication.azure.com"
ALGORITHM = "RS256"
LEEWAY_SECONDS = 60.0
"""Allowed difference between our clock and Microsoft's."""

MAX_HEADER_BYTES = 16 * 1024
"""Longest Authorization header that is parsed. ACS's tokens have about 1 kB."""

MAX_QUERY_BYTES = 8 * 1024


def has_token(query_string: bytes, *expected: bytes) -> bool | None:
    """Returns whether the query string contains `token` exactly once, with one of the `expected`
    values; None without any. Raises `Refused` if it is too long to be parsed.

    A plus sign is taken literally, so that a base64 secret can be pasted into the URL unescaped.
    """
    if len(query_string) > MAX_QUERY_BYTES:
        raise Forbidden(Reason.QUERY_TOO_LONG)
    pairs = (pair.partition(b"=") for pair in query_string.split(b"&"))
    tokens = [unquote_to_bytes(value) for name, _, value in pairs if name == b"token"]
    if not tokens:
        return None
    # all of them, in the same time whichever it is
    matches = [hmac.compare_digest(tokens[0], value) for value in expected]
    return len(tokens) == 1 and any(matches)


def bearer_token(headers: Any) -> str:
    """Returns the token of `Authorization: Bearer …` from ASGI headers (pairs of bytes, lower-case
    names).

    Raises `Unauthenticated`.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise Unauthenticated(Reason.NO_HEADER)
    if len(values) > 1:
        raise Unauthenticated(Reason.SEVERAL_HEADERS)
    if len(values[0]) > MAX_HEADER_BYTES:
        raise Unauthenticated(Reason.HEADER_TOO_LONG)
    scheme, _, token = values[0].strip().partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise Unauthenticated(Reason.NOT_BEARER)
    try:
        text: str = token.strip().decode("ascii")
    except UnicodeDecodeError:
        raise Unauthenticated(Reason.MALFORMED) from None
    return text


def key_id_of(token: str) -> str:
    """Returns the id of the signing key named in the token's header; nothing is verified yet.

    Raises `Refused` for a malformed token, another algorithm or a missing key id.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise Unauthenticated(Reason.MALFORMED) from None
    if header.get("alg") != ALGORITHM:  # before any key lookup: "none" and HS256 end here
        raise Forbidden(Reason.WRONG_ALGORITHM)
    key_id: str = header.get("kid", "")
    if not key_id:
        raise Forbidden(Reason.NO_KEY_ID)
    return key_id


# The first match counts: subclasses come before their base class.
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


def check_claims(
    token: str, key: RSAPublicKey, *, audience: str, issuers: Sequence[str]
) -> dict[str, Any]:
    """Returns the claims of a token. Raises `Refused` unless `key` signed it, for `audience`, by
    one of `issuers`, and it is valid now.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            # a GUID is the same in either case; portals show both
            audience=[audience, audience.lower()],
            issuer=issuers,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        refused, reason = next(
            (refused, reason) for kind, refused, reason in _REASONS if isinstance(error, kind)
        )
        raise refused(reason) from None
    return claims
