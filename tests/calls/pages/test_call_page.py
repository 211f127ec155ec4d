"""The page of a call, and its timeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone

from calls.models import Call, LedgerEntry
from calls.pages import timeline as timeline_view
from calls.pages.timeline import merged
from calls.wording import event_text
from tests.calls.rows import (
    ALICE,
    START,
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    tone,
)
from tests.people import person


def a_user(*permissions: str) -> User:
    return person(f"user-{uuid4()}", *permissions or ("nothing",))


class CallPageTestCase(TestCase):
    permissions: tuple[str, ...] = ("view_call", "hear_recording", "export_recording")

    def setUp(self) -> None:
        self.client.force_login(a_user(*self.permissions))

    def page(self, call: Call, query: str = "") -> str:
        response = self.client.get(reverse("call", args=[call.pk]) + query)
        self.assertEqual(response.status_code, 200)
        return response.content.decode()

    def timeline(self, call: Call) -> dict[str, Any]:
        response = self.client.get(reverse("call-timeline", args=[call.pk]))
        self.assertEqual(response.status_code, 200)
        timeline: dict[str, Any] = response.json()
        return timeline


class Access(CallPageTestCase):
    permissions = ()

    def test_it_requires_a_login(self) -> None:
        call = make_call()
        for name in ("call", "call-timeline"):
            address = reverse(name, args=[call.pk])
            self.assertRedirects(Client().get(address), f"/login/?next={address}")

    def test_it_requires_the_permission_to_view_calls(self) -> None:
        call = make_call()
        for name in ("call", "call-timeline"):
            self.assertEqual(self.client.get(reverse(name, args=[call.pk])).status_code, 403)

    def test_a_viewer_is_informed_and_offered_no_download(self) -> None:
        self.client.force_login(a_user("view_call"))
        page = self.page(make_conversation()[0])
        self.assertIn('data-may-hear="false"', page)
        self.assertIn('data-may-export="false"', page)
        self.assertNotIn("download=true", page)
        self.assertIn("group Listeners", page)
        self.assertIn("group Exporters", page)

    def test_audio_of_a_live_call_is_offered_to_those_who_may_listen(self) -> None:
        ended, live, now = make_conversation()[0], make_conversation()[0], timezone.now()
        make_subscription(live, connected_at=now, seen_at=now, disconnected_at=None)
        export = ("view_call", "hear_recording", "export_recording")
        for permissions, call, lacking, may_export, may_listen in (
            (export, ended, "", True, False),
            (export, live, "calls.listen_live", False, False),
            ((*export, "listen_live"), ended, "", True, False),
            ((*export, "listen_live"), live, "", True, True),
            (("view_call", "listen_live"), live, "calls.hear_recording", False, True),
        ):
            with self.subTest(permissions=permissions, live=call is live):
                self.client.force_login(a_user(*permissions))
                context = self.client.get(reverse("call", args=[call.pk])).context
                self.assertEqual(
                    (context["why_not_heard"], context["may_export"], context["may_listen"]),
                    (lacking, may_export, may_listen),
                )

    def test_an_unknown_call_is_404(self) -> None:
        self.client.force_login(a_user("view_call"))
        for name in ("call", "call-timeline"):
            self.assertEqual(self.client.get(reverse(name, args=[uuid4()])).status_code, 404)
        unknown = self.client.get("/nothing/here/")
        self.assertContains(unknown, "There is no page at this address", status_code=404)
        self.assertNotContains(unknown, "Resolver404", status_code=404)


class Details(CallPageTestCase):
    def test_it_lists_participants_and_their_audio(self) -> None:
        call, _alice, _bob = make_conversation()
        page = self.page(call)
        for text in (
            "+15551234567",
            "ACS user …00a1b2",
            "0:03 long",
            "0:02 recorded",
            "2 segments",
            call.call_connection_id,
        ):
            self.assertIn(text, page)

    def test_it_offers_every_layout_in_every_format(self) -> None:
        call, alice, bob = make_conversation()
        page = self.page(call)
        for selection in (
            "layout=mix",
            "layout=tracks",
            f"participant={alice.pk}",
            f"participant={bob.pk}",
        ):
            for name in ("wav", "flac", "mp3", "opus"):
                self.assertIn(f"{selection}&amp;format={name}&amp;download=true", page)

    def test_each_event_has_a_text_and_a_link_to_its_moment(self) -> None:
        call, alice, _bob = make_conversation()
        make_gap(alice, at=2.0, seconds=0.5)
        LedgerEntry.objects.create(
            call=call, kind="dtmf", started_at=START + timedelta(seconds=1.25), detail={"tone": "5"}
        )
        page = self.page(call)
        self.assertIn("Audio missing: not received", page)
        self.assertIn('href="#t=2.000"', page)
        self.assertIn("DTMF 5 (keypad)", page)
        self.assertIn('href="#t=1.250"', page)

    def test_active_alarms_are_on_top_while_the_call_is_live(self) -> None:
        call, alice, _bob = make_conversation()
        now = timezone.now()
        socket = make_subscription(
            call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        alarm = {"call": call, "kind": "alarm", "participant": alice, "started_at": START}
        LedgerEntry.objects.create(reason="clipping", **alarm)
        LedgerEntry.objects.create(reason="too_low", ended_at=START, **alarm)
        for query in ("", "?part=facts"):
            top = self.page(call, query).partition("call-sum")[0]
            self.assertIn("Too loud: clipping", top)
            self.assertNotIn("Too quiet", top)
        socket.disconnected_at, socket.close_code = now - timedelta(hours=1), 1000
        socket.connected_at = socket.seen_at = socket.disconnected_at
        socket.save()
        self.assertNotIn("Too loud", self.page(call).partition("call-sum")[0])

    def test_many_events_are_shown_on_demand(self) -> None:
        call, _alice, _bob = make_conversation()
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                call=call,
                kind="dtmf",
                started_at=START + timedelta(seconds=n),
                detail={"tone": "1"},
            )
            for n in range(150)
        )
        self.assertEqual(self.page(call).count("DTMF 1 (keypad)"), 100)
        self.assertIn("?ledger=all", self.page(call))
        self.assertEqual(self.page(call, "?ledger=all").count("DTMF 1 (keypad)"), 150)

    def test_a_thousand_gaps_are_a_line_for_each_track(self) -> None:
        call, alice, bob = make_conversation()
        for number in range(516):
            make_gap(alice, at=10 + number, seconds=0.07)
            make_gap(bob, at=10.5 + number, seconds=0.07)
        page = self.page(call)
        self.assertEqual(page.count("516 gaps of about 0.07 s: not received"), 2)
        self.assertIn("0:36 in all", page)
        self.assertEqual(page.count('class="folded"'), 2)
        self.assertIn('href="#t=525.500"', page)
        self.assertNotIn("Show more", page)

    def test_the_length_is_not_called_recorded_where_audio_is_missing(self) -> None:
        call, alice, bob = make_conversation()
        for who in (alice, bob):
            make_gap(who, at=3.0, seconds=160.0)
            make_segment(who, at=163.0)
        top = self.page(call, "?part=facts").partition("<section")[0]
        self.assertIn("2:44 long", top)
        self.assertIn("2:40 missing in 2 gaps", " ".join(top.split()))
        self.assertNotIn("recorded", top.partition("call-sum")[2])

    def test_a_lost_connection_is_shown(self) -> None:
        call = make_call()
        make_subscription(call, close_code=None)
        page = self.page(call)
        self.assertIn('data-state="interrupted"', page)
        self.assertIn("connection lost, or the recorder crashed", page)

    def test_a_call_without_audio(self) -> None:
        call = make_call()
        make_subscription(call)
        page = self.page(call)
        self.assertIn("No audio recorded", page)
        self.assertIn("No audio has been recorded.", page)
        self.assertIn("No audio was recorded in this call.", page)

    def test_untrusted_text_is_escaped(self) -> None:
        call = make_call("<script>alert(1)</script>")
        make_participant(call, "<img src=x>")
        page = self.page(call)
        self.assertNotIn("<script>alert", page)
        self.assertNotIn("<img", page)

    def test_the_part_is_contained_in_the_page(self) -> None:
        call, _alice, _bob = make_conversation()
        part = self.page(call, "?part=facts")
        self.assertTrue(part.startswith('<div data-part="facts"'))
        self.assertIn(part.strip(), self.page(call))

    def test_the_number_of_queries_is_constant(self) -> None:
        call, alice, _bob = make_conversation()
        # session, user, permissions of user and groups, call, two lists, ledger, segments,
        # coverage, events of ACS, statements, sockets, number of participants, refusals,
        # whether a number is held, legal holds
        with self.assertNumQueries(17):
            self.page(call)
        for number in range(20):
            make_gap(alice, at=10 + number, seconds=0.5)
            make_segment(make_participant(call, f"4:+1555000{number:04}"), at=10 + number)
        with self.assertNumQueries(17):
            self.page(call)


class Timeline(CallPageTestCase):
    def test_tracks_are_placed_by_their_samples(self) -> None:
        call, alice, bob = make_conversation()
        tracks = {track["participant"]: track for track in self.timeline(call)["tracks"]}
        self.assertEqual(tracks[str(alice.pk)]["recorded"], [[0.0, 2.0]])
        self.assertEqual(tracks[str(bob.pk)]["recorded"], [[1.0, 3.0]])
        self.assertEqual(self.timeline(call)["duration_seconds"], 3.0)

    def test_a_gap_is_between_recorded_spans(self) -> None:
        call = make_call()
        alice = make_participant(call, ALICE)
        make_segment(alice, at=0.0, samples=tone(1.0))
        make_segment(alice, at=1.5, samples=tone(1.0))
        make_gap(alice, at=1.0, seconds=0.5)
        track = self.timeline(call)["tracks"][0]
        self.assertEqual(track["recorded"], [[0.0, 1.0], [1.5, 2.5]])
        gap = {
            "start": 1.0,
            "end": 1.5,
            "reason": "not_received",
            "label": "Audio missing: not received",
        }
        self.assertEqual(track["gaps"], [gap])
        self.assertEqual(self.timeline(call)["marks"], [])

    def test_gaps_are_complete_beyond_the_limit_of_marks(self) -> None:
        call, alice, _bob = make_conversation()
        with mock.patch.object(timeline_view, "MAX_MARKS", 3):
            for second in range(5):
                LedgerEntry.objects.create(
                    call=call, kind="dtmf", started_at=START + timedelta(seconds=second)
                )
            make_gap(alice, at=10.0, seconds=0.5)
            timeline = self.timeline(call)
        self.assertEqual((len(timeline["marks"]), timeline["has_more_marks"]), (3, True))
        self.assertEqual(
            [track["gaps"][0]["start"] for track in timeline["tracks"] if track["gaps"]], [10.0]
        )

    def test_marks_count_from_the_first_sample(self) -> None:
        call, alice, _bob = make_conversation()
        for second in (-2.0, 1.5):
            LedgerEntry.objects.create(
                call=call,
                participant=alice,
                kind="alarm",
                reason="clipping",
                started_at=START + timedelta(seconds=second),
                ended_at=START + timedelta(seconds=second + 4),
            )
        marks = self.timeline(call)["marks"]
        self.assertEqual([(mark["at"], mark["end"]) for mark in marks], [(-2.0, 2.0), (1.5, 5.5)])
        self.assertEqual(marks[0]["participant"], str(alice.pk))
        self.assertEqual(marks[0]["label"], "Too loud: clipping")

    def test_a_call_without_audio_has_empty_tracks(self) -> None:
        call = make_call()
        make_participant(call)
        timeline = self.timeline(call)
        self.assertIsNone(timeline["audio_started_at"])
        self.assertEqual(timeline["duration_seconds"], 0.0)
        self.assertEqual(timeline["tracks"][0]["segments"], 0)

    def test_it_is_never_cached(self) -> None:
        response = self.client.get(reverse("call-timeline", args=[make_call().pk]))
        self.assertIn("no-store", response["Cache-Control"])


class Texts(TestCase):
    def test_every_kind_has_its_own(self) -> None:
        texts = {kind: event_text(kind, "", {}) for kind in LedgerEntry.Kind.values}
        for kind, text in texts.items():
            self.assertNotEqual(text.strip(), kind)
        self.assertEqual(len(set(texts.values())), len(texts))

    def test_unknown_kinds_have_their_name(self) -> None:
        self.assertEqual(event_text("thunder", "near", {}), "thunder near")
        self.assertEqual(event_text("gap", "eaten", {}), "Audio missing: eaten")


class Merging(TestCase):
    def test_adjacent_spans_are_joined(self) -> None:
        self.assertEqual(merged([(0, 1), (1.0004, 2), (2.5, 3)]), [[0, 2], [2.5, 3]])

    def test_a_span_inside_another_does_not_shorten_it(self) -> None:
        self.assertEqual(merged([(0, 5), (1, 2)]), [[0, 5]])
