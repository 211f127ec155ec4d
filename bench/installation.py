"""An installation for benchmarks that write rows themselves: a data folder, and Django set up in
this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import django
from django.core.management import call_command

TOKEN = "b" * 40
NAME = "benchmark"


@dataclass(frozen=True)
class Installation:
    """`environment` has the variables that a server needs in addition to those of
    `tests.servers`.
    """

    data_dir: Path
    environment: dict[str, str]


@contextmanager
def installed(backends: Mapping[str, str]) -> Iterator[Installation]:
    """Sets up a migrated installation, with one user who has all permissions and the token `TOKEN`.

    Only once per process: Django reads its settings once.
    """
    with TemporaryDirectory(prefix="acsmedia-bench-") as folder:
        data_dir = Path(folder)
        environment = {**backends, "REST_RATE_USER": "1000000/min", "LOG_LEVEL": "ERROR"}
        ours = {
            "DATA_DIR": folder,
            "SECRET_KEY": "only-for-benchmarks-" + "0" * 40,
            "INSECURE_HTTP": "true",
        }
        os.environ.update(
            {
                **environment,
                **ours,
                "ACS_AUTH": "token",
                "ACS_STREAM_TOKEN": "stream-token-of-the-bench",
            }
        )
        os.environ["ALLOWED_HOSTS"] = "localhost,127.0.0.1,testserver"
        os.environ["DJANGO_SETTINGS_MODULE"] = "acsmedia.settings"
        django.setup()
        call_command("migrate", verbosity=0, skip_checks=True)
        _make_user()
        yield Installation(data_dir, environment)


def _make_user() -> None:
    from django.contrib.auth.models import User  # needs Django set up
    from rest_framework.authtoken.models import Token

    user, _ = User.objects.get_or_create(
        username=NAME, defaults={"is_staff": True, "is_superuser": True}
    )
    Token.objects.get_or_create(user=user, defaults={"key": TOKEN})
