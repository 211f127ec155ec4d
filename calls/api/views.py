"""The views of REST, in the order of the table in docs/rest.md."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event
from typing import Any, ClassVar, NoReturn
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
    export_request,
    reject_unknown,
    validated,
)
from calls.api.sending import not_modified, send
from calls.audit.actors import actor_of
from calls.coverage.history import causes
from calls.export import manifest
from calls.export.export import Export
from calls.export.file_names import call_file_name, segment_file_name
from calls.export.plan import ExportRequest, etag_of, plan_of
from calls.export.queries import axis_if_any, recording_of, recording_of_segment
from calls.http.heard import AudioNote
from calls.http.responses import Deferred, Streamed
from calls.http.streaming import Abandoned, Body
from calls.http.zones import viewer_zone
from calls.models import Action, Call, CallQuerySet, Segment, Subscription, database_now
from calls.models.listening import note_playback
from calls.peaks import peaks
from calls.permissions import (
    TO_READ_CANARIES,
    TO_SEE,
    MayHear,
    MayHearOrReadCanaries,
    MaySeeOrReadCanaries,
    Needed,
    is_for_canaries,
    missing,
    require,
    to_get_audio,
)
from calls.serializers import (
    CallSerializer,
    OneCallSerializer,
    RestCallSerializer,
    SegmentSerializer,
)
from calls.storage.holds import holds_on


class AlwaysJson(BaseContentNegotiation):
    """Ignores Accept: players send `audio/*`, and errors are JSON for them too."""

    def select_parser(self, _request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(
        self, _request: Request, renderers: Iterable[Any], _suffix: str | None = None
    ) -> Any:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class Resource(APIView):
    content_negotiation_class = AlwaysJson

    def check_permissions(self, request: Request) -> None:
        """Counts the request first: DRF would not count those that are refused."""
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Does nothing: the request is counted already."""


@schema.CALLS
class CallList(Resource, ListAPIView[Call]):
    permission_classes = (MaySeeOrReadCanaries,)
    serializer_class = RestCallSerializer
    pagination_class = pagination.CallPages
    filterset_class = CallFilters
    parameters: ClassVar[list[str]] = [*CallFilters.base_filters, *pagination.PARAMETERS]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        reject_unknown(request, self.parameters)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Call]:
        return _calls(self.request)


@schema.CALL
class CallDetail(Resource, RetrieveAPIView[Call]):
    permission_classes = (MaySeeOrReadCanaries,)
    serializer_class = OneCallSerializer

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        validated(request, NoParameters)
        return super().get(request, *args, **kwargs)

    def get_object(self) -> Any:
        call: Any = super().get_object()
        call.holds = holds_on(call)
        return call

    def get_queryset(self) -> QuerySet[Call]:
        return _calls(self.request)


@schema.AUDIO
class CallAudio(Resource):
    permission_classes = (MayHearOrReadCanaries,)

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = validated(request, AudioParameters)
        call = get_object_or_404(_readable(request), pk=pk)
        needed = _admit(request, call.pk, download=values["download"])
        plan = plan_of(recording_of(call), export_request(values))
        name = call_file_name(plan, call.pk, values, viewer_zone(request).info)
        export, download = Export.of(plan), values["download"]
        note = _note(request, call.pk, download=download)
        return send(request, export, needed, note, file_name=name, download=download)


@schema.SEGMENTS
class CallSegments(Resource, ListAPIView[Segment]):
    serializer_class = SegmentSerializer
    pagination_class = pagination.SegmentPages
    filter_backends = ()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        reject_unknown(request, pagination.PARAMETERS)
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Segment]:
        call = get_object_or_404(Call, pk=self.kwargs["pk"])
        begins = ExpressionWrapper(F("start_sample") * 1.0 / F("sample_rate"), FloatField())
        found = Segment.objects.filter(participant__call=call).defer("peaks", "stamps")
        segments: QuerySet[Segment] = found.annotate(begins=begins)
        return segments

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "axis": axis_if_any(self.kwargs["pk"])}


@schema.SEGMENT_AUDIO
class SegmentAudio(Resource):
    permission_classes = (MayHear,)

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = validated(request, SegmentAudioParameters)
        segment = get_object_or_404(Segment.objects.select_related("participant"), pk=pk)
        call_id = segment.participant.call_id
        needed = _admit(request, call_id, download=values["download"])
        export = Export.of(plan_of(recording_of_segment(segment), ExportRequest()))
        name = segment_file_name(segment, viewer_zone(request).info)
        note = _note(request, call_id, download=values["download"], segment=pk)
        return send(request, export, needed, note, file_name=name, download=values["download"])


@schema.MANIFEST
class CallManifest(Resource):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        validated(request, NoParameters)
        now = timezone.now()
        call = get_object_or_404(Call.objects.for_rest(database_now()), pk=pk)
        cause = causes(call.call_connection_id, call.correlation_id)
        chunks = manifest.chunks(dict(CallSerializer(call).data), axis_if_any(call.pk), now, cause)
        return Streamed(Body(chunks), TO_SEE, content_type="application/json")


@schema.PEAKS
class CallPeaks(Resource):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        values = validated(request, PeaksParameters)
        plan = plan_of(recording_of(get_object_or_404(Call, pk=pk)), export_request(values))
        # Fine points are audio: two for each sample are the recording.
        is_coarse = bool(missing(request.user, to_get_audio(is_live=_is_live(pk))))
        # What changes the response is part of the ETag.
        detail = f"{values['points']}{'-coarse' if is_coarse else ''}"
        etag = f'{etag_of(plan)[:-1]}-{detail}-{peaks.REVISION}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if unchanged := not_modified(request, headers):
            return unchanged

        def draw(stop: Event) -> JsonResponse:
            def raise_if_abandoned() -> None:
                if stop.is_set():
                    raise Abandoned

            pairs = peaks.waveform(plan, values["points"], raise_if_abandoned, is_coarse=is_coarse)
            waveform = {
                "call": pk,
                "participant": values.get("participant"),
                "start": round(plan.first / plan.sample_rate, 6),
                "end": round(plan.last / plan.sample_rate, 6),
                "points": len(pairs),
                "peaks": (pairs / 32_768).round(4).tolist(),
            }
            return JsonResponse(waveform, headers=headers)

        return Deferred(draw)


def _calls(request: Request) -> QuerySet[Call]:
    now = database_now()
    calls: QuerySet[Call] = _readable(request).for_rest(now).with_verdict().with_active_alarms(now)
    return calls


def _readable(request: Request) -> CallQuerySet:
    """Returns all calls, or canary calls if the user may read only those."""
    calls: CallQuerySet = Call.objects.all()
    return calls.canaries() if is_for_canaries(request.user) else calls


def _is_live(call_id: UUID) -> bool:
    return Subscription.objects.filter(call=call_id).live(database_now()).exists()


def _admit(request: Request, call_id: UUID, *, download: bool) -> Needed:
    """Returns the permissions that the audio needs. Raises `PermissionDenied` if one is missing.

    Who hears a live call is noted in its ledger first.
    """
    if is_for_canaries(request.user):  # the view has found it among canary calls
        return TO_READ_CANARIES
    is_live = _is_live(call_id)
    needed = to_get_audio(is_live=is_live, download=download)
    require(request.user, needed)
    if is_live and request.method != "HEAD":
        note_playback(call_id, request.user.get_username())
    return needed


def _note(
    request: Request, call_id: UUID, *, download: bool, segment: UUID | None = None
) -> AudioNote:
    action = Action.DOWNLOADED if download else Action.HEARD
    return AudioNote(actor_of(request), call_id, action=action, segment=segment)


class UnknownPath(Resource):
    """Answers 404 as JSON below /api/v1/."""

    schema = None  # not part of the OpenAPI schema

    def http_method_not_allowed(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise NotFound
