"""The addresses of one installation that a canary call uses. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Addresses:
    """`media`: the media socket; `api`: REST, with a slash at the end."""

    media: str
    api: str


def addresses_of(site: str) -> Addresses:
    """Returns the addresses below `site`, such as https://calls.example.com or
    http://127.0.0.1:8000/acs.

    Raises `ValueError` if `site` is no http or https address.
    """
    if not _is_site(site):
        raise ValueError(f"{site!r} is not an address such as https://calls.example.com")
    base = site.rstrip("/")
    scheme, _, rest = base.partition("://")
    socket = "wss" if scheme == "https" else "ws"
    return Addresses(f"{socket}://{rest}/ws/acs/media", f"{base}/api/v1/")


def _is_site(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port  # raises for a port that is no number
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username or set(text) & set(" \t\n?#"))
    return parts.scheme in {"http", "https"} and bool(host) and plain
