"""Admin of participants and their tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest

from calls.admin import display, recording
from calls.admin.filters import SpanFilter, of
from calls.admin.ledger import LedgerInline
from calls.admin.records import RecordAdmin, RecordInline, link_in_short, link_to, link_to_list
from calls.admin.search import CALL_COLUMNS, PARTICIPANT_COLUMNS, PartColumns, TermSearch
from calls.models import Call, LedgerEntry, Participant, Segment
from calls.models.naming import note_naming, valid_name
from calls.permissions import TO_NAME, missing


class TrackColumns:
    """Columns of a track in list, page and inline; needs `ParticipantQuerySet.with_recording`."""

    @admin.display(description="Raw id")
    def raw(self, participant: Participant) -> str:
        return display.identifier(participant.raw_id)

    @admin.display(description="First audio", ordering="heard_at")
    def heard_from(self, participant: Participant) -> str:
        return display.moment(participant.heard_at)

    @admin.display(description="Last audio")
    def heard_until_shown(self, participant: Participant) -> str:
        return display.moment(participant.heard_until)

    @admin.display(description="Recorded")
    def recorded(self, participant: Any) -> str:
        return display.clock(participant.recorded_seconds)

    @admin.display(description="Segments")
    def segments(self, participant: Any) -> str:
        return link_to_list(Segment, participant.segment_count, participant=participant.pk)

    @admin.display(description="Gaps")
    def gaps(self, participant: Any) -> str:
        shown = display.gaps(participant.gap_count, participant.gap_seconds)
        if not participant.gap_count:
            return shown
        return link_to_list(LedgerEntry, shown, participant=participant.pk, kind__exact="gap")

    @admin.display(description="Size")
    def size(self, participant: Any) -> str:
        return display.size(participant.stored_bytes)

    @admin.display(description="Listen")
    def listen(self, participant: Any) -> str:
        if not participant.segment_count:
            return display.NOTHING
        source = recording.address("call-audio", participant.call_id, participant=participant.pk)
        return recording.player(source, participant.label)

    @admin.display(description="Export")
    def export(self, participant: Participant) -> str:
        return recording.downloads(participant.call_id, participant=participant.pk)


class ParticipantInline(TrackColumns, RecordInline):
    model = Participant
    fields = readonly_fields = ("link", "raw", "recorded", "segments", "gaps", "listen", "export")

    @admin.display(description="Participant")
    def link(self, participant: Participant) -> str:
        return link_to(participant)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_recording()  # type: ignore[no-any-return, attr-defined]


if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Participant]
else:
    _ModelForm = forms.ModelForm


class NameForm(_ModelForm):
    """The display name; nothing else of a participant can be changed."""

    class Meta:
        model = Participant
        fields = ("display_name",)
        help_texts: ClassVar = {
            "display_name": "Events of ACS never replace it. Empty: they may give another one."
        }

    def clean_display_name(self) -> str:
        return valid_name(self.cleaned_data["display_name"])


@admin.register(Participant)
class ParticipantAdmin(TrackColumns, RecordAdmin):
    search = TermSearch(
        ids=("pk", "call", "segments"),
        whole=("raw_id", "call__call_connection_id", "call__correlation_id"),
        sources=(
            PartColumns("Participant", PARTICIPANT_COLUMNS, "pk", "-heard_at"),
            PartColumns("Call", CALL_COLUMNS, "call", "-started_at"),
        ),
    )
    search_fields = search.whole
    search_help_text = (
        "Raw id or part of a number, name, connection id, correlation id, or an acsmedia id"
    )
    ordering = ("-heard_at",)
    list_display = (
        "name",
        "kind",
        "heard_from",
        "recorded",
        "segments",
        "gaps",
        "size",
        "call_in_short",
    )
    list_filter = ("kind", ("heard_at", SpanFilter), of("call", Call))
    list_select_related = ("call",)
    inlines = (LedgerInline,)
    fieldsets = (
        (None, {"fields": ("name", "kind", "raw", "display_name", "of_call", "id")}),
        (
            "Recording",
            {
                "fields": (
                    "listen",
                    "heard_from",
                    "heard_until_shown",
                    "recorded",
                    "segments",
                    "size",
                    "gaps",
                )
            },
        ),
        ("Export", {"fields": ("export",)}),
    )

    form = NameForm

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not missing(request.user, TO_NAME)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Leaves the events out when the name is saved: the page does not send their forms."""
        return () if request.method == "POST" else super().get_inlines(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for name in flatten_fieldsets(self.fieldsets) if name != "display_name"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        Participant.objects.filter(pk=obj.pk).name_by_person(obj.display_name)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        """Notes who has named the participant, without name and number, unlike Django."""
        return note_naming(request.user, obj.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).with_recording()  # type: ignore[no-any-return, attr-defined]

    @admin.display(description="Participant")
    def name(self, participant: Participant) -> str:
        return display.names([participant])

    @admin.display(description="Call")
    def of_call(self, participant: Participant) -> str:
        return link_to(participant.call)

    @admin.display(description="Call")
    def call_in_short(self, participant: Participant) -> str:
        return link_in_short(participant.call)
