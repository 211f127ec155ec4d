"""Pages of the admin: contents, read-only access, and a constant number of queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calls.admin.pagination import CappedPaginator
from calls.admin.records import RecordInline
from calls.models import Call, LedgerEntry, Participant, Segment, Subscription
from tests.calls.admin.pages import MODELS, AdminPageTestCase, Elements, list_path, page_path
from tests.calls.admin.recordings import ALICE, BOB, STARTED, Recording, Spoken

HOSTILE = '4:+1"><script>alert(1)</script><img src=x onerror=alert(2)>'


def first_of(model: str) -> Any:
    models = (Call, Participant, Subscription, Segment, LedgerEntry)
    return next(each for each in models if each.__name__.lower() == model)._default_manager.first()


class ListTests(AdminPageTestCase):
    def test_a_call_shows_its_facts(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=90, gaps=3), Spoken(BOB, segments=4))).write()
        response = self.get_list("call")
        for fact in (
            "2026-11-03 09:15:00 UTC",
            "Ended",
            "+4930555010",
            "1:30",
            ">94<",
            "3 (1.5 s)",
        ):
            self.assertContains(response, fact)

    def test_a_live_and_an_interrupted_call_are_marked(self) -> None:
        Recording(open_at=timezone.now(), started=timezone.now()).write()
        Recording(close_code=1006).write()
        response = self.get_list("call")
        self.assertContains(response, "calls-state-live")
        self.assertContains(response, "calls-state-interrupted")

    def test_many_participants_are_counted_not_listed(self) -> None:
        Recording(tracks=tuple(Spoken(f"4:+4930{number}") for number in range(5))).write()
        self.assertContains(self.get_list("call"), "and 2 more")

    def test_lists_have_a_constant_number_of_queries(self) -> None:
        tracks = (Spoken(ALICE, segments=2, gaps=1), Spoken(BOB, segments=2, gaps=1))
        Recording(tracks=tracks).write()
        for model in MODELS:
            self.get_list(model)  # fills the caches of the process
        few = {model: self._queries(list_path(model)) for model in MODELS}
        for _ in range(10):
            Recording(tracks=tracks).write()
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self._queries(list_path(model)), few[model])
                self.assertLessEqual(few[model], 8)

    def test_pages_have_a_constant_number_of_queries(self) -> None:
        Recording(connection_id="small", tracks=(Spoken(ALICE, gaps=1),)).write()
        small = {model: self._queries(page_path(model, first_of(model).pk)) for model in MODELS}
        small = {model: self._queries(page_path(model, first_of(model).pk)) for model in MODELS}
        Call.objects.all().delete()
        tracks = tuple(Spoken(f"4:+4930{number}", segments=2, gaps=3) for number in range(10))
        Recording(connection_id="large", tracks=tracks).write()
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self._queries(page_path(model, first_of(model).pk)), small[model])

    def _queries(self, path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            self.assertEqual(self.client.get(path).status_code, 200)
        return len(queries)

    def test_an_empty_list_is_a_page(self) -> None:
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self.get_list(model).status_code, 200)


class CountingTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        Call.objects.bulk_create(
            Recording(connection_id=str(number), tracks=()).unsaved() for number in range(60)
        )
        self.most = 55
        self.enterContext(patch.object(CappedPaginator, "most_rows", self.most))

    def test_a_capped_count_is_marked(self) -> None:
        response: Any = self.get_list("call")
        self.assertEqual(response.context["cl"].result_count, self.most)
        self.assertContains(response, "First 55 calls: use search or filters")

    def test_skipped_rows_are_not_annotated(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            self.get_list("call", p="2")
        skipping = [query["sql"] for query in queries if "OFFSET" in query["sql"]]
        self.assertEqual(len(skipping), 1)
        self.assertNotIn("calls_segment", skipping[0])

    def test_the_last_page_ends_at_the_cap(self) -> None:
        self.assertEqual(len(self.listed("call", p="2")), self.most - 50)

    def test_a_count_below_the_cap_is_exact(self) -> None:
        response = self.get_list("call", q="7")
        self.assertNotContains(response, "First 55")

    def test_counting_reads_no_annotation(self) -> None:
        paginator = CappedPaginator(Call.objects.with_state(timezone.now()).with_recording(), 50)
        with CaptureQueriesContext(connection) as queries:
            self.assertEqual(paginator.count, self.most)
        self.assertEqual(len(queries), 1)
        self.assertNotIn("calls_segment", queries[0]["sql"])
        self.assertNotIn("calls_subscription", queries[0]["sql"])


class PageTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.call = Recording(tracks=(Spoken(ALICE, segments=3, gaps=2), Spoken(BOB))).write()

    def test_a_call_has_players(self) -> None:
        players = Elements(self.get_page("call", self.call.pk)).values("audio", "src")
        self.assertEqual(len(players), 3, "the mix and two tracks")
        self.assertIn("layout=mix", players[0])
        for participant in self.call.participants.all():
            self.assertTrue(any(f"participant={participant.pk}" in source for source in players))

    def test_a_player_loads_nothing_by_itself(self) -> None:
        preload = Elements(self.get_page("call", self.call.pk)).values("audio", "preload")
        self.assertEqual(preload, ["none"] * 3)

    def test_a_call_without_audio_has_no_player(self) -> None:
        call = Recording(tracks=()).write()
        response = self.get_page("call", call.pk)
        self.assertEqual(Elements(response).values("audio", "src"), [])
        self.assertContains(response, "No audio stored yet.")

    def test_a_call_links_to_the_export_in_each_format_and_layout(self) -> None:
        links = " ".join(Elements(self.get_page("call", self.call.pk)).values("a", "href"))
        for name in ("wav", "flac", "mp3", "opus"):
            for layout in ("mix", "tracks"):
                self.assertIn(f"format={name}&layout={layout}", links)

    def test_a_format_with_too_few_channels_is_not_offered(self) -> None:
        call = Recording(tracks=tuple(Spoken(f"4:+4930{number}") for number in range(9))).write()
        links = " ".join(Elements(self.get_page("call", call.pk)).values("a", "href"))
        offered = [
            name
            for name in ("wav", "flac", "mp3", "opus")
            if f"format={name}&layout=tracks" in links
        ]
        self.assertEqual(offered, ["wav", "opus"])

    def test_players_and_links_lead_to_existing_audio(self) -> None:
        page = Elements(self.get_page("call", self.call.pk))
        links = [link for link in page.values("a", "href") if link.startswith("/api/")]
        for source in [*page.values("audio", "src"), *links]:
            with self.subTest(source=source):
                self.assertEqual(self.client.head(source).status_code, 200)

    def test_a_call_links_to_its_segments_with_their_number(self) -> None:
        self.assertContains(
            self.get_page("call", self.call.pk),
            f'<a href="{list_path("segment")}?call={self.call.pk}">4</a>',
            html=True,
        )

    def test_a_track_and_a_segment_have_players(self) -> None:
        for model in ("participant", "segment"):
            with self.subTest(model=model):
                players = Elements(self.get_page(model, first_of(model).pk)).values("audio", "src")
                self.assertEqual(len(players), 1)

    def test_every_page_shows_its_values(self) -> None:
        facts = {
            "call": [
                self.call.call_connection_id,
                self.call.correlation_id,
                str(self.call.pk),
                "2026-11-03 09:15:00",
            ],
            "participant": ["Phone number", "3.0 s", "2 (1.0 s)"],
            "subscription": ["Closed: 1000", "PCM", "640"],
            "segment": [
                "-6.0\N{NO-BREAK SPACE}dBFS",
                "-21.5\N{NO-BREAK SPACE}dBFS",
                Segment.objects.all()[0].sha256,
            ],
            "ledgerentry": ["missing", "0.5 s", "2026-11-03 09:15:00.000 UTC"],
        }
        pages = {model: self.get_page(model, first_of(model).pk) for model in MODELS}
        pages["participant"] = self.get_page(
            "participant", self.call.participants.get(raw_id=ALICE).pk
        )
        for model in MODELS:
            for fact in facts[model]:
                with self.subTest(model=model, fact=fact):
                    self.assertContains(pages[model], fact)

    def test_an_inline_shows_its_first_rows_and_links_to_all(self) -> None:
        rows = RecordInline.most_rows + 5
        call = Recording(tracks=tuple(Spoken(f"4:+4930{number}") for number in range(rows))).write()
        response = self.get_page("call", call.pk)
        self.assertEqual(len(Elements(response).values("audio", "src")), 1 + RecordInline.most_rows)
        self.assertContains(response, f"The first {RecordInline.most_rows} are shown.")
        self.assertContains(response, f'href="{list_path("participant")}?call={call.pk}"')
        self.assertEqual(len(self.listed("participant", call=str(call.pk))), rows)

    def test_all_links_between_records_lead_somewhere(self) -> None:
        for model in MODELS:
            links = Elements(self.get_page(model, first_of(model).pk)).values("a", "href")
            for link in {each for each in links if each.startswith("/admin/calls/")}:
                with self.subTest(model=model, link=link):
                    self.assertEqual(self.client.get(link).status_code, 200)


class HostileTextTests(AdminPageTestCase):
    def test_untrusted_text_is_never_markup(self) -> None:
        Recording(
            connection_id=f"c{HOSTILE}",
            correlation_id=f"r{HOSTILE}",
            tracks=(Spoken(HOSTILE, gaps=1),),
        ).write()
        Participant.objects.update(kind="unknown")
        Subscription.objects.update(subscription_id=HOSTILE, encoding='"><i>PCM')
        LedgerEntry.objects.update(reason='"><script>', detail={"tone": HOSTILE})
        call, participant = first_of("call"), first_of("participant")
        paths = [page_path(model, first_of(model).pk) for model in MODELS] + [
            list_path(model) for model in MODELS
        ]
        paths += [
            f"{list_path('segment')}?call={call.pk}",
            f"{list_path('segment')}?participant={participant.pk}",
        ]
        paths += [page_path("call", call.pk, "delete"), f"{list_path('call')}?q=%22%3E%3Cscript%3E"]
        for path in paths:
            with self.subTest(path=path):
                response = self.client.get(path)
                self.assertEqual(response.status_code, 200)
                elements = Elements(response)
                self.assertNotContains(response, "<script>")
                self.assertFalse([value for value in elements.values("img", "src") if value == "x"])
                self.assertFalse([name for name, _attrs in elements.found if name == "i"])


class ReadOnlyTests(AdminPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        Recording(tracks=(Spoken(ALICE, gaps=1),)).write()

    def test_nothing_can_be_added(self) -> None:
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self.client.get(f"{list_path(model)}add/").status_code, 403)

    def test_of_a_participant_only_the_name_can_be_changed(self) -> None:
        alice = Participant.objects.get(raw_id=ALICE)
        path = page_path("participant", alice.pk)
        inputs = {*Elements(self.client.get(path)).values("input", "name")}
        hidden = {"csrfmiddlewaretoken", "_save", "_continue"}
        self.assertEqual({name for name in inputs if name} - hidden, {"display_name"})
        self.client.post(path, {"display_name": "Alice", "raw_id": "4:+1", "kind": "bot"})
        alice.refresh_from_db()
        self.assertEqual((alice.display_name, alice.raw_id, alice.kind), ("Alice", ALICE, "phone"))

    def test_nothing_else_can_be_changed(self) -> None:
        for model in set(MODELS) - {"participant"}:
            with self.subTest(model=model):
                path = page_path(model, first_of(model).pk)
                response = self.client.get(path)
                self.assertFalse(
                    [each for each in Elements(response).values("input", "name") if "_save" in each]
                )
                self.assertEqual(self.client.post(path, {}).status_code, 403)

    def test_only_a_call_can_be_deleted(self) -> None:
        for model in MODELS:
            with self.subTest(model=model):
                expected = 200 if model == "call" else 403
                path = page_path(model, first_of(model).pk, "delete")
                self.assertEqual(self.client.get(path).status_code, expected)

    def test_a_viewer_sees_everything(self) -> None:
        self.sign_in_viewer()
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self.get_list(model).status_code, 200)
                self.assertEqual(self.get_page(model, first_of(model).pk).status_code, 200)

    def test_staff_without_permission_see_nothing(self) -> None:
        self.client.force_login(User.objects.create_user("nobody", is_staff=True))
        for model in MODELS:
            with self.subTest(model=model):
                self.assertEqual(self.get_list(model).status_code, 403)


class SiteTests(AdminPageTestCase):
    def test_the_site_is_named_and_links_to_the_dashboard(self) -> None:
        response = self.client.get("/admin/")
        self.assertContains(response, "<title>Records and accounts | acsmedia</title>", html=True)
        self.assertContains(response, '<a href="/">View site</a>', html=True)

    def test_times_are_utc(self) -> None:
        Recording(started=STARTED + timedelta(hours=14, minutes=50)).write()
        self.assertContains(self.get_list("call"), "2026-11-04 00:05:00 UTC")
