"""Players and download links: everything in the admin that leads to REST."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from calls.admin.display import link
from calls.export.formats import FORMATS


def address(name: str, pk: UUID, **query: Any) -> str:
    """Returns the address of a REST resource."""
    path = reverse(f"api:{name}", kwargs={"pk": pk})
    return f"{path}?{urlencode(query)}" if query else path


def player(source: str, name: str) -> SafeString:
    """Returns a player that loads nothing before it is started."""
    return format_html(
        '<audio class="calls-player" controls preload="none" src="{}" aria-label="Recording of '
        '{}"></audio>',
        source,
        name,
    )


def downloads(call_id: UUID, channels: int = 1, **query: Any) -> SafeString:
    """Returns a link for each format that can hold `channels`; `query`: layout= or participant=."""
    links = [
        link(address("call-audio", call_id, format=name, **query), audio_format.label)
        for name, audio_format in FORMATS.items()
        if audio_format.holds(channels)
    ]
    return format_html_join(" · ", "{}", ((each,) for each in links))
