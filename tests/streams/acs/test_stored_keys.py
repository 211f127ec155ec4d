"""The key set on disk: used at a start while the key server is unreachable."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from django.test import SimpleTestCase, override_settings

from streams.acs import jwks
from streams.acs.auth import HandshakeAuth
from streams.acs.jwks import MIN_INTERVAL_SECONDS, KeySet, KeysUnavailable
from streams.acs.stored_keys import MAX_AGE_SECONDS, NAME, StoredKeys
from tests.streams.acs.test_jwks import Clock, FakeFetch
from tests.streams.tokens import AUDIENCE, key_server, key_set, scope, token

URL = "https://keys.example.com/keys"


class StoredKeysTestCase(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.clock, self.wall_clock = Clock(), Clock()
        self.fetch = FakeFetch(key_set("a"))

    def stored(self, url: str = URL) -> StoredKeys:
        return StoredKeys(self.folder, url, wall_clock=self.wall_clock)

    def started(self) -> KeySet:
        """Returns the key set of a new process."""
        return KeySet(self.fetch, self.stored(), clock=self.clock)


class StartTests(StoredKeysTestCase):
    async def test_the_keys_of_the_last_process_are_used_while_the_server_is_unreachable(
        self,
    ) -> None:
        await self.started().find("a")
        self.fetch.answer = OSError("no route")
        self.wall_clock.now += 3600
        with self.assertLogs("streams.acs.jwks") as logs:
            keys = self.started()
            await keys.find("a")
            await keys.check()
        self.assertIn("stored key set in use", logs.output[0])
        self.assertIn("'age_seconds': 3600", logs.output[0])

    async def test_an_answer_without_keys_does_not_replace_them(self) -> None:
        await self.started().find("a")
        self.fetch.answer = b"<html>sign in</html>"
        self.clock.now += MIN_INTERVAL_SECONDS
        with self.assertLogs("streams.acs"):
            await self.started().renew()
            await self.started().find("a")

    async def test_they_are_renewed_at_the_first_handshake(self) -> None:
        await self.started().find("a")
        self.fetch.answer = key_set("b")
        with self.assertLogs("streams.acs.jwks"), self.assertRaises(jwks.UnknownKey):
            await self.started().find("a")
        self.assertEqual(self.fetch.calls, 2)

    async def test_a_server_that_hangs_delays_a_known_key_only_a_little(self) -> None:
        await self.started().find("a")
        self.fetch.gate.clear()
        self.addCleanup(self.fetch.gate.set)
        with (
            mock.patch.object(jwks, "KNOWN_PATIENCE_SECONDS", 0.01),
            self.assertLogs("streams.acs.jwks"),
        ):
            # its own patience is longer than the limit of this test
            keys = KeySet(self.fetch, self.stored(), clock=self.clock, patience_seconds=60)
            async with asyncio.timeout(5):  # half of the time for which it hangs
                await keys.find("a")
                await keys.find("a")
        self.fetch.gate.set()
        await keys.renew()  # joins the pending request

    async def test_without_keys_the_check_says_why_every_call_is_refused(self) -> None:
        self.fetch.answer = ConnectionRefusedError()
        keys = self.started()
        with (
            self.assertLogs("streams.acs.jwks", "WARNING"),
            self.assertRaisesRegex(KeysUnavailable, "^ConnectionRefusedError$"),
        ):
            await keys.check()
        self.fetch.answer = key_set("a")
        self.clock.now += MIN_INTERVAL_SECONDS
        await keys.check()

    async def test_the_reason_is_that_of_the_network_or_the_status(self) -> None:
        with key_server() as server:
            fetch, server.status = jwks.from_url(server.url), 503
            keys = KeySet(fetch, clock=self.clock)
            with (
                self.assertLogs("streams.acs.jwks"),
                self.assertRaisesRegex(KeysUnavailable, "^HTTP 503$"),
            ):
                await keys.check()
        self.clock.now += MIN_INTERVAL_SECONDS
        with (
            self.assertLogs("streams.acs.jwks"),
            self.assertRaisesRegex(KeysUnavailable, "^ConnectionRefusedError$"),
        ):
            await keys.check()

    async def test_a_process_stores_them_in_its_data_dir(self) -> None:
        with key_server() as server:
            changed = {
                "ACS_AUTH": "jwt",
                "ACS_RESOURCE_ID": AUDIENCE,
                "ACS_JWKS_URL": server.url,
                "ACS_STREAM_TOKEN": "",
                "DATA_DIR": self.folder,
                "DEBUG": True,  # allows http
            }
            with override_settings(**changed):
                await HandshakeAuth.from_settings().check_keys()
                server.status = 500
                with self.assertLogs("streams.acs.jwks"):
                    again = HandshakeAuth.from_settings()
                    await again.admit(scope(bearer=token()))
                    await again.check_keys()
                    with override_settings(ACS_JWKS_URL=f"{server.url}/of-another-cloud"):
                        elsewhere = HandshakeAuth.from_settings()
                    with self.assertRaises(KeysUnavailable):
                        await elsewhere.check_keys()

    async def test_without_a_jwt_there_is_nothing_to_check(self) -> None:
        await HandshakeAuth("token", stream_token="secret").check_keys()


class FileTests(StoredKeysTestCase):
    def test_only_its_owner_may_read_it_whatever_the_umask(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.stored().write(key_set("a"))
        (path,) = self.folder.iterdir()
        self.assertEqual((path.name, path.stat().st_mode & 0o777), (NAME, 0o600))

    def test_it_has_the_age_of_the_answer(self) -> None:
        self.stored().write(key_set("a"))
        self.wall_clock.now += 60
        self.assertEqual(self.stored().read(), (key_set("a"), 60))

    def test_old_keys_and_those_of_another_address_are_not_used(self) -> None:
        self.stored().write(key_set("a"))
        self.assertIsNone(self.stored("https://elsewhere.example.com").read())
        for step in (MAX_AGE_SECONDS + 1, -2 * MAX_AGE_SECONDS - 2):
            self.wall_clock.now += step
            self.assertIsNone(self.stored().read())

    def test_a_file_that_cannot_be_read_is_ignored_and_logged(self) -> None:
        self.assertIsNone(self.stored().read())
        for content in (b"", b"[]", b'{"url": 1}', b"\xff", b"[" * 100_000):
            (self.folder / NAME).write_bytes(content)
            with self.assertLogs("streams.acs.stored_keys", "WARNING"):
                self.assertIsNone(self.stored().read())

    def test_a_document_that_is_no_text_is_not_used(self) -> None:
        saved = {"url": URL, "fetched_at": self.wall_clock.now, "document": 5}
        (self.folder / NAME).write_text(json.dumps(saved))
        self.assertIsNone(self.stored().read())

    def test_keys_that_did_not_reach_the_disk_do_not_replace_others(self) -> None:
        self.stored().write(key_set("a"))
        with (
            mock.patch("os.fsync", side_effect=OSError(errno.EIO, "I/O error")),
            self.assertLogs("streams.acs.stored_keys", "WARNING"),
        ):
            self.stored().write(key_set("b"))
        self.assertEqual(self.stored().read(), (key_set("a"), 0))

    def test_no_link_is_followed(self) -> None:
        elsewhere = self.folder / "elsewhere"
        elsewhere.write_text("kept")
        (self.folder / f".{NAME}.{os.getpid()}.partial").symlink_to(elsewhere)
        with self.assertLogs("streams.acs.stored_keys", "WARNING"):
            self.stored().write(key_set("a"))
        self.assertEqual(elsewhere.read_text(), "kept")

    def test_keys_that_are_none_are_ignored_and_logged(self) -> None:
        self.stored().write(b"{}")
        with self.assertLogs("streams.acs.jwks", "WARNING") as logs:
            self.started()
        self.assertIn("no usable key", logs.output[0])

    async def test_a_folder_that_cannot_be_written_costs_no_call(self) -> None:
        keys = KeySet(self.fetch, StoredKeys(self.folder / "none", URL), clock=self.clock)
        with self.assertLogs("streams.acs.stored_keys", "WARNING") as logs:
            await keys.find("a")
        self.assertIn("No such file", logs.output[0])
