"""Django for a simulation outside of the test suite: rows in SQLite in memory, audio in memory."""

from __future__ import annotations

import logging
import os
import tempfile


def set_up() -> None:
    """Loads the settings of the tests and creates the tables; takes about a second."""
    os.environ["DATABASE_URL"] = "sqlite://:memory:"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("DATA_DIR", tempfile.gettempdir())  # nothing is written to it
    os.environ["LOG_LEVEL"] = "ERROR"
    import django  # reads the environment

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.STORAGES["audio"] = {"BACKEND": "tests.simulation.sealing.MemoryStore"}
    logging.disable(logging.CRITICAL)
    call_command("migrate", verbosity=0)
