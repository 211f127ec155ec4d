"""Active alarms for the dashboard, and its actions on one: acknowledge, snooze, release. JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse, QueryDict
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from calls.models import RaisedAlarm
from calls.notifications import care
from calls.pages.decorators import View, page, permitted
from calls.permissions import TO_HANDLE_ALARMS, TO_SEE

MAX_SNOOZE_MINUTES = 7 * 24 * 60

Action = Callable[[RaisedAlarm, User, QueryDict], RaisedAlarm]
"""Gets the alarm, the user, and the fields of the request; raises `forms.ValidationError`."""


class SnoozeForm(forms.Form):
    minutes = forms.IntegerField(min_value=1, max_value=MAX_SNOOZE_MINUTES)


def _action(action: Action) -> View:
    """Makes a view of an action: POST with a CSRF token, for permitted users."""

    @never_cache
    @require_POST
    @permitted(TO_HANDLE_ALARMS)
    def view(request: HttpRequest, pk: UUID) -> JsonResponse:
        user = request.user
        assert isinstance(user, User), "a login is required"
        alarm = RaisedAlarm.objects.filter(pk=pk).first()
        if alarm is None:
            return JsonResponse({"detail": "There is no alarm with this id."}, status=404)
        try:
            return JsonResponse(care.state_of(action(alarm, user, request.POST)))
        except forms.ValidationError as error:
            return JsonResponse(error.message_dict, status=400)
        except care.AlreadyCleared:
            return JsonResponse({"detail": "The alarm has been cleared."}, status=409)

    return view


def _snooze(alarm: RaisedAlarm, user: User, fields: QueryDict) -> RaisedAlarm:
    form = SnoozeForm(fields)
    if not form.is_valid():
        raise forms.ValidationError(form.errors)
    until = timezone.now() + timedelta(minutes=form.cleaned_data["minutes"])
    return care.snooze(alarm, user, until)


@page(TO_SEE)
def active_alarms(_request: HttpRequest) -> JsonResponse:
    """Returns who looks after the active alarms. Dashboards ask for it while there are any."""
    return JsonResponse({"alarms": care.active()})


acknowledge = _action(lambda alarm, user, _fields: care.acknowledge(alarm, user))
snooze = _action(_snooze)
release = _action(lambda alarm, user, _fields: care.release(alarm, user))
