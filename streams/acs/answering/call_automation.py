"""Microsoft's SDK of Call Automation, an optional package: answers a call with streaming on.

NotAnswered
 ├── Unanswerable   the request is wrong, or the call rings no more: repeating would not help
 └── TryAgain       no answer, too many requests, or an error of the service
"""

from __future__ import annotations

import logging
from typing import Any, Protocol
from urllib.parse import quote

from django.conf import settings

TIMEOUTS = {"connection_timeout": 3, "read_timeout": 5}
"""Seconds. A caller hears ringing meanwhile."""

_TEMPORARY = {408, 429}


class NotAnswered(Exception):
    """The text has no personal data. `reason`: a key of `calls.wording.ANSWER_FAILURES`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Unanswerable(NotAnswered):
    pass


class TryAgain(NotAnswered):
    pass


class Answers(Protocol):
    def answer(self, context: str) -> str:
        """Answers the call; returns its call connection id, or raises `NotAnswered`."""


class CallAutomation:
    """The client of one Communication Services resource. Threads may share it."""

    def __init__(self, connection_string: str, *, callback_url: str, media_url: str) -> None:
        """Raises `ImportError` without the SDK, and `ValueError` for a connection string that is
        not one.
        """
        from azure.communication import callautomation  # optional: requirements-answer.txt

        # It logs request lines, and Azure's errors quote their request: both name people.
        logging.getLogger("azure").setLevel(logging.CRITICAL)
        self._sdk: Any = callautomation
        self._client: Any = callautomation.CallAutomationClient.from_connection_string(
            connection_string, retry_total=0, **TIMEOUTS
        )
        self._callback_url = callback_url
        self._streaming = callautomation.MediaStreamingOptions(
            transport_url=media_url,
            transport_type=callautomation.StreamingTransportType.WEBSOCKET,
            content_type=callautomation.MediaStreamingContentType.AUDIO,
            audio_channel_type=callautomation.MediaStreamingAudioChannelType.UNMIXED,
            start_media_streaming=True,
            audio_format=callautomation.AudioFormat.PCM16_K_MONO,
            enable_dtmf_tones=True,
        )

    @classmethod
    def from_settings(cls) -> CallAutomation:
        site = settings.PUBLIC_URL + (settings.FORCE_SCRIPT_NAME or "")
        token = settings.ACS_STREAM_TOKEN
        query = f"?token={quote(token, safe='')}" if token else ""
        socket = site.replace("http", "ws", 1)
        return cls(
            settings.ACS_CONNECTION_STRING,
            callback_url=f"{site}/webhooks/acs/callbacks",
            media_url=f"{socket}/ws/acs/media{query}",
        )

    def answer(self, context: str) -> str:
        from azure.core.exceptions import AzureError, HttpResponseError

        try:
            answered = self._client.answer_call(
                context, self._callback_url, media_streaming=self._streaming
            )
        except HttpResponseError as error:
            raise _not_answered(error.status_code or 0) from None
        except AzureError as error:  # no connection, or no response in time
            raise TryAgain("unreachable", type(error).__name__) from None
        connection_id: str = answered.call_connection_id or ""
        return connection_id


def _not_answered(status: int) -> NotAnswered:
    text = f"HTTP {status}"
    if status >= 500 or status in _TEMPORARY:
        return TryAgain("service_error", text)
    if status in {401, 403}:
        return Unanswerable("credentials", text)
    return Unanswerable("rejected", text)  # such as a call that rings no more
