"""Webhook endpoints: the server makes the secret, and shows it once, as it does with tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_POST

from calls.admin import display
from calls.admin.notifications.records import attempt_text
from calls.admin.records import _ModelAdmin, link_to_list
from calls.models import DeliveryAttempt, EventType, WebhookDelivery, WebhookEndpoint
from calls.notifications.webhooks import delivery, http_post, signing
from calls.notifications.webhooks.http_post import AddressRefused

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[WebhookEndpoint]
else:
    _ModelForm = forms.ModelForm

ANSWER_SHOWN = 300
"""Characters of the answer to a test that are shown."""

ATTEMPTS_SHOWN = 10
CHOICES = [one for one in EventType.choices if one[0] != EventType.TEST.value]


class EndpointForm(_ModelForm):
    event_types = forms.MultipleChoiceField(
        choices=CHOICES,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label="Events",
        help_text="None selected: all, also those of later versions.",
    )
    new_secret = forms.BooleanField(
        required=False,
        label="Make a new secret",
        help_text="Requests have two signatures, of the new and of the former secret.",
    )
    remove_previous = forms.BooleanField(
        required=False,
        label="Remove the former secret",
        help_text="When the receiver knows the new one.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["url", "description", "is_enabled", "event_types"]

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            http_post.check_url(url)
        except AddressRefused as error:
            raise forms.ValidationError(str(error)) from error
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_ModelAdmin):
    form = EndpointForm
    list_display = ("__str__", "url", "state", "waiting")
    readonly_fields = ("state", "waiting", "attempts", "created_at")
    change_form_template = "admin/calls/webhookendpoint/change_form.html"
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allows none: `?secret__startswith=` would tell the secret, one character after the
        other.
        """
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ("url", "description", "is_enabled", "event_types")
        if obj is None:
            return ((None, {"fields": fields}),)
        state = ("state", "waiting", "attempts", "created_at")
        shown: tuple[Any, ...] = ((None, {"fields": fields}), ("Deliveries", {"fields": state}))
        if self.has_change_permission(request, obj):
            secrets = ("new_secret", "remove_previous") if obj.previous_secret else ("new_secret",)
            shown += (("Secret", {"fields": secrets}),)
        return shown

    def get_urls(self) -> list[Any]:
        name = "calls_webhookendpoint_test"
        test = self.admin_site.admin_view(require_POST(self.send_test))
        return [path("<int:pk>/test/", test, name=name), *super().get_urls()]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Lists the endpoints only: their deliveries, perhaps thousands, are deleted with them."""
        endpoints = list(objs)
        deliveries = WebhookDelivery.objects.filter(endpoint__in=endpoints).count()
        counts = {"webhook endpoints": len(endpoints), "webhook deliveries": deliveries}
        return [str(one) for one in endpoints], counts, set(), []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Writes the columns that the user has changed, and no others: a delivery may change the
        state of the endpoint at the same time.
        """
        wanted = form.cleaned_data
        columns = {name for name in form.changed_data if name in EndpointForm.Meta.fields}
        makes_secret = not obj.secret or wanted["new_secret"]
        if wanted["remove_previous"]:
            obj.previous_secret = ""
            columns.add("previous_secret")
        if makes_secret:
            obj.previous_secret, obj.secret = obj.secret, signing.new_secret()
            columns |= {"previous_secret", "secret"}
        if obj.is_enabled and "is_enabled" in form.changed_data:
            columns |= delivery.enable(obj)
        elif "url" in form.changed_data:
            columns |= delivery.end_pause(obj)
        obj.save(update_fields=columns if change else None)
        if makes_secret:
            text = f"The secret is {obj.secret} - copy it now: it is not shown again."
            self.message_user(request, text, messages.WARNING)

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sends a test at once, and shows the answer."""
        endpoint = get_object_or_404(WebhookEndpoint, pk=pk)
        if not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        attempt = delivery.send_test(endpoint)
        if attempt.answer is None:
            text = f"The test was not answered. {attempt.error}"
        else:
            body = attempt.answer.body.decode(errors="replace")[:ANSWER_SHOWN]
            text = f"The test was answered {attempt.status} after {attempt.seconds:.1f} s. {body}"
        level = messages.SUCCESS if attempt.is_delivered else messages.ERROR
        self.message_user(request, text.strip(), level)
        return redirect("admin:calls_webhookendpoint_change", pk)

    @admin.display(description="State")
    def state(self, endpoint: WebhookEndpoint) -> str:
        if not endpoint.is_enabled:
            return f"Disabled. {endpoint.disabled_reason}".strip()
        if not endpoint.failing_since:
            return "Enabled"
        if not endpoint.failures:
            since = display.moment(endpoint.failing_since)
            return display.sentence("Answers, but has accepted no event since {}", since)
        paused = endpoint.paused_until and endpoint.paused_until > timezone.now()
        tried = display.moment(endpoint.paused_until) if paused else "soon"
        since = display.moment(endpoint.failing_since)
        return display.sentence(
            "Fails since {}, {} attempts; tried again: {}", since, endpoint.failures, tried
        )

    @admin.display(description="Waiting deliveries")
    def waiting(self, endpoint: WebhookEndpoint) -> str:
        rows = WebhookDelivery.objects.filter(endpoint=endpoint, status="waiting")
        return link_to_list(
            WebhookDelivery, rows.count(), endpoint__id__exact=endpoint.pk, status__exact="waiting"
        )

    @admin.display(description="Last attempts")
    def attempts(self, endpoint: WebhookEndpoint) -> str:
        last = DeliveryAttempt.objects.filter(delivery__endpoint=endpoint).order_by("-id")
        return display.lines(
            (display.moment(one.started_at), f"{one.delivery.event.type}: {attempt_text(one)}")
            for one in last.select_related("delivery__event")[:ATTEMPTS_SHOWN]
        )
