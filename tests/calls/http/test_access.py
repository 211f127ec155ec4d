"""The user of a running download: asked again, and refused once anything has been withdrawn."""

from __future__ import annotations

import time
from unittest.mock import patch

from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, RequestFactory, TestCase
from rest_framework.authtoken.models import Token

from calls.export.errors import AccessEnded
from calls.http.access import CHECK_SECONDS, Access, user_of
from calls.permissions import TO_EXPORT, TO_HEAR, Needed
from tests.people import person


class AccessTests(TestCase):
    def setUp(self) -> None:
        self.user = person("engineer", "view_call", "hear_recording")
        self.client = Client()
        self.client.force_login(self.user)
        self.token = Token.objects.create(user=self.user)

    def by_session(self, needed: Needed = TO_HEAR) -> Access:
        return Access(self._request(), needed)

    def by_key(self, needed: Needed = TO_HEAR) -> Access:
        request = self._request()
        request.session = Client().session
        request.auth = self.token  # type: ignore[attr-defined]
        return Access(request, needed)

    def test_a_user_who_still_may_goes_on(self) -> None:
        for access in (self.by_session(), self.by_key()):
            access.check()

    def test_a_user_who_is_disabled_or_lacks_a_permission_is_refused(self) -> None:
        for access in (self.by_session(TO_EXPORT), self.by_key(TO_EXPORT)):
            self.assert_ended(access, "calls.export_recording")
        accesses = (self.by_session(), self.by_key())
        User.objects.update(is_active=False)
        for access in accesses:
            self.assert_ended(access, "calls.view_call")

    def test_a_disabled_superuser_is_refused(self) -> None:
        User.objects.update(is_active=False, is_superuser=True)
        self.assert_ended(self.by_key(), "calls.view_call")

    def test_a_withdrawn_permission_is_noticed_by_the_same_access(self) -> None:
        accesses = (self.by_session(), self.by_key())
        for access in accesses:
            access.check()
        self.user.user_permissions.clear()
        for access in accesses:
            self.assert_ended(access, "calls.view_call")

    def test_a_deleted_key_ends_only_what_it_began(self) -> None:
        session, key = self.by_session(), self.by_key()
        self.token.delete()
        session.check()
        self.assert_ended(key, "calls.view_call")

    def test_a_logout_or_a_new_password_ends_the_session(self) -> None:
        for end in (self.client.logout, self._change_password):
            self.client.force_login(self.user)
            access = self.by_session()
            access.check()
            end()
            self.assert_ended(access, "calls.view_call")

    def test_while_the_database_is_unreachable_it_goes_on(self) -> None:
        access = self.by_key()
        with (
            patch.object(Token.objects, "select_related", side_effect=OperationalError("gone")),
            self.assertLogs("calls.http.access", "WARNING") as logs,
        ):
            access.check()
        self.assertIn("download not checked", logs.output[0])

    def test_it_is_due_once_every_few_seconds(self) -> None:
        access = self.by_key()
        self.assertFalse(access.is_due)
        later = time.monotonic() + CHECK_SECONDS
        with patch("calls.http.access.time.monotonic", return_value=later):
            self.assertTrue(access.is_due)
            access.check()
            self.assertFalse(access.is_due)

    def test_a_session_that_does_not_exist_is_nobody(self) -> None:
        self.assertIsInstance(user_of(""), AnonymousUser)
        self.assertIsInstance(user_of("unknown"), AnonymousUser)

    def assert_ended(self, access: Access, permission: str) -> None:
        with self.assertLogs("calls.http.access", "INFO") as logs, self.assertRaises(AccessEnded):
            access.check()
        self.assertIn(permission, logs.output[0])

    def _change_password(self) -> None:
        self.user.set_password("another")
        self.user.save()

    def _request(self) -> HttpRequest:
        request = RequestFactory().get("/")
        request.user = self.user
        request.session = self.client.session
        return request
