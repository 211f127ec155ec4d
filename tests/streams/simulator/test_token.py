"""The JWT of the simulator, and the keys that sign it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import TestCase

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from streams.simulator.errors import UnusableKey
from streams.simulator.token import ISSUER, Signer, read_key

NOW = 1_700_000_000


class SignerTests(TestCase):
    def test_a_token_has_the_claims_of_acs(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        token = Signer(key, "key-1", "resource-1").token(NOW)
        claims = jwt.decode(
            token, key.public_key(), ["RS256"], options={"verify_exp": False}, audience="resource-1"
        )
        self.assertEqual(
            jwt.get_unverified_header(token), {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
        )
        self.assertEqual(claims["iss"], ISSUER)
        self.assertEqual(claims["exp"] - claims["iat"], 24 * 3600)


class ReadKeyTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "key.pem"

    def test_an_rsa_key_is_read(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        self.path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.assertEqual(read_key(self.path).private_numbers(), key.private_numbers())

    def test_a_key_that_is_missing_invalid_locked_or_not_rsa_is_rejected_by_name(self) -> None:
        curve = ec.generate_private_key(ec.SECP256R1())
        locked = curve.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        plain = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for content in (None, b"no key", locked, plain):
            if content is not None:
                self.path.write_bytes(content)
            with self.assertRaisesRegex(UnusableKey, "key.pem"):
                read_key(self.path)
