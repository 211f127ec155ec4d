"""Settings from the environment: a wrong value stops the start with one line that names it.

Each case runs in a new process, because settings are read once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from django.test import SimpleTestCase, tag

ROOT = Path(__file__).resolve().parents[2]
RIGHT = {"SECRET_KEY": "x" * 50, "ACS_RESOURCE_ID": "3d20e1de-58ee-4f09-ae4b-1a7d3d1c0a11"}


def start(program: list[str], values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs Python with no variables of acsmedia but `values`."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env={**inherited, **values},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class SettingsCase(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.values = {**RIGHT, "DATA_DIR": str(self.folder)}

    def read(self, expression: str, **values: str) -> str:
        """Returns the printed value of an expression over the settings."""
        done = start(
            ["-c", f"from acsmedia import settings; print({expression})"], {**self.values, **values}
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def assert_stops(self, variable: str, **values: str) -> None:
        """Checks that `manage.py` fails with one line that names the variable, and no traceback."""
        environment = {**self.values, **values}
        done = start(
            ["manage.py", "check"],
            {name: value for name, value in environment.items() if value != "unset"},
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(variable, done.stderr)


@tag("once")
class WrongValueTests(SettingsCase):
    def test_wrong_values_stop_the_start(self) -> None:
        wrong = {
            "SECRET_KEY": ["unset", ""],
            "DEBUG": ["perhaps"],
            "ALLOWED_HOSTS": ["https://media.example.com"],
            "CSRF_TRUSTED_ORIGINS": ["media.example.com"],
            "DATA_DIR": [""],
            "DATABASE_URL": ["", "nonsense", "mysql://db/calls"],
            "AUDIO_STORE": ["tape"],
            "SEGMENT_SECONDS": ["0", "ten", "nan"],
            "RECONNECT_GRACE_SECONDS": ["-1"],
            "ALARM_NO_AUDIO_SECONDS": ["0", "soon"],
            "ALARM_SILENCE_DBFS": ["1", "quiet"],
            "ACS_AUTH": ["none"],
            "REST_RATE_USER": ["many"],
            "MIN_FREE_DISK_MB": ["-1", "0.5"],
            "SPOOL_LIMIT_GB": ["-1", "all"],
            "LOG_LEVEL": ["loud"],
            "ROLE": ["pages"],
            "SECRET_KEY_FALLBACKS": ["old,", "old,,older"],
            "TRUSTED_PROXIES": ["everybody", "10.0.0.0/99"],
        }
        for variable, values in wrong.items():
            for value in values:
                with self.subTest(variable, value=value):
                    self.assert_stops(variable, **{variable: value})

    def test_a_pool_that_is_too_large_stops_the_start(self) -> None:
        self.assert_stops(
            "DATABASE_POOL_SIZE", DATABASE_URL="postgres://db/calls", DATABASE_POOL_SIZE="0"
        )

    def test_a_missing_secret_file_stops_the_start(self) -> None:
        self.assert_stops("ACS_STREAM_TOKEN_FILE", ACS_STREAM_TOKEN_FILE=str(self.folder / "none"))

    def test_no_message_repeats_a_password(self) -> None:
        environment = {**self.values, "DATABASE_URL": "postgress://calls:hunter2@db/calls"}
        self.assertNotIn("hunter2", start(["manage.py", "check"], environment).stderr)

    def test_an_error_of_a_system_check_stops_the_start_and_names_the_variable(self) -> None:
        wrong = {
            "ACS_RESOURCE_ID": "",
            "ACS_JWKS_URL": "http://example.com/keys",
            "REDIS_URL": "cache:6379",
            "DATA_DIR": "/dev/null/data",
        }
        # all in one process: a start with all checks takes a second
        self.assert_errors(*wrong, **wrong)
        self.assert_errors("ACS_STREAM_TOKEN", ACS_AUTH="token")

    def assert_errors(self, *variables: str, **values: str) -> None:
        """Checks that each variable has an error that stops the start, not only a warning."""
        done = start(["manage.py", "check"], {**self.values, **values})
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("Traceback", done.stderr)
        errors = re.findall(r"^\S+ \(acsmedia\.E\d+\) .*$", done.stderr, re.MULTILINE)
        self.assertEqual(len(errors), len(variables), done.stderr)
        for variable in variables:
            self.assertIn(variable, "".join(errors))


@tag("once")
class RightValueTests(SettingsCase):
    def test_a_start_needs_only_a_key_and_a_resource(self) -> None:
        done = start(["manage.py", "check"], self.values)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_defaults_are_secure(self) -> None:
        shown = self.read(
            "settings.DEBUG, settings.ALLOWED_HOSTS, settings.ACS_AUTH, "
            "settings.SESSION_COOKIE_SECURE"
        )
        self.assertEqual(shown, "False [] jwt True")

    def test_a_secret_is_read_from_a_file(self) -> None:
        secret = self.folder / "token"
        secret.write_text("from-a-file-of-secrets\n")
        self.assertEqual(
            self.read("settings.ACS_STREAM_TOKEN", ACS_STREAM_TOKEN_FILE=str(secret)),
            "from-a-file-of-secrets",
        )

    def test_all_local_files_are_in_the_data_folder(self) -> None:
        folder = self.folder.resolve()
        shown = self.read(
            "settings.SPOOL_DIR, settings.AUDIO_DIR, settings.DATABASES['default']['NAME']"
        )
        self.assertEqual(shown, f"{folder}/spool {folder}/audio {folder}/db.sqlite3")

    def test_lists_are_separated_by_commas(self) -> None:
        self.assertEqual(
            self.read("settings.ALLOWED_HOSTS", ALLOWED_HOSTS="a.example,b.example"),
            "['a.example', 'b.example']",
        )

    def test_redis_is_the_layer_if_it_is_set(self) -> None:
        backend = "settings.CHANNEL_LAYERS['default']['BACKEND']"
        self.assertEqual(self.read(backend), "channels.layers.InMemoryChannelLayer")
        shown = self.read(
            "settings.CHANNEL_LAYERS['default']", REDIS_URL="redis://cache", REDIS_PASSWORD="@/#"
        )
        self.assertIn("channels_redis.pubsub.RedisPubSubChannelLayer", shown)
        self.assertIn("{'address': 'redis://cache', 'password': '@/#'}", shown)

    def test_postgres_gets_a_pool(self) -> None:
        shown = self.read(
            "settings.DATABASES['default']['OPTIONS']['pool']['max_size']",
            DATABASE_URL="postgres://calls:secret@db:5432/calls",
            DATABASE_POOL_SIZE="7",
        )
        self.assertEqual(shown, "7")

    def test_postgres_compiles_nothing_unless_its_url_enables_it(self) -> None:
        options = "settings.DATABASES['default']['OPTIONS']['options']"
        address = "postgres://calls:secret@db:5432/calls"
        self.assertEqual(self.read(options, DATABASE_URL=address), "-c jit=off")
        enabled = f"{address}?options=-c%20jit%3Don"
        self.assertEqual(self.read(options, DATABASE_URL=enabled), "-c jit=off -c jit=on")
