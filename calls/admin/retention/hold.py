"""Legal holds in the admin: nobody changes or deletes one; setting and lifting are rights apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from calls.admin import display
from calls.admin.filters import SpanFilter
from calls.admin.records import RecordAdmin
from calls.admin.retention.asking import ask
from calls.admin.search import TermSearch
from calls.audit.actors import actor_of
from calls.identity import RAW_ID_MAX_LENGTH
from calls.models import LegalHold
from calls.permissions import LIFT_HOLDS, SET_HOLDS
from calls.storage import holds

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[LegalHold]
else:
    _ModelForm = forms.ModelForm


MAX_AT_ONCE = 200
"""Most holds that are lifted at once: each is a transaction with an entry in the audit."""


class NumberHoldForm(_ModelForm):
    """A hold by number; one by call is set in the list of calls."""

    number = forms.CharField(
        max_length=RAW_ID_MAX_LENGTH,
        help_text="Phone number in international form, or raw id: all its calls are held, also "
        "future ones.",
    )

    def clean_number(self) -> str:
        try:
            return holds.raw_id_of(self.cleaned_data["number"])
        except holds.UnusableNumber as error:
            raise forms.ValidationError(str(error)) from None


class LiftForm(forms.Form):
    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))


@admin.register(LegalHold)
class LegalHoldAdmin(RecordAdmin):
    search = TermSearch(ids=("pk",), whole=("name", "number"))
    search_fields = search.whole
    search_help_text = "Whole name or raw id, or the id of a hold"
    ordering = ("-set_at", "-id")  # index hold_newest_first
    list_display = ("name", "state", "number", "set_by", "set_shown")
    list_filter = (("set_at", SpanFilter),)
    actions = ("lift_selected",)
    fields = (
        *("name", "reason", "number", "held", "set_by", "set_shown"),
        *("state", "lifted_by", "lifted_shown", "lift_reason", "id"),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(SET_HOLDS)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(LIFT_HOLDS)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ("name", "reason", "number")

    def get_form(self, request: HttpRequest, obj: Any = None, *args: Any, **options: Any) -> Any:
        if obj is None:
            options["form"] = NumberHoldForm
        return super().get_form(request, obj, *args, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        values = {name: form.cleaned_data[name] for name in ("name", "reason", "number")}
        hold = holds.set_hold(by=actor_of(request), **values)
        for field in hold._meta.fields:
            setattr(obj, field.attname, getattr(hold, field.attname))

    @admin.action(permissions=["lift"], description="Lift selected holds")
    def lift_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        in_force = queryset.filter(lifted_at=None).values_list("pk", flat=True)
        ids = list(in_force[: MAX_AT_ONCE + 1])
        if len(ids) > MAX_AT_ONCE:
            text = f"Select at most {MAX_AT_ONCE} holds in force to lift at once."
            self.message_user(request, text, messages.ERROR)
            return None
        form = LiftForm(request.POST if request.POST.get("post") else None)
        if not form.is_valid():
            return self._ask(request, form, ids)
        by, reason = actor_of(request), form.cleaned_data["reason"]
        lifted = sum(holds.lift_hold(pk, reason=reason, by=by) for pk in ids)
        self.message_user(request, f"Holds lifted: {lifted}.", messages.SUCCESS)
        return None

    def _ask(self, request: HttpRequest, form: forms.Form, ids: list[Any]) -> HttpResponse:
        text = (
            f"Holds in force among the selected: {len(ids)}. "
            "Calls that no other hold covers can then be deleted."
        )
        words = {"title": "Lift legal holds?", "text": text, "button": "Lift the holds"}
        return ask(self, request, form, ids, action="lift_selected", **words)

    @admin.display(description="State")
    def state(self, hold: LegalHold) -> str:
        return "Lifted" if hold.lifted_at else "In force"

    @admin.display(description="Calls selected")
    def held(self, hold: LegalHold) -> int:
        return hold.held_calls.count()

    @admin.display(description="Set at", ordering="set_at")
    def set_shown(self, hold: LegalHold) -> str:
        return display.moment(hold.set_at)

    @admin.display(description="Lifted at")
    def lifted_shown(self, hold: LegalHold) -> str:
        return display.moment(hold.lifted_at)
