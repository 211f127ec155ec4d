"""Lists of calls and segments, and one call: pages, filters, errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import TestCase
from django.utils import timezone
from rest_framework.test import APIClient

from calls.models import Call, LedgerEntry, Subscription
from tests.calls.rows import (
    ALICE,
    BOB,
    START,
    make_call,
    make_conversation,
    make_gap,
    make_participant,
    make_segment,
    make_subscription,
    noise,
    url_of,
)
from tests.people import person

CALLS = "/api/v1/calls/"


class SignedIn(TestCase):
    client: APIClient
    client_class = APIClient

    def setUp(self) -> None:
        self.client.force_login(person("engineer"))

    def ids(self, **query: Any) -> list[str]:
        response = self.client.get(CALLS, query)
        assert response.status_code == 200, response.content
        return [call["id"] for call in response.json()["results"]]

    def refused(self, url: str, **query: Any) -> list[str]:
        """Returns the parameters that a 400 names."""
        response = self.client.get(url, query)
        assert response.status_code == 400, response.content
        return list(response.json())


class PageTests(SignedIn):
    def setUp(self) -> None:
        super().setUp()
        self.calls = [
            make_call(started_at=START + timedelta(minutes=minute)) for minute in range(5)
        ]
        self.newest_first = [str(call.id) for call in reversed(self.calls)]

    def test_the_newest_comes_first(self) -> None:
        self.assertEqual(self.ids(), self.newest_first)

    def test_cursors_lead_forward_and_back(self) -> None:
        page = self.client.get(CALLS, {"page_size": 2}).json()
        self.assertEqual(list(page), ["next", "previous", "results"])
        self.assertIsNone(page["previous"])
        seen = [page]
        while page["next"]:
            page = self.client.get(page["next"]).json()
            seen.append(page)
        self.assertEqual(
            [call["id"] for page in seen for call in page["results"]], self.newest_first
        )
        self.assertEqual(self.client.get(page["previous"]).json()["results"], seen[1]["results"])

    def test_a_new_call_does_not_shift_the_pages(self) -> None:
        page = self.client.get(CALLS, {"page_size": 2}).json()
        make_call(started_at=START + timedelta(hours=1))
        following = self.client.get(page["next"]).json()["results"]
        self.assertEqual([call["id"] for call in following], self.newest_first[2:4])

    def test_calls_with_the_same_start_are_all_listed(self) -> None:
        Call.objects.update(started_at=START)
        page = self.client.get(CALLS, {"page_size": 2}).json()
        seen = [call["id"] for call in page["results"]]
        while page["next"]:
            page = self.client.get(page["next"]).json()
            seen += [call["id"] for call in page["results"]]
        self.assertEqual(sorted(seen), sorted(self.newest_first))

    def test_wrong_pages_are_named(self) -> None:
        for value in ("0", "-1", "201", "many", "", "9" * 5000, "٣"):
            self.assertEqual(self.refused(CALLS, page_size=value), ["page_size"])
        following = self.client.get(CALLS, {"page_size": 2}).json()["next"]
        cursor_of_calls = following.partition("cursor=")[2].partition("&")[0]
        for url, value in (
            (CALLS, "nonsense"),
            (CALLS, "cD1hYmM="),
            (url_of(self.calls[0], "segments/"), cursor_of_calls),
        ):
            self.assertEqual(self.refused(url, cursor=value), ["cursor"])

    def test_the_number_of_queries_does_not_grow_with_the_page(self) -> None:
        for _ in range(5):
            make_conversation()
        # Session, user, its permissions (2), calls, participants, sockets, active alarms.
        with self.assertNumQueries(8):
            self.assertEqual(len(self.ids()), 10)


class FilterTests(SignedIn):
    def setUp(self) -> None:
        super().setUp()
        self.old = make_call(
            "aHR0cHM6Ly9vbGQ", correlation_id="c0ffee-1", started_at=START - timedelta(days=1)
        )
        self.call, *_ = make_conversation()
        make_participant(self.old, "4:+49301234", display_name="Erika Mustermann")
        now = timezone.now()
        self.live = make_call(started_at=now)
        make_subscription(self.live, disconnected_at=None, close_code=None, seen_at=now)
        self.broken = make_call(started_at=START - timedelta(days=2))
        make_subscription(self.broken, close_code=None)
        make_subscription(self.old)

    def test_state(self) -> None:
        self.assertEqual(self.ids(state="live"), [str(self.live.id)])
        self.assertEqual(self.ids(state="interrupted"), [str(self.broken.id)])
        self.assertEqual(self.ids(state="ended"), [str(self.call.id), str(self.old.id)])

    def test_adjoining_time_windows_do_not_overlap(self) -> None:
        after = self.ids(started_after="2026-03-02T09:30:00Z")
        before = self.ids(started_before="2026-03-02T10:30:00+01:00")
        self.assertEqual(set(after) & set(before), set())
        self.assertIn(str(self.call.id), after)
        self.assertEqual(before, [str(self.old.id), str(self.broken.id)])

    def test_a_participant_by_raw_id_or_part_of_a_number(self) -> None:
        for text in (ALICE, "+1555", " 1555", "5551234", BOB, "4: 15551234567"):
            self.assertEqual(self.ids(participant=text), [str(self.call.id)], text)
        self.assertEqual(self.ids(participant="%%%"), [])

    def test_a_number_as_people_write_it(self) -> None:
        for name in ("participant", "search"):
            for text in ("+1 555 123 4567", "(555) 123-4567", "001 555 123 4567"):
                self.assertEqual(self.ids(**{name: text}), [str(self.call.id)], text)

    def test_partial_matches_need_three_characters(self) -> None:
        for name in ("participant", "search"):
            self.assertEqual(self.refused(CALLS, **{name: "55"}), [name])
            self.assertEqual(self.ids(**{name: ""}), self.ids())

    def test_acs_ids_match_exactly(self) -> None:
        self.assertEqual(self.ids(call_connection_id="aHR0cHM6Ly9vbGQ"), [str(self.old.id)])
        self.assertEqual(self.ids(correlation_id="c0ffee-1"), [str(self.old.id)])
        self.assertEqual(self.ids(correlation_id="c0ffee"), [])

    def test_search_covers_ids_numbers_and_names(self) -> None:
        for text in ("6Ly9vb", "C0FFEE", "4930", "mustermann", str(self.old.id), self.old.id.hex):
            self.assertEqual(self.ids(search=text), [str(self.old.id)], text)

    def test_filters_are_combined(self) -> None:
        self.assertEqual(
            self.ids(state="ended", participant="+4930", started_before="2026-03-02"),
            [str(self.old.id)],
        )
        self.assertEqual(self.ids(state="live", participant="+4930"), [])

    def test_wrong_values_and_unknown_names_are_named(self) -> None:
        wrong = {
            "state": "LIVE",
            "started_after": "yesterday",
            "started_before": "2026-13-01",
            "search": "\0",
            "q": "1",
        }
        for name, value in wrong.items():
            self.assertEqual(self.refused(CALLS, **{name: value}), [name])
        self.assertEqual(set(self.refused(CALLS, colour="red", form="x")), {"colour", "form"})
        self.assertEqual(self.refused(url_of(self.call), page_size=1), ["page_size"])


class CallTests(SignedIn):
    def test_active_alarms_of_a_live_call_are_those_of_the_live_socket(self) -> None:
        """Alarm, participant, since: the members of the live socket, but `call`."""
        call, alice, _bob = make_conversation()
        now = timezone.now()
        socket = make_subscription(
            call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )

        def alarm(reason: str, second: int, who: Any = None, ended: bool = False) -> None:
            at = START + timedelta(seconds=second)
            LedgerEntry.objects.create(
                call=call,
                kind="alarm",
                reason=reason,
                participant=who,
                started_at=at,
                ended_at=at if ended else None,
            )

        alarm("too_low", 3, alice)
        alarm("dead_air", 2)
        alarm("too_low", 1, alice)  # of another socket: shown once, since then
        alarm("clipping", 0, alice, ended=True)
        expected = [
            {"alarm": "too_low", "participant": str(alice.pk), "since": "2026-03-02T09:30:01Z"},
            {"alarm": "dead_air", "participant": None, "since": "2026-03-02T09:30:02Z"},
        ]
        self.assertEqual(self.client.get(url_of(call)).json()["alarms"], expected)
        self.assertEqual(self.client.get(CALLS).json()["results"][0]["alarms"], expected)
        past = now - timedelta(hours=1)
        ended = {"connected_at": past, "seen_at": past, "disconnected_at": past}
        Subscription.objects.filter(pk=socket.pk).update(**ended)
        self.assertEqual(self.client.get(url_of(call)).json()["alarms"], [], "the call has ended")

    def test_one_call_looks_like_its_entry_in_the_list(self) -> None:
        call, *_ = make_conversation()
        one = self.client.get(url_of(call)).json()
        self.assertEqual(one.pop("retention"), {"held_by": []}, "only a call alone has it")
        self.assertEqual(self.client.get(CALLS).json()["results"], [one])

    def test_a_path_without_its_slash_is_redirected(self) -> None:
        response = self.client.get("/api/v1/calls?state=live")
        self.assertEqual(
            (response.status_code, response["Location"]), (301, "/api/v1/calls/?state=live")
        )

    def test_without_login_everything_is_401(self) -> None:
        call, *_ = make_conversation()
        self.client.logout()
        urls = [
            CALLS,
            "/api/schema/",
            *(url_of(call, rest) for rest in ("", "audio", "segments/", "manifest", "peaks")),
        ]
        for url in urls:
            response = self.client.get(url)
            self.assertEqual(response.status_code, 401, url)
            self.assertEqual(response["WWW-Authenticate"], "Token")

    def test_nothing_can_be_changed(self) -> None:
        call, *_ = make_conversation()
        for method in (self.client.post, self.client.put, self.client.patch, self.client.delete):
            self.assertEqual(method(url_of(call), {}).status_code, 405)


class SegmentTests(SignedIn):
    def test_segments_come_in_order_of_time_with_positions_on_the_axis(self) -> None:
        call, alice, bob = make_conversation()
        rows = self.client.get(url_of(call, "segments/")).json()["results"]
        positions = [(row["participant"], row["start_sample"]) for row in rows]
        self.assertCountEqual(positions[1:3], [(str(alice.id), 16_000), (str(bob.id), 16_000)])
        self.assertEqual([positions[0], positions[3]], [(str(alice.id), 0), (str(bob.id), 32_000)])
        self.assertEqual(rows[3]["started_at"], "2026-03-02T09:30:02Z")
        self.assertEqual(
            (rows[0]["size_bytes"], rows[0]["sample_count"], rows[0]["sample_rate"]),
            (32_000, 16_000, 16_000),
        )
        self.assertEqual(len(rows[0]["sha256"]), 64)

    def test_positions_are_counted_at_the_rate_of_the_segment(self) -> None:
        call = make_call()
        make_segment(make_participant(call), at=0.0)
        make_segment(make_participant(call, BOB), at=2.0, rate=24_000)
        rows = self.client.get(url_of(call, "segments/")).json()["results"]
        self.assertEqual([row["start_sample"] for row in rows], [0, 48_000])

    def test_pages_of_segments_neither_skip_nor_repeat(self) -> None:
        call = make_call()
        tracks = [make_participant(call, f"8:orgid:{number}") for number in range(3)]
        for second in range(4):
            for track in tracks:
                make_segment(track, at=second / 3, samples=noise(0.1))
        page = self.client.get(url_of(call, "segments/"), {"page_size": 5}).json()
        rows = page["results"]
        while page["next"]:
            page = self.client.get(page["next"]).json()
            rows += page["results"]
        self.assertEqual(len({row["id"] for row in rows}), 12)
        self.assertEqual(
            [row["start_sample"] for row in rows], sorted(row["start_sample"] for row in rows)
        )

    def test_a_call_without_audio_has_no_segments(self) -> None:
        self.assertEqual(self.client.get(url_of(make_call(), "segments/")).json()["results"], [])

    def test_the_number_of_queries_does_not_grow_with_the_segments(self) -> None:
        call, *_ = make_conversation()
        with self.assertNumQueries(7):  # session, user, its permissions (2), call, axis, segments
            self.client.get(url_of(call, "segments/"))


class GapTests(SignedIn):
    def test_gaps_count_for_their_own_track(self) -> None:
        call, alice, _ = make_conversation()
        make_gap(alice, at=2.0, seconds=1.0)
        participants = self.client.get(url_of(call)).json()["participants"]
        self.assertEqual([row["gap_seconds"] for row in participants], [1.0, 0.0])
