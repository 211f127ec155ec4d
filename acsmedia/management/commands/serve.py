"""`manage.py serve`: checks the settings, then replaces itself with the server."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from acsmedia.servers.commands import command


class Command(BaseCommand):
    help = "Checks the settings and runs the server in the foreground: the image's entry point."
    requires_system_checks = ()  # `handle` runs them, because they depend on the role

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Adds role, server and address; the defaults come from the environment."""
        parser.add_argument(
            "--role",
            choices=["all", "ingest", "web"],
            default=settings.ROLE,
            help="ingest: media sockets only; web: pages and REST only; all: both",
        )
        parser.add_argument(
            "--server", choices=["daphne", "uvicorn"], default=os.environ.get("SERVER", "daphne")
        )
        parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
        parser.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"))

    def handle(self, *, role: str, server: str, host: str, port: int, **options: Any) -> None:
        """Replaces this process with the server, so that signals reach the server itself."""
        try:
            arguments = command(server, host, port)
        except ValueError as error:  # SERVER; argparse does not check defaults against `choices`
            raise CommandError(str(error)) from error
        # the server reads its settings again
        os.environ["ROLE"] = settings.ROLE = role
        self.check()
        os.execv(arguments[0], arguments)  # noqa: S606 - a constant program, no shell
