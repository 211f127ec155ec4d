"""Deletion of calls and their audio in the admin: after a confirmation page with the amount of
data, and never while a call is live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html

from calls.admin import display
from calls.models import Call, database_now
from calls.storage import deletion
from calls.storage.holds import Held, holds_by_call

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = object

MAX_AT_ONCE = 200
"""Most calls that one request deletes; `manage.py delete_calls` deletes more."""

REFUSAL = (
    "A call cannot be deleted while a recorder may still write it. Wait until it has ended; after "
    "a crash, until its journals are sealed."
)


class DeletionMixin(_ModelAdmin):
    """Django's delete view and action without its collector, which would load every segment."""

    actions: tuple[str, ...] = ("delete_selected",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("calls.delete_call")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except deletion.StillLive:  # ACS reconnected since the confirmation
            self.message_user(request, REFUSAL, messages.ERROR)
            return redirect("admin:calls_call_change", object_id)
        except Held as held:
            self.message_user(request, str(held), messages.ERROR)
            return redirect("admin:calls_call_change", object_id)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Lists no rows (`Extent` gives totals instead); live and held calls are protected."""
        missing = set() if self.has_delete_permission(request) else {"call"}
        live = deletion.live_among([call.pk for call in objs], database_now())
        held = holds_by_call(objs)
        return [], {}, missing, [str(call) for call in {*live, *held}]

    def render_delete_form(self, request: HttpRequest, context: Any) -> HttpResponse:
        extent = deletion.extent_of([context["object"].pk])
        described = {"described": display.call(context["object"]), **_summary(extent)}
        if context["protected"] and (held := holds_by_call([context["object"]])):
            described["refusal"] = str(Held(held[context["object"]]))
        return super().render_delete_form(request, {**context, **described})

    def delete_model(self, request: HttpRequest, obj: Call) -> None:
        described = display.call(obj)  # while it has participants
        deletion.delete_call(obj.pk, database_now())
        deletion.sweep_after_commit()
        message = format_html("Deleted the call of {} and its audio.", described)
        self.message_user(request, message, messages.SUCCESS)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        # Django's own redirects there only users who may change calls.
        return redirect("admin:calls_call_changelist")

    @admin.action(permissions=["delete"], description="Delete selected calls and their audio")
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(ids) > MAX_AT_ONCE:
            self.message_user(
                request, f"Select at most {MAX_AT_ONCE} calls to delete at once.", messages.ERROR
            )
            return None
        # Without the totals of the list, which would count every segment of 200 calls.
        calls = list(Call.objects.filter(pk__in=ids).prefetch_related("participants"))
        if not request.POST.get("post"):
            return self._confirmation(request, calls)
        deleted = 0
        for call in calls:
            try:
                with transaction.atomic():
                    self.log_deletions(request, Call.objects.filter(pk=call.pk))
                    deletion.delete_call(call.pk, database_now())
                    deleted += 1
            except deletion.StillLive:
                message = format_html("{}: {}", display.call(call), REFUSAL)
                self.message_user(request, message, messages.ERROR)
            except Held as held:
                message = format_html("{}: {}", display.call(call), held)
                self.message_user(request, message, messages.ERROR)
        deletion.sweep_after_commit()
        if deleted:
            text = "1 call and its audio" if deleted == 1 else f"{deleted} calls and their audio"
            self.message_user(request, f"Deleted {text}.", messages.SUCCESS)
        return None

    def _confirmation(self, request: HttpRequest, calls: list[Call]) -> HttpResponse:
        live = set(deletion.live_among([call.pk for call in calls], database_now()))
        held = holds_by_call(calls)
        kept = {*live, *held}
        deletable = [call for call in calls if call not in kept]
        context = {
            **self.admin_site.each_context(request),
            **_summary(deletion.extent_of([call.pk for call in deletable])),
            "title": "Delete calls and their audio?",
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            "calls": [(call.pk, display.call(call)) for call in deletable],
            "live": [(call.pk, display.call(call)) for call in calls if call in live],
            "held": [(call.pk, display.call(call), Held(holds)) for call, holds in held.items()],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request, "admin/calls/call/delete_selected_confirmation.html", context
        )


def _summary(extent: deletion.Extent) -> dict[str, Any]:
    return {"extent": extent, "audio_length": display.clock(extent.seconds), "refusal": REFUSAL}
