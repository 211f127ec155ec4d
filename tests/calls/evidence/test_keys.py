"""The key of the installation: signing, publishing, changing it."""

from __future__ import annotations

from io import StringIO

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings
from environs import ValidationError

from acsmedia.environment import signing_key
from calls.evidence import keys

PEM, OTHER = keys.new_key(), keys.new_key()
OTHER_RAW = keys.public_key_of(OTHER).raw
EC_KEY = generate_private_key(SECP256R1())
WRONG = {
    "no PEM": "secret",
    "another kind": EC_KEY.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ).decode(),
    "with a password": load_pem_private_key(PEM.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    .decode(),
}


class Signing(SimpleTestCase):
    @override_settings(EVIDENCE_KEY="")
    def test_nothing_is_signed_without_a_key(self) -> None:
        self.assertIsNone(keys.sign("call 1", b"content"))
        self.assertIsNone(keys.current_key())
        self.assertEqual(keys.published(), {"keys": []})

    @override_settings(EVIDENCE_KEY=PEM)
    def test_a_signature_is_verified_with_the_public_key(self) -> None:
        made, key = keys.sign("call 1", b"content"), keys.public_key_of(PEM)
        assert made
        self.assertEqual(made.key_id, key.key_id)
        message = keys.signed_bytes("call 1", b"content")
        self.assertEqual(message, b"acsmedia call 1\ncontent")
        self.assertTrue(key.verifies(made.signature, message))
        self.assertFalse(key.verifies(made.signature, keys.signed_bytes("audit 1", b"content")))
        self.assertFalse(key.verifies(made.signature, message + b"!"))
        self.assertFalse(keys.public_key_of(OTHER).verifies(made.signature, message))

    @override_settings(EVIDENCE_KEY=PEM)
    def test_every_flipped_bit_of_a_signature_is_found(self) -> None:
        made, key = keys.sign("call 1", b"content"), keys.public_key_of(PEM)
        assert made
        message = keys.signed_bytes("call 1", b"content")
        for bit in range(512):
            flipped = bytearray(made.signature)
            flipped[bit // 8] ^= 1 << bit % 8
            self.assertFalse(key.verifies(bytes(flipped), message), bit)

    def test_a_key_may_be_one_line(self) -> None:
        line = PEM.replace("\n", "\\n")
        self.assertEqual(keys.public_key_of(line), keys.public_key_of(PEM))

    def test_wrong_keys_are_refused(self) -> None:
        for name, text in WRONG.items():
            with self.subTest(name):
                with self.assertRaises(keys.WrongKey):
                    keys.public_key_of(text)
                with self.assertRaises(ValidationError):
                    signing_key(text)
        with self.assertRaises(keys.WrongKey):
            keys.public_key_of("")

    def test_keys_are_valid_settings(self) -> None:
        for text in ("", PEM, PEM.replace("\n", "\\n")):
            signing_key(text)


@override_settings(EVIDENCE_KEY=PEM, EVIDENCE_FORMER_KEYS=[OTHER_RAW.hex()])
class Publishing(SimpleTestCase):
    def test_the_former_key_stays_published(self) -> None:
        response = self.client.get("/.well-known/acsmedia-keys.json")
        self.assertEqual(response.headers["Cache-Control"], "public, max-age=300")
        found = response.json()["keys"]
        expected = [(keys.public_key_of(one).key_id, one == PEM) for one in (PEM, OTHER)]
        self.assertEqual([(one["id"], one["signs"]) for one in found], expected)
        public = load_pem_public_key(found[1]["public_key"].encode())
        self.assertEqual(public.public_bytes_raw(), OTHER_RAW)  # type: ignore[union-attr]

    def test_a_key_is_listed_once(self) -> None:
        former = [keys.public_key_of(PEM).raw.hex()]
        with override_settings(EVIDENCE_FORMER_KEYS=former):
            self.assertEqual(len(keys.public_keys()), 1)

    def test_the_private_key_is_not_published(self) -> None:
        text = self.client.get("/.well-known/acsmedia-keys.json").content.decode()
        self.assertNotIn("PRIVATE", text)

    def test_only_reading_is_allowed(self) -> None:
        response = self.client.post("/.well-known/acsmedia-keys.json")
        self.assertEqual(response.status_code, 405)


class Command(SimpleTestCase):
    def run_command(self, *arguments: str) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("evidence_key", *arguments, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    def test_a_new_key_is_printed_with_its_fingerprint(self) -> None:
        (pem, said), (other, _) = self.run_command(), self.run_command()
        self.assertIn(keys.public_key_of(pem).key_id, said)
        self.assertNotEqual(pem, other)

    @override_settings(EVIDENCE_KEY=OTHER)
    def test_the_public_key_is_shown(self) -> None:
        out, _ = self.run_command("--show")
        self.assertIn(OTHER_RAW.hex(), out)
        self.assertIn(keys.public_key_of(OTHER).key_id, out)

    def test_no_key_and_a_wrong_key_are_said(self) -> None:
        for text in ("", "secret"):
            with override_settings(EVIDENCE_KEY=text), self.assertRaises(CommandError) as caught:
                self.run_command("--show")
            self.assertIn("EVIDENCE_KEY", str(caught.exception))
