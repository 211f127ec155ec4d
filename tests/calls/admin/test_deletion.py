"""Deletion in the admin: confirmed, with audio, never while live, and with permission only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.utils import timezone
from django.utils.html import strip_tags

from calls.admin.call_deletion import MAX_AT_ONCE, REFUSAL
from calls.models import Call, DiscardedAudio, Segment
from calls.storage import audio_store, deletion
from tests.calls.admin.pages import AdminPageTestCase, Elements, Response, list_path, page_path
from tests.calls.admin.recordings import ALICE, BOB, Recording, Spoken


def live_call() -> Call:
    now = timezone.now()
    return Recording(started=now - timedelta(minutes=1), open_at=now).write()


def objects_of(call: Call) -> list[str]:
    return list(Segment.objects.filter(participant__call=call).values_list("audio_name", flat=True))


class Deleting(AdminPageTestCase):
    def ask(self, call: Call) -> Response:
        return self.client.get(page_path("call", call.pk, "delete"))

    def confirm(self, call: Call) -> Response:
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(page_path("call", call.pk, "delete"), {"post": "yes"})

    def ask_all(self, *ids: UUID) -> Response:
        return self.client.post(
            list_path("call"), {"action": "delete_selected", "_selected_action": ids}
        )

    def confirm_all(self, *ids: UUID) -> Response:
        form = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(list_path("call"), form)

    def messages(self, response: Response) -> str:
        return " ".join(str(message) for message in get_messages(response.wsgi_request))


class OneCallTests(Deleting):
    def test_the_confirmation_shows_the_amount_of_data(self) -> None:
        call = Recording(
            tracks=(Spoken(ALICE, segments=70, gaps=2), Spoken(BOB, segments=1))
        ).write()
        size = sum(audio_store().size(name) for name in objects_of(call))
        response = self.ask(call)
        self.assertContains(response, "and its audio")
        for fact in (
            "71 segments:",
            "1:11 of audio over all tracks",
            f"({size} bytes)",
            "2 participants",
            "and 2 events",
        ):
            self.assertContains(response, fact)

    def test_people_and_times_are_named_instead_of_ids(self) -> None:
        call = Recording(connection_id="aHR0cHM", tracks=(Spoken(ALICE), Spoken(BOB))).write()
        start = f"{call.started_at:%Y-%m-%d %H:%M:%S} UTC"
        for response in (self.ask(call), self.ask_all(call.pk)):
            text = strip_tags(response.content.decode()).partition("Delete the ")[2]
            self.assertIn("+4930555010, ACS user …", text)
            self.assertIn(start, text)
            self.assertNotIn("aHR0cHM", text)
        self.assertIn("+4930555010, ACS user …", strip_tags(self.messages(self.confirm(call))))

    def test_the_confirmation_page_deletes_nothing(self) -> None:
        call = Recording().write()
        self.ask(call)
        self.assertTrue(Call.objects.filter(pk=call.pk).exists())

    def test_a_confirmed_deletion_removes_the_call_and_its_audio(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=3),)).write()
        names = objects_of(call)

        self.assertRedirects(self.confirm(call), list_path("call"))

        self.assertFalse(Call.objects.exists())
        self.assertFalse(Segment.objects.exists())
        self.assertFalse(any(audio_store().exists(name) for name in names))
        self.assertFalse(DiscardedAudio.objects.exists())

    def test_the_deletion_is_logged_with_the_user(self) -> None:
        call = Recording(connection_id="the-one").write()
        self.confirm(call)
        entry = LogEntry.objects.get()
        self.assertEqual((entry.user.username, entry.object_repr), ("operator", "the-one"))

    def test_the_confirmation_has_no_query_per_segment(self) -> None:
        call = Recording(tracks=(Spoken(ALICE, segments=50),)).write()
        with self.assertNumQueries(
            10
        ):  # session, user, call, its participants, live, holds, and four counts
            self.ask(call)

    def test_a_live_call_is_refused_with_the_reason(self) -> None:
        call = live_call()
        response = self.ask(call)
        self.assertContains(response, REFUSAL)
        self.assertNotIn("post", Elements(response).values("input", "name"))
        self.confirm(call)
        self.assertTrue(Call.objects.filter(pk=call.pk).exists())
        self.assertFalse(LogEntry.objects.exists())

    def test_a_call_that_is_live_again_after_the_confirmation_is_refused(self) -> None:
        call = live_call()
        with patch.object(deletion, "live_among", side_effect=[[], [call]]):
            response = self.confirm(call)
        self.assertRedirects(response, page_path("call", call.pk))
        self.assertIn(REFUSAL, self.messages(response))
        self.assertTrue(Call.objects.filter(pk=call.pk).exists())
        self.assertFalse(
            LogEntry.objects.exists(), "the record of the deletion was rolled back with it"
        )


class SeveralCallsTests(Deleting):
    def test_the_confirmation_shows_totals(self) -> None:
        first = Recording(connection_id="first", tracks=(Spoken(ALICE, segments=2),)).write()
        second = Recording(connection_id="second", tracks=(Spoken(ALICE, segments=3),)).write()
        response = self.ask_all(first.pk, second.pk)
        for fact in (
            "and their audio",
            "2 calls",
            "5 segments:",
            "5.0 s of audio",
            "first",
            "second",
        ):
            self.assertContains(response, fact)
        self.assertEqual(Call.objects.count(), 2)

    def test_a_confirmed_deletion_removes_only_the_selected(self) -> None:
        kept = Recording().write()
        selected = [Recording().write() for _ in range(3)]
        names = [name for call in selected for name in objects_of(call)]

        response = self.confirm_all(*(call.pk for call in selected))

        self.assertIn("Deleted 3 calls and their audio.", self.messages(response))
        self.assertEqual(Call.objects.get(), kept)
        self.assertFalse(any(audio_store().exists(name) for name in names))
        self.assertTrue(all(audio_store().exists(name) for name in objects_of(kept)))
        self.assertEqual(LogEntry.objects.count(), 3)

    def test_the_confirmation_posts_the_listed_calls(self) -> None:
        selected = {Recording().write().pk for _ in range(3)}
        fields = Elements(self.ask_all(*selected)).found
        asked = {
            attrs["value"] for _tag, attrs in fields if attrs.get("name") == "_selected_action"
        }
        self.assertEqual(asked, {str(pk) for pk in selected})

    def test_live_calls_are_named_and_kept(self) -> None:
        ended, live = Recording().write(), live_call()
        response = self.ask_all(ended.pk, live.pk)
        self.assertContains(response, REFUSAL)
        self.assertContains(response, str(live))

        response = self.confirm_all(ended.pk, live.pk)
        self.assertEqual(Call.objects.get(), live)
        self.assertIn(REFUSAL, self.messages(response))
        self.assertIn("Deleted 1 call and its audio.", self.messages(response))

    def test_only_live_calls_leave_nothing_to_confirm(self) -> None:
        response = self.ask_all(live_call().pk)
        self.assertNotIn("post", Elements(response).values("input", "name"))

    def test_too_many_calls_are_refused(self) -> None:
        Call.objects.bulk_create(
            Recording(connection_id=str(number)).unsaved() for number in range(MAX_AT_ONCE + 1)
        )
        form = {
            "action": "delete_selected",
            "_selected_action": [Call.objects.all()[0].pk],
            "select_across": "1",
        }
        for confirmed in ({}, {"post": "yes"}):
            response = self.client.post(list_path("call"), {**form, **confirmed})
            self.assertIn(f"at most {MAX_AT_ONCE}", self.messages(response))
        self.assertEqual(Call.objects.count(), MAX_AT_ONCE + 1)


class PermissionTests(Deleting):
    def setUp(self) -> None:
        super().setUp()
        self.call = Recording().write()
        self.sign_in_viewer()

    def test_a_viewer_is_offered_no_deletion(self) -> None:
        page: Any = self.get_page("call", self.call.pk)
        self.assertNotContains(page, page_path("call", self.call.pk, "delete"))
        self.assertNotContains(self.get_list("call"), "delete_selected")

    def test_a_viewer_cannot_delete_one(self) -> None:
        self.assertEqual(self.ask(self.call).status_code, 403)
        self.assertEqual(self.confirm(self.call).status_code, 403)
        self.assertTrue(Call.objects.exists())

    def test_a_viewer_cannot_delete_several(self) -> None:
        self.confirm_all(self.call.pk)
        self.assertTrue(Call.objects.exists())
        self.assertTrue(all(audio_store().exists(name) for name in objects_of(self.call)))
