"""OpenAPI descriptions of each address: responses, headers and summaries."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from calls.api.parameters import AudioParameters, PeaksParameters, SegmentAudioParameters
from calls.serializers import (
    ManifestSerializer,
    OneCallSerializer,
    PeaksSerializer,
    RestCallSerializer,
    SegmentSerializer,
)

_ERROR = {
    "type": "object",
    "additionalProperties": True,
    "description": "Messages by parameter, or one under `detail`.",
}
_ERRORS = {
    400: OpenApiResponse(
        _ERROR, description="A parameter is unknown or has an invalid value; it is named."
    ),
    401: OpenApiResponse(_ERROR, description="No session and no valid token."),
    403: OpenApiResponse(_ERROR, description="The account lacks a permission; it is named."),
    429: OpenApiResponse(_ERROR, description="Too many requests."),
    503: OpenApiResponse(_ERROR, description="The database or the audio store is unreachable."),
}
_NOT_FOUND = {404: OpenApiResponse(_ERROR, description="Not found, or no sealed audio.")}
_BYTES = OpenApiTypes.BINARY
_CONDITIONS = {
    304: OpenApiResponse(description="Not modified: If-None-Match has the current ETag."),
    412: OpenApiResponse(description="If-Match does not have the current ETag."),
}
_DAMAGED = {
    500: OpenApiResponse(_ERROR, description="Stored audio is damaged; the segment is named.")
}


def _audio(*content_types: str) -> dict[Any, Any]:
    return {
        **{(200, name): _BYTES for name in content_types},
        **{(206, name): _BYTES for name in content_types},
        416: OpenApiResponse(
            _ERROR, description="Range beyond the end; Content-Range has the size."
        ),
        **_CONDITIONS,
        **_DAMAGED,
        **_ERRORS,
        **_NOT_FOUND,
    }


_HEADERS = [
    OpenApiParameter(
        "Range",
        str,
        OpenApiParameter.HEADER,
        description="One range of bytes; several ranges return the whole file.",
    ),
    OpenApiParameter(
        "If-None-Match",
        str,
        OpenApiParameter.HEADER,
        description="Returns 304 if the ETag is still current.",
    ),
    OpenApiParameter(
        "If-Range",
        str,
        OpenApiParameter.HEADER,
        description="Returns the range if the ETag is still current, otherwise the whole file.",
    ),
]


def _get(
    operation: str,
    responses: dict[Any, Any],
    parameters: list[Any] | None = None,
    summary: str = "",
) -> Any:
    documented = extend_schema(
        operation_id=operation, responses=responses, parameters=parameters, summary=summary
    )
    return extend_schema_view(get=documented)


_KIND = OpenApiParameter(
    "kind", str, description="Kinds of events, separated by commas; default: all."
)


def listed(operation: str, row: Any, summary: str, *, is_of_call: bool = False) -> Any:
    """Describes a list; `is_of_call`: of the events of a call."""
    responses = {200: row(many=True), **_ERRORS, **(_NOT_FOUND if is_of_call else {})}
    return _get(operation, responses, [_KIND] if is_of_call else None, summary)


def changed(operation: str, body: Any, row: Any, summary: str) -> Any:
    """Describes a change of an object by PATCH."""
    documented = extend_schema(
        operation_id=operation,
        request=body,
        responses={200: row, **_ERRORS, **_NOT_FOUND},
        summary=summary,
    )
    return extend_schema_view(patch=documented)


def described(operation: str, row: Any, parameters: list[Any], summary: str) -> Any:
    """Describes a GET with query parameters."""
    return _get(operation, {200: row, **_ERRORS}, parameters, summary)


ERRORS, NOT_FOUND = _ERRORS, _NOT_FOUND

CALLS = _get(
    "calls", {200: RestCallSerializer(many=True), **_ERRORS}, summary="Calls, newest first"
)
CALL = _get("call", {200: OneCallSerializer, **_ERRORS, **_NOT_FOUND}, summary="One call")
AUDIO = _get(
    "call_audio",
    _audio("audio/wav", "audio/flac", "audio/mpeg", "audio/ogg"),
    [AudioParameters, *_HEADERS],
    "The recording",
)
SEGMENTS = _get(
    "call_segments",
    {200: SegmentSerializer(many=True), **_ERRORS, **_NOT_FOUND},
    summary="Sealed segments, in order of time",
)
SEGMENT_AUDIO = _get(
    "segment_audio", _audio("audio/wav"), [SegmentAudioParameters, *_HEADERS], "One segment as WAV"
)
MANIFEST = _get(
    "call_manifest",
    {200: ManifestSerializer, **_ERRORS, **_NOT_FOUND},
    summary="The manifest: segments, hashes, gaps",
)
PEAKS = _get(
    "call_peaks",
    {200: PeaksSerializer, **_CONDITIONS, **_DAMAGED, **_ERRORS, **_NOT_FOUND},
    [PeaksParameters],
    "A waveform",
)
