"""System checks: every wrong setting has an id and is named; valid settings pass."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock, skipIf

from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase, override_settings

from streams import checks

VALID: dict[str, Any] = {
    "DEBUG": False,
    "ROLE": "all",
    "ACS_AUTH": "jwt",
    "ACS_RESOURCE_ID": "3d20e1de-58ee-4f09-ae4b-1a7d3d1c0a11",
    "ACS_JWKS_URL": "https://acscallautomation.communication.azure.com/calling/keys",
    "ACS_STREAM_TOKEN": "",
    "ACS_STREAM_TOKEN_PREVIOUS": "",
    "ACS_EVENTS_TOKEN": "",
    "ACS_EVENTS_TENANT": "",
    "ACS_EVENTS_AUDIENCE": "",
    "AUDIO_STORE": "files",
    "REDIS_URL": "",
    "METRICS_TOKEN": "",
    "INSECURE_HTTP": False,
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}},
}
POSTGRES = {"default": {"ENGINE": "django.db.backends.postgresql"}}


@contextmanager
def settings_with(**values: Any) -> Iterator[None]:
    """Applies valid settings, changed by `values`."""
    with warnings.catch_warnings():
        # Nothing connects with these settings, so Django's warning does not apply.
        warnings.filterwarnings("ignore", "Overriding setting DATABASES")
        with override_settings(**{**VALID, **values}):
            yield


def found(**values: Any) -> list[CheckMessage]:
    """Returns the messages of our checks for valid settings changed by `values`."""
    with settings_with(**values):
        return run_checks(tags=[checks.TAG])


class ChecksCase(SimpleTestCase):
    def assert_found(self, identity: str, variable: str, **values: Any) -> None:
        messages = found(**values)
        self.assertEqual([message.id for message in messages], [f"acsmedia.{identity}"])
        self.assertIn(variable, messages[0].msg)

    def assert_nothing(self, **values: Any) -> None:
        self.assertEqual(found(**values), [])


class EventTests(ChecksCase):
    TENANT = "72F988bf-86f1-41af-91ab-2d7cd011db47"

    def test_a_tenant_without_an_audience_is_an_error(self) -> None:
        self.assert_found("E011", "without ACS_EVENTS_AUDIENCE", ACS_EVENTS_TENANT=self.TENANT)
        self.assert_found("E011", "without ACS_EVENTS_TENANT", ACS_EVENTS_AUDIENCE="api://app")

    def test_a_tenant_that_is_no_guid_is_an_error(self) -> None:
        for tenant in ("contoso.com", f"{self.TENANT}/x", f"{self.TENANT}\n"):
            with self.subTest(tenant):
                self.assert_found(
                    *("E012", "ACS_EVENTS_TENANT"),
                    ACS_EVENTS_TENANT=tenant,
                    ACS_EVENTS_AUDIENCE="api://app",
                )

    def test_a_short_token_is_an_error(self) -> None:
        self.assert_found("E013", "ACS_EVENTS_TOKEN", ACS_EVENTS_TOKEN="x" * 15)

    def test_complete_settings_pass(self) -> None:
        self.assert_nothing(
            ACS_EVENTS_TENANT=self.TENANT,
            ACS_EVENTS_AUDIENCE="api://app",
            ACS_EVENTS_TOKEN="x" * 16,
        )

    def test_are_not_checked_where_no_events_come(self) -> None:
        wrong = {"ACS_EVENTS_TOKEN": "short", "REDIS_URL": "redis://here", "DATABASES": POSTGRES}
        self.assert_nothing(ROLE="ingest", **wrong)


class AnsweringTests(ChecksCase):
    SETTINGS: ClassVar[dict[str, Any]] = {
        "ACS_CONNECTION_STRING": "endpoint=https://x.communication.azure.com/;accesskey=eA==",
        "ACS_ANSWER": ["+1555*"],
        "PUBLIC_URL": "https://calls.example.com",
        "ACS_EVENTS_TOKEN": "x" * 16,
    }

    def setUp(self) -> None:
        self.has_sdk = self.enterContext(mock.patch.object(checks, "_has_sdk", return_value=True))

    def test_complete_settings_pass(self) -> None:
        self.assert_nothing(**self.SETTINGS)

    def test_half_of_the_settings_is_reported(self) -> None:
        for identity, text, changed in (
            ("E014", "ACS_CONNECTION_STRING", {"ACS_CONNECTION_STRING": ""}),
            ("E015", "ACS_CONNECTION_STRING", {"ACS_CONNECTION_STRING": "https://x"}),
            ("E015", "ACS_CONNECTION_STRING", {"ACS_CONNECTION_STRING": "endpoint=https://x"}),
            ("E016", "PUBLIC_URL", {"PUBLIC_URL": ""}),
            ("E016", "PUBLIC_URL", {"PUBLIC_URL": "http://calls.example.com"}),
            ("W007", "ACS_ANSWER", {"ACS_ANSWER": []}),
            ("W008", "IncomingCall", {"ACS_EVENTS_TOKEN": ""}),
        ):
            with self.subTest(identity, **changed):
                self.assert_found(identity, text, **{**self.SETTINGS, **changed})

    def test_the_optional_package_is_required(self) -> None:
        self.has_sdk.return_value = False
        self.assert_found("E017", "azure-communication-callautomation", **self.SETTINGS)

    def test_are_not_checked_where_no_events_come(self) -> None:
        wrong = {**self.SETTINGS, "PUBLIC_URL": "", "REDIS_URL": "redis://here"}
        self.assert_nothing(ROLE="ingest", DATABASES=POSTGRES, **wrong)


class SdkTests(SimpleTestCase):
    def test_a_package_is_found_or_not(self) -> None:
        for error, spec, expected in (
            (None, object(), True),
            (None, None, False),
            (ModuleNotFoundError, None, False),
        ):
            with mock.patch.object(checks, "find_spec", side_effect=error, return_value=spec):
                self.assertEqual(checks._has_sdk(), expected)


class AccessTests(ChecksCase):
    def test_a_previous_token_needs_a_new_one_of_enough_length(self) -> None:
        name, long = "ACS_STREAM_TOKEN_PREVIOUS", "x" * 40
        self.assert_found("E010", name, ACS_STREAM_TOKEN_PREVIOUS=long)
        self.assert_found("W001", name, ACS_STREAM_TOKEN=long, ACS_STREAM_TOKEN_PREVIOUS="short")
        self.assert_nothing(ACS_STREAM_TOKEN=long, ACS_STREAM_TOKEN_PREVIOUS=long)

    def test_valid_settings_pass(self) -> None:
        self.assert_nothing()
        self.assert_nothing(ACS_AUTH="token", ACS_STREAM_TOKEN="x" * 16)
        self.assert_nothing(ACS_AUTH="off", DEBUG=True)

    def test_mode_off_is_an_error_unless_debug(self) -> None:
        self.assert_found("E001", "ACS_AUTH", ACS_AUTH="off")

    def test_a_jwt_needs_an_audience(self) -> None:
        self.assert_found("E002", "ACS_RESOURCE_ID", ACS_RESOURCE_ID="")
        self.assert_found("E002", "ACS_RESOURCE_ID", ACS_RESOURCE_ID="", DEBUG=True)

    def test_a_token_must_be_set_and_long_enough(self) -> None:
        self.assert_found("E003", "ACS_STREAM_TOKEN", ACS_AUTH="token")
        self.assert_found("E004", "ACS_STREAM_TOKEN", ACS_AUTH="token", ACS_STREAM_TOKEN="x" * 15)

    def test_a_short_token_beside_a_jwt_is_a_warning(self) -> None:
        self.assert_found("W001", "ACS_STREAM_TOKEN", ACS_STREAM_TOKEN="short")

    def test_no_message_contains_the_token(self) -> None:
        for mode in ("jwt", "token"):
            self.assertNotIn("swordfish", str(found(ACS_AUTH=mode, ACS_STREAM_TOKEN="swordfish")))

    def test_the_key_set_url_must_be_https(self) -> None:
        for url in (
            "http://example.com/keys",
            "file:///etc/keys",
            "https://",
            "keys",
            "",
            "https://[broken",
        ):
            with self.subTest(url):
                self.assert_found("E005", "ACS_JWKS_URL", ACS_JWKS_URL=url)

    def test_the_key_set_url_may_be_http_with_debug(self) -> None:
        self.assert_nothing(ACS_JWKS_URL="http://127.0.0.1:9000/keys", DEBUG=True)
        self.assert_found("E005", "ACS_JWKS_URL", ACS_JWKS_URL="file:///etc/keys", DEBUG=True)


class FolderTests(ChecksCase):
    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def data_dir(self, path: Path) -> dict[str, Any]:
        return {"DATA_DIR": path, "SPOOL_DIR": path / "spool"}

    def test_a_writable_folder_passes_and_stays_empty(self) -> None:
        self.assert_nothing(**self.data_dir(self.root))
        self.assertEqual(list(self.root.iterdir()), [])

    def test_a_folder_that_can_be_created_passes_and_is_not_created(self) -> None:
        self.assert_nothing(**self.data_dir(self.root / "a" / "b"))
        self.assertEqual(list(self.root.iterdir()), [])

    def test_a_file_in_its_place_is_an_error(self) -> None:
        (self.root / "taken").touch()
        self.assert_found("E006", "DATA_DIR", **self.data_dir(self.root / "taken"))
        self.assert_found("E006", "DATA_DIR", **self.data_dir(self.root / "taken" / "below"))
        self.assert_found("E006", "DATA_DIR", DATA_DIR=self.root, SPOOL_DIR=self.root / "taken")

    @skipIf(
        not Path("/proc/self").is_dir(),
        "needs a file system without write access, such as /proc",
    )
    def test_an_unwritable_folder_is_an_error_even_for_root(self) -> None:
        self.assert_found("E006", "DATA_DIR", DATA_DIR=Path("/proc/self"), SPOOL_DIR=self.root)


class StoreTests(ChecksCase):
    def assert_store(self, identities: list[str], store: str, **options: str) -> None:
        storages = {"audio": {"BACKEND": "any", "OPTIONS": options}}
        messages = found(AUDIO_STORE=store, STORAGES=storages)
        self.assertEqual(
            [message.id for message in messages],
            [f"acsmedia.{identity}" for identity in identities],
        )

    def test_s3_needs_a_bucket(self) -> None:
        self.assert_store(["E007"], "s3", bucket_name="")
        self.assert_store([], "s3", bucket_name="calls")

    def test_azure_needs_a_container_and_a_connection(self) -> None:
        self.assert_store(["E008", "E008"], "azure")
        self.assert_store(["E008"], "azure", azure_container="calls")
        self.assert_store([], "azure", azure_container="calls", connection_string="x")


class ProcessTests(ChecksCase):
    def test_the_redis_url_needs_a_supported_scheme(self) -> None:
        for url in ("localhost:6379", "http://cache", "redis://", "redis:6379", "rediss://[x"):
            with self.subTest(url):
                self.assert_found("E009", "REDIS_URL", REDIS_URL=url, DATABASES=POSTGRES)
        for url in ("redis://cache:6379/0", "rediss://:secret@cache", "unix:///run/redis.sock"):
            with self.subTest(url):
                self.assert_nothing(REDIS_URL=url, DATABASES=POSTGRES)

    def test_postgres_without_redis_is_a_warning(self) -> None:
        self.assert_found("W002", "REDIS_URL", DATABASES=POSTGRES)
        self.assert_nothing(DATABASES=POSTGRES, DEBUG=True)

    def test_sqlite_with_redis_is_a_warning(self) -> None:
        self.assert_found("W003", "REDIS_URL", REDIS_URL="redis://cache")

    def test_a_part_of_an_installation_without_redis_is_a_warning(self) -> None:
        for role in ("ingest", "web"):
            self.assert_found("W006", "REDIS_URL", ROLE=role, DATABASES=POSTGRES)
            self.assert_found("W006", "REDIS_URL", ROLE=role)
            self.assert_nothing(ROLE=role, DATABASES=POSTGRES, REDIS_URL="redis://cache")

    def test_a_process_that_records_nothing_needs_no_settings_of_recording(self) -> None:
        values = {"ACS_RESOURCE_ID": "", "DATA_DIR": Path("/dev/null/data"), "DEBUG": True}
        self.assert_nothing(ROLE="web", **values)
        self.assertEqual(
            {message.id for message in found(ROLE="ingest", **values)},
            {"acsmedia.E002", "acsmedia.E006"},
        )

    def test_a_short_metrics_token_is_a_warning(self) -> None:
        self.assert_found("W004", "METRICS_TOKEN", METRICS_TOKEN="short")


class TransportTests(ChecksCase):
    def test_plain_http_is_a_warning(self) -> None:
        self.assert_found("W005", "INSECURE_HTTP", INSECURE_HTTP=True)
        self.assert_nothing(INSECURE_HTTP=True, DEBUG=True)


class MailTests(ChecksCase):
    def test_addresses_need_a_mail_server_and_a_sender(self) -> None:
        server, sender = {"EMAIL_URL": "smtp://localhost"}, {"MAIL_FROM": "acsmedia@example.com"}
        for name in ("ALARM_MAIL_CRITICAL", "ALARM_MAIL_MAJOR", "ALARM_MAIL_MINOR", "DIGEST_MAIL"):
            with self.subTest(name):
                addresses = {name: ["olga@example.com"]}
                self.assert_found("E018", f"{name} without EMAIL_URL and MAIL_FROM", **addresses)
                self.assert_found("E018", "without MAIL_FROM", **addresses, **server)
                self.assert_nothing(**addresses, **server, **sender)
        self.assert_nothing()


class RequireValidSettings(ChecksCase):
    """Servers start without `manage.py check`, so they run the checks themselves."""

    def test_valid_settings_pass(self) -> None:
        with settings_with():
            checks.require_valid_settings()

    def test_warnings_pass(self) -> None:
        with settings_with(DATABASES=POSTGRES):
            checks.require_valid_settings()

    def test_all_errors_are_named_at_once(self) -> None:
        wrong = {"ACS_AUTH": "off", "REDIS_URL": "http://cache"}
        with settings_with(**wrong), self.assertRaises(ImproperlyConfigured) as caught:
            checks.require_valid_settings()
        self.assertIn("ACS_AUTH", str(caught.exception))
        self.assertIn("REDIS_URL", str(caught.exception))
        self.assertIn("acsmedia.E009", str(caught.exception))

    def test_every_id_is_in_the_documentation(self) -> None:
        source = Path(checks.__file__).read_text()
        security = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
        for number in (
            *(f"E{index:03}" for index in range(1, 10)),
            *(f"W{index:03}" for index in range(1, 7)),
        ):
            with self.subTest(number):
                self.assertIn(f'id="acsmedia.{number}"', source)
                self.assertIn(f"acsmedia.{number}", security)
