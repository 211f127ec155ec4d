"""Download of the calls selected in the list as one zip (calls/pages/zip_archive.py)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_POST

from calls.audit.actors import actor_of
from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest
from calls.http.responses import as_file, asynchronous
from calls.http.streaming import Body
from calls.http.zones import viewer_zone
from calls.pages import zip_archive
from calls.pages.decorators import permitted
from calls.permissions import TO_EXPORT
from calls.search import uuid_in

MAX_CALLS = 100
FORMAT_CHOICES = [(name, FORMATS[name].label) for name in ("flac", "wav", "mp3", "opus")]
LAYOUTS = [(Layout.MIX.value, "mix"), (Layout.TRACKS.value, "one channel per participant")]


class CallIds(forms.Field):
    """Ids of calls without repetitions, in the given order."""

    widget = forms.MultipleHiddenInput
    default_error_messages = {
        "required": "Select at least one call.",
        "many": f"Select at most {MAX_CALLS} calls at once.",
        "invalid": "The id of a call must be a UUID.",
    }

    def to_python(self, value: Any) -> list[UUID]:
        given = [uuid_in(text) for text in dict.fromkeys(value or [])]
        ids = [call_id for call_id in given if call_id]
        if len(ids) < len(given):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        if len(ids) > MAX_CALLS:
            raise forms.ValidationError(self.error_messages["many"], code="many")
        return list(dict.fromkeys(ids))


class OptionalChoice(forms.ChoiceField):
    """One of the choices; the first is the default."""

    def __init__(self, choices: list[tuple[str, str]], **options: Any) -> None:
        values = ", ".join(value for value, _label in choices)
        messages = {"invalid_choice": f"Must be one of {values}."}
        super().__init__(choices=choices, required=False, error_messages=messages, **options)
        self.default = choices[0][0]

    def clean(self, value: Any) -> str:
        return str(super().clean(value) or self.default)


class Selection(forms.Form):
    """The selected calls, and the format of their audio."""

    call = CallIds()
    format = OptionalChoice(FORMAT_CHOICES, label="Format")
    layout = OptionalChoice(LAYOUTS, label="Layout")

    def export_request(self) -> ExportRequest:
        """Requires `is_valid()`."""
        options = self.cleaned_data
        return ExportRequest(format=FORMATS[options["format"]], layout=Layout(options["layout"]))


@require_POST
@permitted(TO_EXPORT)
def _call_zip(request: HttpRequest) -> HttpResponseBase:
    form = Selection(request.POST)
    if not form.is_valid():
        return HttpResponse(
            form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8"
        )
    zone = viewer_zone(request).info
    name = f"calls-{timezone.now().astimezone(zone):%Y%m%d-%H%M%S}.zip"
    ids, export = form.cleaned_data["call"], form.export_request()
    pieces = zip_archive.pieces(ids, export, request.user, actor_of(request), zone)
    return as_file(Body(pieces), TO_EXPORT, name, "application/zip")


call_zip = asynchronous(_call_zip)
