"""Admin pages for tests: addresses, requests and parsed elements."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission, User
from django.test import TestCase
from django.urls import reverse

Response = Any  # the test client's response; django-stubs gives it no public name

MODELS = ("call", "participant", "subscription", "segment", "ledgerentry")


class AdminPageTestCase(TestCase):
    """Signed in as a superuser, unless a test signs in another user."""

    def setUp(self) -> None:
        self.client.force_login(User.objects.create_superuser("operator"))

    def sign_in_viewer(self) -> None:
        """Signs in a user who may view every record and delete none."""
        viewer = User.objects.create_user("viewer", is_staff=True)
        viewer.user_permissions.set(
            Permission.objects.filter(codename__in=[f"view_{model}" for model in MODELS])
        )
        self.client.force_login(viewer)

    def get_list(self, model: str, **parameters: Any) -> Response:
        return self.client.get(list_path(model), parameters)

    def get_page(self, model: str, pk: UUID) -> Response:
        return self.client.get(page_path(model, pk))

    def listed(self, model: str, **parameters: Any) -> set[UUID]:
        """Returns the ids of the rows in a list."""
        response: Any = self.get_list(model, **parameters)
        self.assertEqual(response.status_code, 200)
        return {row.pk for row in response.context["cl"].result_list}


def list_path(model: str) -> str:
    return reverse(f"admin:calls_{model}_changelist")


def page_path(model: str, pk: UUID, page: str = "change") -> str:
    return reverse(f"admin:calls_{model}_{page}", args=[pk])


class Elements(HTMLParser):
    """Start tags of a page, as (name, attributes)."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, tag: str, attribute: str) -> list[str]:
        return [
            value for name, attrs in self.found if name == tag and (value := attrs.get(attribute))
        ]
