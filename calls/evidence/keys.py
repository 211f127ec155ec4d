"""The installation's key, which signs evidence for others: Ed25519 (RFC 8032).

The private key comes from the environment only (`EVIDENCE_KEY`); without it nothing is signed.
Public keys, the former ones too, are published at `/.well-known/acsmedia-keys.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings


class WrongKey(ValueError):
    """The text is no Ed25519 private key in PEM without a password."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of the installation. `key_id`: its fingerprint, SHA-256 of the 32 bytes."""

    raw: bytes

    @property
    def key_id(self) -> str:
        return sha256(self.raw).hexdigest()

    @property
    def pem(self) -> str:
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature of 64 bytes, and the id of the key that made it."""

    key_id: str
    signature: bytes


def sign(purpose: str, content: bytes) -> Signature | None:
    """Returns the signature over `signed_bytes(purpose, content)`; None without a key.

    `purpose` keeps signatures apart: one of a call proves nothing about the audit. Raises
    `WrongKey`.
    """
    key = _private_key(settings.EVIDENCE_KEY)
    if key is None:
        return None
    signature = key.sign(signed_bytes(purpose, content))
    return Signature(_public_of(key).key_id, signature)


def signed_bytes(purpose: str, content: bytes) -> bytes:
    """Returns the bytes that are signed: "acsmedia <purpose>", a line feed, the content."""
    assert "\n" not in purpose, "the first line is the purpose"
    return f"acsmedia {purpose}\n".encode() + content


def current_key() -> PublicKey | None:
    """Returns the public key of the key that signs; None without one. Raises `WrongKey`."""
    key = _private_key(settings.EVIDENCE_KEY)
    return None if key is None else _public_of(key)


def public_keys() -> list[PublicKey]:
    """Returns all public keys: the one that signs, if there is one, then the former ones."""
    current = current_key()
    former = [PublicKey(bytes.fromhex(text)) for text in settings.EVIDENCE_FORMER_KEYS]
    return list(dict.fromkeys([*([current] if current else []), *former]))


def published() -> dict[str, Any]:
    """Returns the document at `/.well-known/acsmedia-keys.json`."""
    current = current_key()
    return {
        "keys": [
            {
                "id": key.key_id,
                "algorithm": "Ed25519",
                "public_key": key.pem,
                "signs": key == current,
            }
            for key in public_keys()
        ]
    }


def new_key() -> str:
    """Returns a new private key in PEM (PKCS #8)."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_key_of(pem: str) -> PublicKey:
    """Returns the public key of a private key in PEM. Raises `WrongKey`."""
    key = _private_key(pem)
    if key is None:
        raise WrongKey("there is no key")
    return _public_of(key)


@lru_cache(maxsize=4)
def _private_key(pem: str) -> Ed25519PrivateKey | None:
    if not pem:
        return None
    try:
        # Files of variables often hold one line only, with \n for each line break.
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise WrongKey("the key is not PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongKey("the key is not an Ed25519 key")
    return key


def _public_of(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
