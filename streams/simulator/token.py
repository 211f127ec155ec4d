"""The JWT that ACS sends in the handshake: RS256, for one resource, a new one for each request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from streams.simulator.errors import UnusableKey

ISSUER = "https://acscallautomation.communication.azure.com"
LIFETIME_SECONDS = 24 * 3600  # on a WebSocket; callbacks live 5 minutes


@dataclass(frozen=True)
class Signer:
    """Signs tokens like those of ACS. `audience` is the immutable id of the ACS resource."""

    key: RSAPrivateKey
    key_id: str
    audience: str
    issuer: str = ISSUER

    def token(self, now: int) -> str:
        """Returns a token issued at `now`, in seconds since the epoch."""
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})


def read_key(path: Path) -> RSAPrivateKey:
    """Reads an RSA private key in PEM without a passphrase. Raises `UnusableKey`."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UnusableKey(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
        raise UnusableKey(f"{path}: not a private key in PEM without a passphrase") from error
    if not isinstance(key, RSAPrivateKey):
        raise UnusableKey(f"{path}: not an RSA key, which RS256 needs")
    return key
