"""The calls that are ticked in the list, as one zip (calls/pages/zip_archive.py)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_POST

from calls.export.formats import FORMATS, Layout
from calls.export.plan import ExportRequest
from calls.http.responses import as_file, asynchronous
from calls.http.streaming import Body
from calls.pages import zip_archive
from calls.permissions import EXPORT, HEAR, SEE
from calls.search import uuid_in

MAX_CALLS = 100
NEEDED = [SEE, HEAR, EXPORT]
FORMAT_CHOICES = [("flac", "FLAC"), ("wav", "WAV"), ("mp3", "MP3"), ("opus", "Opus")]
LAYOUTS = [(Layout.MIX.value, "mix"), (Layout.TRACKS.value, "a channel each")]


class CallIds(forms.Field):
    """Our ids, each once, in the order given."""

    widget = forms.MultipleHiddenInput
    default_error_messages = {
        "required": "Tick at least one call.",
        "many": f"At most {MAX_CALLS} calls at once.",
        "invalid": "Not the id of a call: a UUID is.",
    }

    def to_python(self, value: Any) -> list[UUID]:
        given = [uuid_in(text) for text in dict.fromkeys(value or [])]
        ids = [call_id for call_id in given if call_id]
        if len(ids) < len(given):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        if len(ids) > MAX_CALLS:
            raise forms.ValidationError(self.error_messages["many"], code="many")
        return list(dict.fromkeys(ids))


class Choice(forms.ChoiceField):
    """One of a few words; the first of them where nothing is said."""

    def __init__(self, choices: list[tuple[str, str]], **options: Any) -> None:
        words = ", ".join(word for word, _label in choices)
        messages = {"invalid_choice": f"One of {words}."}
        super().__init__(choices=choices, required=False, error_messages=messages, **options)
        self.first = choices[0][0]

    def clean(self, value: Any) -> str:
        return str(super().clean(value) or self.first)


class Selection(forms.Form):
    """Which calls, and as what."""

    call = CallIds()
    format = Choice(FORMAT_CHOICES, label="Format")
    layout = Choice(LAYOUTS, label="Layout")

    def wish(self) -> ExportRequest:
        """Asked of a valid form."""
        chosen = self.cleaned_data
        return ExportRequest(format=FORMATS[chosen["format"]], layout=Layout(chosen["layout"]))


@require_POST
@login_required
@permission_required(NEEDED, raise_exception=True)
def _call_zip(request: HttpRequest) -> HttpResponseBase:
    form = Selection(request.POST)
    if not form.is_valid():
        return HttpResponse(
            form.errors.as_text(), status=400, content_type="text/plain; charset=utf-8"
        )
    name = f"calls-{timezone.now():%Y%m%d-%H%M%S}.zip"
    return as_file(
        Body(zip_archive.pieces(form.cleaned_data["call"], form.wish())), name, "application/zip"
    )


call_zip = asynchronous(_call_zip)
