"""Prints a new key for signing evidence, or the public key of this installation. See
docs/evidence.md.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.evidence import keys


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--show",
            action="store_true",
            help="Print the public key of the key that is set, for EVIDENCE_FORMER_KEYS.",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["show"]:
            self._show()
            return
        pem = keys.new_key()
        self.stdout.write(pem, ending="")
        # Not into the file that the key is written to.
        self.stderr.write(f"fingerprint {keys.public_key_of(pem).key_id}")

    def _show(self) -> None:
        try:
            current = keys.current_key()
        except keys.WrongKey as error:
            raise CommandError(f"EVIDENCE_KEY: {error}.") from error
        if current is None:
            raise CommandError("EVIDENCE_KEY is not set: evidence is not signed.")
        self.stdout.write(f"public key  {current.raw.hex()}\nfingerprint {current.key_id}")
