"""What may be asked in a query string. A name that is not known is as wrong as a value that is
not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest

LONGEST_SECONDS = 10**9
MAX_POINTS = 10_000

Parameters = TypeVar("Parameters", bound="serializers.Serializer[Any]")


@extend_schema_field({"type": "number", "minimum": 0, "maximum": LONGEST_SECONDS})
class SecondsField(serializers.DecimalField):
    """Seconds from `audio_started_at`, exact: `0.1` is a tenth, not the float next to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_digits=None, decimal_places=None, min_value=0, max_value=LONGEST_SECONDS, **options
        )


class RangeParameters(serializers.Serializer[Any]):
    participant = serializers.UUIDField(
        required=False, help_text="One track only: `participants[].id`."
    )
    start = SecondsField(
        required=False, help_text="Seconds from `audio_started_at`; the beginning if absent."
    )
    end = SecondsField(
        required=False, help_text="Seconds from `audio_started_at`; the end if absent or beyond it."
    )


class AudioParameters(RangeParameters):
    # `format` is a method name of DRF's base class nowhere, but a builtin: hence the declaration
    # through get_fields.
    layout = serializers.ChoiceField(
        choices=[layout.value for layout in Layout],
        default=Layout.MIX.value,
        help_text="`mix`: mono, all tracks summed. `tracks`: a channel per participant, in order "
        "of being heard.",
    )
    download = serializers.BooleanField(
        default=False, help_text="Ask the browser to save instead of to play."
    )

    def get_fields(self) -> dict[str, Any]:
        format_ = serializers.ChoiceField(
            choices=list(FORMATS), default="wav", help_text="File format."
        )
        return {"format": format_, **super().get_fields()}


class SegmentAudioParameters(serializers.Serializer[Any]):
    download = serializers.BooleanField(
        default=False, help_text="Ask the browser to save instead of to play."
    )


class PeaksParameters(RangeParameters):
    points = serializers.IntegerField(
        default=1000,
        min_value=1,
        max_value=MAX_POINTS,
        help_text="Pairs wanted; a short recording gives fewer.",
    )


class NoParameters(serializers.Serializer[Any]):
    pass


def asked(request: Request, parameters: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """The validated values. Raises `ValidationError` that names the parameter."""
    query = parameters(data=request.query_params.dict())
    refuse_unknown(request, query.fields)
    query.is_valid(raise_exception=True)
    values: dict[str, Any] = query.validated_data
    return values


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Raises `ValidationError` for each parameter of the request that is not among `known`."""
    unknown = set(request.query_params) - set(known)
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise ValidationError(
            {name: [f"Unknown parameter. Known here: {names}."] for name in sorted(unknown)}
        )


def wish_of(values: dict[str, Any]) -> ExportRequest:
    """What an export is planned from."""
    return ExportRequest(
        format=FORMATS[values.get("format", "wav")],
        layout=Layout(values.get("layout", Layout.MIX)),
        participant=values.get("participant"),
        start=values.get("start"),
        end=values.get("end"),
    )
