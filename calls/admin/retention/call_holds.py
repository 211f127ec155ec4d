"""Legal hold on the calls that are selected in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from calls.admin.retention.asking import ask
from calls.audit.actors import actor_of
from calls.models import Call
from calls.permissions import SET_HOLDS
from calls.storage import holds

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = object

MAX_AT_ONCE = 1000
"""Most calls of one hold that is set in the list."""


class HoldForm(forms.Form):
    name = forms.CharField(max_length=128, help_text="Such as the name of the case.")
    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))


class HoldMixin(_ModelAdmin):
    """The action "Hold selected calls", and the holds of a call."""

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(SET_HOLDS)

    @admin.action(permissions=["hold"], description="Put selected calls under legal hold")
    def hold_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(ids) > MAX_AT_ONCE:
            text = f"Select at most {MAX_AT_ONCE} calls to hold at once."
            self.message_user(request, text, messages.ERROR)
            return None
        form = HoldForm(request.POST if request.POST.get("post") else None)
        if not form.is_valid():
            return self._ask(request, form, ids)
        try:
            hold = holds.set_hold(by=actor_of(request), calls=ids, **form.cleaned_data)
        except holds.UnknownCalls as error:
            self.message_user(request, f"{error} Nothing is held.", messages.ERROR)
            return None
        text = f"Hold “{hold.name}” set on {len(ids)} call{'' if len(ids) == 1 else 's'}."
        self.message_user(request, text, messages.SUCCESS)
        return None

    def _ask(self, request: HttpRequest, form: forms.Form, ids: list[Any]) -> HttpResponse:
        text = f"Selected calls: {len(ids)}. Nothing deletes them until the hold is lifted."
        words = {"title": "Put calls under legal hold?", "text": text, "button": "Set the hold"}
        return ask(self, request, form, ids, action="hold_selected", **words)

    @admin.display(description="Legal holds")
    def held_by(self, call: Call) -> str:
        return ", ".join(hold.name for hold in holds.holds_on(call)) or "None"
