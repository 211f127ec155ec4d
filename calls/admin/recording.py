"""Players, and links to the export and the proof: everything that leads from the admin into REST."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from calls.admin.display import link

FORMATS = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "opus": "Opus"}


_ADDRESSES = {
    "call-audio": "/api/v1/calls/{}/audio",
    "call-segments": "/api/v1/calls/{}/segments/",
    "call-manifest": "/api/v1/calls/{}/manifest",
    "segment-audio": "/api/v1/segments/{}/audio",
}


def address(name: str, pk: UUID, **query: Any) -> str:
    """The address of a REST resource: a path that is promised to everyone outside."""
    path = _ADDRESSES[name].format(pk)
    return f"{path}?{urlencode(query)}" if query else path


def player(source: str, of: str) -> SafeString:
    """A player that loads nothing until somebody presses play."""
    return format_html(
        '<audio class="calls-player" controls preload="none" src="{}" aria-label="Recording of {}"></audio>', source, of
    )


def downloads(call_id: UUID, formats: tuple[str, ...] = tuple(FORMATS), **which: Any) -> SafeString:
    """One link per format; `which` says layout=mix, layout=tracks or participant=<id>."""
    return format_html_join(
        " · ",
        "{}",
        ((link(address("call-audio", call_id, format=name, **which), FORMATS[name]),) for name in formats),
    )
