"""The environment of the process, and validators for its variables."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from environs import FileAwareEnv, ValidationError, validate

env = FileAwareEnv(strip_whitespace=True)


def each(pattern: str, error: str) -> Callable[[list[str]], None]:
    """Returns a validator of lists: each item must match `pattern`."""
    check = validate.Regexp(pattern, error=error)

    def check_all(items: list[str]) -> None:
        for item in items:
            check(item)

    return check_all


def each_network(items: list[str]) -> None:
    """Validates a list of IP addresses and networks; raises `ValidationError`."""
    for item in items:
        try:
            ip_network(item, strict=False)
        except ValueError:
            text = "use addresses or networks such as 10.0.0.0/8, separated by commas."
            raise ValidationError(text) from None


def zone_name(name: str) -> None:
    """Validates the name of a time zone; raises `ValidationError`."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValidationError("use a time zone such as Europe/Berlin.") from None


def signing_key(pem: str) -> None:
    """Validates an Ed25519 private key in PEM, "" for none; raises `ValidationError`."""
    if not pem:
        return
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValidationError("use an Ed25519 key in PEM: manage.py evidence_key prints one.")
