"""First paint of the dashboard, login and logout. Live behaviour is tested in tests/browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, SimpleTestCase, TestCase
from django.urls import reverse

from calls import identity
from calls.live.stored import stored_live_calls
from calls.models import Call, Participant, Subscription
from calls.templatetags.live import clock_since
from calls.wording import ALARMS
from tests.people import person

PASSWORD = "correct horse battery staple"
HOSTILE = '<img src=x onerror="alert(1)">' + "x" * 400


def a_live_call(connection_id: str, *raw_ids: str) -> Call:
    now = datetime.now(UTC)
    call_id = identity.call_id_of(connection_id, uuid4())
    call = Call.objects.create(id=call_id, call_connection_id=connection_id, started_at=now)
    Subscription.objects.create(
        id=uuid4(), call=call, stream_id=uuid4(), connected_at=now, seen_at=now
    )
    for raw_id in raw_ids:
        participant_id = identity.participant_id_of(call_id, raw_id)
        Participant.objects.create(
            id=participant_id, call=call, raw_id=raw_id, kind=identity.kind_of(raw_id)
        )
    return call


class PagesTestCase(TestCase):
    def setUp(self) -> None:
        self.user = person("operator", password=PASSWORD)


class Dashboard(PagesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.user)

    def page(self) -> str:
        response = self.client.get("/")
        self.assertEqual(response.status_code, 200)
        return response.content.decode()

    def test_it_requires_a_login(self) -> None:
        self.assertRedirects(Client().get("/"), "/login/?next=/")

    def test_first_paint_shows_the_stored_live_calls(self) -> None:
        a_live_call("connection-of-ada", "4:+15551234567", "8:acs:7f3b_c2d81a")
        page = self.page()
        for text in (
            " ↔ ",
            "…n-of-ada",
            "ACS user …c2d81a",
            '<strong id="participant-count">2</strong>',
        ):
            self.assertIn(text, page)
        self.assertNotIn("data-empty", page)

    def test_without_calls_it_is_marked_empty(self) -> None:
        self.assertIn("data-empty", self.page())
        self.assertIn("No live calls", self.page())

    def test_a_hostile_raw_id_is_escaped(self) -> None:
        a_live_call(HOSTILE[:256], HOSTILE)
        page = self.page()
        self.assertNotIn("<img", page)
        self.assertIn("&lt;img src=x", page)

    def test_the_template_of_later_rows_has_the_same_parts(self) -> None:
        """Both come from the same include."""
        a_live_call("connection", "4:+15551234567")
        page, template = self.page().split('<template id="call-template">')
        shown = page.partition('<div id="calls"')[2].partition("<listen-in")[0]
        template = template.partition('<template id="alarm-template">')[0]
        parts = re.compile(r'data-part="([\w-]+)"')
        self.assertEqual(set(parts.findall(shown)), set(parts.findall(template)))
        self.assertIn("duration", parts.findall(shown))

    def test_first_paint_has_no_alarms_but_their_texts(self) -> None:
        page = self.page()
        self.assertRegex(page, r'<section id="alarms"[^>]* hidden>')
        self.assertIn(ALARMS["not_written"], page)

    def test_it_complies_with_the_strict_csp(self) -> None:
        a_live_call("connection", "4:+15551234567")
        response = self.client.get("/")
        self.assertIn("script-src 'self'", response["Content-Security-Policy"])
        page = response.content.decode()
        self.assertNotRegex(page, r"\sstyle=|\son\w+=\"|<style|javascript:")
        self.assertNotRegex(page, r'<script(?![^>]*(src="/|type="application/json"))')

    def test_it_is_never_cached(self) -> None:
        self.assertIn("no-store", self.client.get("/")["Cache-Control"])

    def test_only_staff_see_the_link_to_the_admin(self) -> None:
        self.assertNotIn(f'href="{reverse("admin:index")}"', self.page())
        User.objects.update(is_staff=True)
        self.assertIn(f'href="{reverse("admin:index")}"', self.page())

    def test_the_number_of_queries_is_constant(self) -> None:
        a_live_call("connection-0", "4:+15551234567")
        with self.assertNumQueries(
            7
        ):  # session, user, its permissions (2), calls, participants, subscriptions
            self.page()
        for number in range(1, 8):
            a_live_call(f"connection-{number}", "4:+15551234567", "8:acs:7f3b_c2d81a")
        with self.assertNumQueries(7):
            self.page()


class Clock(SimpleTestCase):
    def test_first_paint_shows_durations_as_the_browser_does(self) -> None:
        for seconds, text in (
            (0, "0:00"),
            (7.9, "0:07"),
            (245, "4:05"),
            (3729, "1:02:09"),
            (-5, "0:00"),
        ):
            now = datetime.fromtimestamp(1_000_000 + seconds, UTC).isoformat()
            self.assertEqual(clock_since(now, "1970-01-12T13:46:40Z"), text)


class StoredCalls(TestCase):
    def test_live_calls_are_as_in_rest_newest_first(self) -> None:
        first, second = a_live_call("one", "4:+15551234567"), a_live_call("two")
        calls = stored_live_calls(datetime.now(UTC))
        self.assertEqual([call["id"] for call in calls], [str(second.id), str(first.id)])
        self.assertEqual((calls[1]["state"], calls[1]["ended_at"]), ("live", None))
        self.assertEqual(calls[1]["participants"][0]["raw_id"], "4:+15551234567")
        self.assertIsInstance(calls[1]["participants"][0]["id"], str)

    def test_an_ended_call_is_not_among_them(self) -> None:
        call = a_live_call("one")
        long_ago = datetime(2026, 1, 1, tzinfo=UTC)
        call.subscriptions.update(
            connected_at=long_ago, seen_at=long_ago, disconnected_at=long_ago, close_code=1000
        )
        self.assertEqual(stored_live_calls(datetime.now(UTC)), [])


class LoginAndLogout(PagesTestCase):
    def log_in(self, password: str, following: str = "") -> HttpResponse:
        answers = {"username": "operator", "password": password, "next": following}
        return cast("HttpResponse", self.client.post("/login/", answers))

    def test_a_login_redirects_to_the_dashboard(self) -> None:
        self.assertRedirects(self.log_in(PASSWORD), "/")

    def test_a_login_redirects_to_the_requested_page(self) -> None:
        response = self.client.post(
            "/login/?next=/admin/", {"username": "operator", "password": PASSWORD}
        )
        self.assertRedirects(response, "/admin/", fetch_redirect_response=False)

    def test_a_login_never_redirects_to_another_site(self) -> None:
        self.assertRedirects(self.log_in(PASSWORD, "https://evil.example.org/"), "/")

    def test_a_wrong_password_and_a_wrong_name_have_one_message(self) -> None:
        response = self.client.post("/login/", {"username": "operator", "password": "wrong"})
        self.assertContains(response, 'role="alert"')
        self.assertContains(response, "correct username and password")

    def test_the_login_page_redirects_a_logged_in_user(self) -> None:
        self.client.force_login(self.user)
        self.assertRedirects(self.client.get("/login/"), "/")

    def test_a_logout_requires_a_post(self) -> None:
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/logout/").status_code, 405)
        self.assertRedirects(self.client.post("/logout/"), "/login/")
        self.assertRedirects(self.client.get("/"), "/login/?next=/")

    def test_a_post_without_a_csrf_token_is_refused(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.user)
        self.assertEqual(strict.post("/logout/").status_code, 403)


class Password(PagesTestCase):
    def test_a_change_requires_the_old_one_and_ends_other_sessions(self) -> None:
        other = Client()
        other.force_login(self.user)
        self.client.force_login(self.user)
        new = "another horse, another battery"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        self.assertContains(self.client.post("/password/", form, follow=True), "Password changed")
        self.assertEqual(other.get("/").status_code, 302)
        self.assertEqual(self.client.get("/").status_code, 200)

    def test_a_wrong_old_one_and_a_weak_new_one_are_both_named(self) -> None:
        self.client.force_login(self.user)
        form = {"old_password": "guess", "new_password1": "12345678", "new_password2": "12345678"}
        page = self.client.post("/password/", form)
        self.assertContains(page, "Your old password was entered incorrectly")
        self.assertContains(page, "This password is too common")

    def test_it_requires_a_login(self) -> None:
        self.assertRedirects(Client().get("/password/"), "/login/?next=/password/")
