"""The token of a canary call: admits one call at the media socket, for five minutes.

Only Microsoft signs tokens of ACS, so a canary call has a token of ours: a JWT (HS256) for its call
connection id, signed with a key that is derived from SECRET_KEY for this purpose alone.
"""

from __future__ import annotations

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

ALGORITHM = "HS256"
PURPOSE = "acsmedia.canary"
LIFETIME_SECONDS = 300
LEEWAY_SECONDS = 30.0
"""Allowed difference between the clocks of two hosts of the installation."""


def issue(call_connection_id: str, now: float) -> str:
    """Returns the token of one canary call. `now`: seconds since the epoch."""
    claims = {
        "aud": PURPOSE,
        "sub": call_connection_id,
        "iat": int(now),
        "exp": int(now) + LIFETIME_SECONDS,
    }
    return jwt.encode(claims, _key(settings.SECRET_KEY), algorithm=ALGORITHM)


def is_valid(token: str, call_connection_id: str) -> bool:
    """Returns whether the token is valid now, for this call. Also keys of SECRET_KEY_FALLBACKS are
    accepted, so that a key can be changed in one process after the other.
    """
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(_is_signed(token, call_connection_id, _key(secret)) for secret in keys)


def _is_signed(token: str, call_connection_id: str, key: bytes) -> bool:
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=PURPOSE,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    # the signer may have another version of this code, or a clock that is wrong
    lives = claims["exp"] - claims["iat"]
    return bool(claims["sub"] == call_connection_id and lives <= LIFETIME_SECONDS)


def _key(secret: str) -> bytes:
    return salted_hmac(PURPOSE, "key", secret, algorithm="sha256").digest()
