"""The client of REST that fetches a canary call back: no proxy, no redirects.

RestError
 └── AccessDenied   401 or 403: asking again would not help
"""

from __future__ import annotations

import io
import json
import wave
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import numpy as np

from streams.canary.sound import SAMPLE_RATE, Samples

TIMEOUT_SECONDS = 30.0
MAX_BYTES = 256 * 1024 * 1024


class RestError(Exception):
    """REST did not answer as expected. The message has no token and no content."""


class AccessDenied(RestError):
    pass


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would take the key of REST to another address."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


class Rest:
    """`api`: the address of REST, with a slash at the end; `key`: of the canary's account."""

    def __init__(self, api: str, key: str) -> None:
        self._api, self._key = api, key
        self._opener = build_opener(ProxyHandler({}), _NoRedirects())

    def call(self, connection_id: str) -> dict[str, Any] | None:
        """Returns the canary call as in REST; None if it is not there yet. Raises `RestError`."""
        content = self._get("calls/", canaries="only", call_connection_id=connection_id)
        try:
            calls: list[dict[str, Any]] = json.loads(content)["results"]
            return calls[0] if len(calls) else None
        except (ValueError, LookupError, TypeError):
            raise RestError("the list of calls is not that of acsmedia") from None

    def track(self, call_id: str, participant_id: str) -> Samples:
        """Returns the samples of one track. Raises `RestError`."""
        content = self._get(f"calls/{call_id}/audio", participant=participant_id, format="wav")
        try:
            with wave.open(io.BytesIO(content)) as file:
                form = file.getnchannels(), file.getsampwidth(), file.getframerate()
                pcm = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as error:
            raise RestError(f"the audio is no WAV file: {error}") from None
        if form != (1, 2, SAMPLE_RATE):
            raise RestError(f"the audio has another format: {form}")
        return np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.int16)

    def _get(self, path: str, **query: str) -> bytes:
        request = Request(  # noqa: S310 - http or https: `addresses_of`
            f"{self._api}{path}?{urlencode(query)}",
            headers={"Authorization": f"Token {self._key}", "User-Agent": "acsmedia-canary"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                content: bytes = answer.read(MAX_BYTES)
                if answer.length:  # with a limit, `read` does not raise IncompleteRead
                    raise RestError(f"{answer.length} bytes of the answer are missing")
        except HTTPError as error:
            error.close()
            denied = AccessDenied if error.code in {401, 403} else RestError
            raise denied(f"HTTP {error.code}") from None
        except (OSError, HTTPException) as error:  # no connection, or one that broke off
            raise RestError(f"{type(error).__name__}: {error}") from None
        return content
