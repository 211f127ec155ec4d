"""Query parameters and their validation. Unknown names are errors, as wrong values are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest

MAX_SECONDS = 10**9
MAX_POINTS = 10_000


@extend_schema_field({"type": "number", "minimum": 0, "maximum": MAX_SECONDS})
class SecondsField(serializers.DecimalField):
    """Seconds from `audio_started_at`, exact: `0.1` is a tenth, not the float next to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_digits=None, decimal_places=None, min_value=0, max_value=MAX_SECONDS, **options
        )


class RangeParameters(serializers.Serializer[Any]):
    participant = serializers.UUIDField(
        required=False, help_text="One track only: `participants[].id`."
    )
    start = SecondsField(
        required=False, help_text="Seconds from `audio_started_at`; default: the beginning."
    )
    end = SecondsField(
        required=False,
        help_text="Seconds from `audio_started_at`, exclusive; default: the end of the recording.",
    )


class AudioParameters(RangeParameters):
    layout = serializers.ChoiceField(
        choices=[layout.value for layout in Layout],
        default=Layout.MIX.value,
        help_text="`mix`: mono, all tracks summed. `tracks`: one channel per participant, in the "
        "order in which they first spoke.",
    )
    download = serializers.BooleanField(
        default=False, help_text="The browser saves the file instead of playing it."
    )

    def get_fields(self) -> dict[str, Any]:
        """Adds `format`, which as a class attribute would shadow the builtin."""
        format_ = serializers.ChoiceField(
            choices=list(FORMATS), default="wav", help_text="File format."
        )
        return {"format": format_, **super().get_fields()}


class SegmentAudioParameters(serializers.Serializer[Any]):
    download = serializers.BooleanField(
        default=False, help_text="The browser saves the file instead of playing it."
    )


class PeaksParameters(RangeParameters):
    points = serializers.IntegerField(
        default=1000,
        min_value=1,
        max_value=MAX_POINTS,
        help_text="Number of pairs; a very short recording gives fewer.",
    )


class NoParameters(serializers.Serializer[Any]):
    pass


def validated(
    request: Request,
    parameters: type[serializers.Serializer[Any]],
    besides: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the validated values. Raises `ValidationError`, which names the parameter.

    `besides`: parameters that others validate, such as those of pages.
    """
    query = parameters(data=request.query_params.dict())
    reject_unknown(request, [*query.fields, *besides])
    query.is_valid(raise_exception=True)
    values: dict[str, Any] = query.validated_data
    return values


def reject_unknown(request: Request, known: Iterable[str]) -> None:
    """Raises `ValidationError` if the request has parameters that are not among `known`."""
    unknown = set(request.query_params) - set(known)
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise ValidationError(
            {name: [f"Unknown parameter. Known here: {names}."] for name in sorted(unknown)}
        )


def export_request(values: dict[str, Any]) -> ExportRequest:
    """Returns the export that the validated `values` describe."""
    return ExportRequest(
        format=FORMATS[values.get("format", "wav")],
        layout=Layout(values.get("layout", Layout.MIX)),
        participant=values.get("participant"),
        start=values.get("start"),
        end=values.get("end"),
    )
