"""Players, and links to the export and the proof: everything that leads from the admin into
REST.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from calls.admin.display import link
from calls.export.formats import FORMATS

NAMES = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "opus": "Opus"}


def address(name: str, pk: UUID, **query: Any) -> str:
    """The address of a REST resource."""
    path = reverse(f"api:{name}", kwargs={"pk": pk})
    return f"{path}?{urlencode(query)}" if query else path


def player(source: str, of: str) -> SafeString:
    """A player that loads nothing until somebody presses play."""
    return format_html(
        '<audio class="calls-player" controls preload="none" src="{}" aria-label="Recording of '
        '{}"></audio>',
        source,
        of,
    )


def downloads(call_id: UUID, channels: int = 1, **which: Any) -> SafeString:
    """One link for each format that can hold so many channels; `which` says layout= or
    participant=.
    """
    links = [
        link(address("call-audio", call_id, format=name, **which), NAMES[name])
        for name, audio_format in FORMATS.items()
        if audio_format.holds(channels)
    ]
    return format_html_join(" · ", "{}", ((each,) for each in links))
