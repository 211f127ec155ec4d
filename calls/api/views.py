"""The addresses of REST, in the order of the table in docs/rest.md."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import ExpressionWrapper, F, FloatField, QuerySet
from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView, RetrieveAPIView, get_object_or_404
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from calls.api import pagination, schema
from calls.api.filters import CallFilters
from calls.api.parameters import (
    AudioParameters,
    NoParameters,
    PeaksParameters,
    SegmentAudioParameters,
    asked,
    refuse_unknown,
    wish_of,
)
from calls.api.sending import not_modified, send
from calls.export import file_names, manifest
from calls.export.export import Export
from calls.export.plan import ExportRequest, Plan, etag_of, plan_of
from calls.export.queries import axis_if_any, recording_of, recording_of_segment
from calls.http.responses import Deferred, Streamed
from calls.http.streaming import Abandoned, Body
from calls.models import Call, Segment
from calls.peaks.peaks import REVISION as WAVEFORM_REVISION
from calls.peaks.peaks import waveform
from calls.permissions import MayHear
from calls.serializers import CallSerializer, SegmentSerializer


class JsonForAll(BaseContentNegotiation):
    """Players ask with `Accept: audio/*`: what is not audio is JSON for them too."""

    def select_parser(self, _request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(
        self, _request: Request, renderers: Iterable[Any], _suffix: str | None = None
    ) -> Any:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class Resource(APIView):
    content_negotiation_class = JsonForAll


@schema.CALLS
class CallList(Resource, ListAPIView[Call]):
    serializer_class = CallSerializer
    pagination_class = pagination.CallPages
    filterset_class = CallFilters
    parameters: ClassVar[list[str]] = [*CallFilters.base_filters, *pagination.PARAMETERS]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        refuse_unknown(request, self.parameters)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Call]:
        calls: QuerySet[Call] = Call.objects.for_rest(timezone.now())
        return calls


@schema.CALL
class CallDetail(Resource, RetrieveAPIView[Call]):
    serializer_class = CallSerializer

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        asked(request, NoParameters)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Call]:
        calls: QuerySet[Call] = Call.objects.for_rest(timezone.now())
        return calls


@schema.AUDIO
class CallAudio(Resource):
    permission_classes = (MayHear,)

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = asked(request, AudioParameters)
        call = get_object_or_404(Call, pk=pk)
        plan = plan_of(recording_of(call), wish_of(values))
        name = file_names.of_call(plan, call.pk, values)
        return send(request, Export.of(plan), file_name=name, download=values["download"])


@schema.SEGMENTS
class CallSegments(Resource, ListAPIView[Segment]):
    serializer_class = SegmentSerializer
    pagination_class = pagination.SegmentPages
    filter_backends = ()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        refuse_unknown(request, pagination.PARAMETERS)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Segment]:
        call = get_object_or_404(Call, pk=self.kwargs["pk"])
        begins = ExpressionWrapper(F("start_sample") * 1.0 / F("sample_rate"), FloatField())
        found = Segment.objects.filter(participant__call=call).defer("peaks")
        segments: QuerySet[Segment] = found.annotate(begins=begins)
        return segments

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "axis": axis_if_any(self.kwargs["pk"])}


@schema.SEGMENT_AUDIO
class SegmentAudio(Resource):
    permission_classes = (MayHear,)

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = asked(request, SegmentAudioParameters)
        segment = get_object_or_404(Segment.objects.select_related("participant"), pk=pk)
        export = Export.of(plan_of(recording_of_segment(segment), ExportRequest()))
        return send(
            request, export, file_name=file_names.of_segment(segment), download=values["download"]
        )


@schema.MANIFEST
class CallManifest(Resource):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        asked(request, NoParameters)
        now = timezone.now()
        call = get_object_or_404(Call.objects.for_rest(now), pk=pk)
        pieces = manifest.pieces(dict(CallSerializer(call).data), axis_if_any(call.pk), now)
        return Streamed(Body(pieces), content_type="application/json")


@schema.PEAKS
class CallPeaks(Resource):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = asked(request, PeaksParameters)
        plan = plan_of(recording_of(get_object_or_404(Call, pk=pk)), wish_of(values))
        # The points are part of what is sent, so they are part of its ETag.
        etag = f'{etag_of(plan)[:-1]}-{values["points"]}-{WAVEFORM_REVISION}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if unchanged := not_modified(request, headers):
            return unchanged
        return Deferred(
            lambda stop: JsonResponse(_waveform(pk, plan, values, stop), headers=headers)
        )


class NothingHere(Resource):
    """Below /api/v1/ also what does not exist is JSON."""

    schema = None  # no address of ours

    def get(self, _request: Request, **_kwargs: Any) -> HttpResponseBase:
        raise NotFound


def _waveform(call_id: UUID, plan: Plan, values: dict[str, Any], stop: Event) -> dict[str, Any]:
    def leave_if_abandoned() -> None:
        if stop.is_set():
            raise Abandoned

    pairs = waveform(plan, values["points"], leave_if_abandoned)
    return {
        "call": call_id,
        "participant": values.get("participant"),
        "start": round(plan.first / plan.sample_rate, 6),
        "end": round(plan.last / plan.sample_rate, 6),
        "points": len(pairs),
        "peaks": (pairs / 32_768).round(4).tolist(),
    }
