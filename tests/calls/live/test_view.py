"""The picture of live calls: processes, the database, lost news, and the laws of merging."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from calls.live.messages import HELD_FOR, REPEAT_SECONDS, BrowserMessage, CallData
from calls.live.view import ENDED_FOR, MISSED_AFTER, LiveView, merge
from tests.calls.live.examples import AGENT, CUSTOMER, a_call, a_subscription, an_alarm, ended, news

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)


def types_of(messages: list[BrowserMessage]) -> list[str]:
    return [message["type"] for message in messages]


def raw_ids_of(call: CallData) -> list[str]:
    return [participant["raw_id"] for participant in call["participants"]]


class OneProcess(SimpleTestCase):
    def setUp(self) -> None:
        self.view = LiveView()

    def test_a_new_call_starts(self) -> None:
        call = a_call(1, CUSTOMER)
        self.assertEqual(
            self.view.apply(news(calls=[call]), NOW), [{"type": "call.started", "call": call}]
        )

    def test_a_call_that_is_repeated_unchanged_is_not_sent_again(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        self.assertEqual(self.view.apply(news(calls=[a_call()]), SOON), [])

    def test_growing_counts_and_seconds_are_sent_with_the_next_snapshot_only(self) -> None:
        self.view.apply(news(calls=[a_call(subscriptions=[a_subscription("s")])]), NOW)
        grown = a_call(subscriptions=[a_subscription("s", audio=500)], duration_seconds=10.0)
        self.assertEqual(self.view.apply(news(calls=[grown]), SOON), [])
        self.assertEqual(self.view.snapshot()["calls"], [grown])

    def test_a_new_participant_updates_the_call(self) -> None:
        self.view.apply(news(calls=[a_call(1, CUSTOMER)]), NOW)
        (message,) = self.view.apply(news(calls=[a_call(1, CUSTOMER, AGENT)]), SOON)
        self.assertEqual(message["type"], "call.updated")
        self.assertEqual(raw_ids_of(message["call"]), [CUSTOMER, AGENT])

    def test_an_ended_call_has_its_state_and_time(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        (message,) = self.view.apply(news(ended=[ended(a_call(), "interrupted")]), SOON)
        self.assertEqual(message["type"], "call.ended")
        self.assertEqual(message["call"]["state"], "interrupted")
        self.assertEqual(message["call"]["ended_at"], "2026-11-23T10:05:00Z")
        self.assertEqual(self.view.snapshot()["calls"], [])

    def test_a_call_that_was_never_shown_ends_without_a_message(self) -> None:
        self.assertEqual(self.view.apply(news(ended=[ended(a_call())]), NOW), [])

    def test_a_call_that_comes_back_after_its_end_starts_again(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        self.view.apply(news(ended=[ended(a_call())]), NOW)
        self.assertEqual(types_of(self.view.apply(news(calls=[a_call()]), SOON)), ["call.started"])

    def test_the_snapshot_has_the_newest_call_first(self) -> None:
        self.view.apply(news(calls=[a_call(1), a_call(3), a_call(2)]), NOW)
        ids = [call["call_connection_id"] for call in self.view.snapshot()["calls"]]
        self.assertEqual(ids, ["connection-3", "connection-2", "connection-1"])


class Names(SimpleTestCase):
    """Recorders do not know the names of participants."""

    def setUp(self) -> None:
        self.view = LiveView()
        self.call = a_call(1, CUSTOMER, AGENT)
        self.alice, self.bob = self.call["participants"]

    def name(self, name: str) -> list[BrowserMessage]:
        return self.view.rename([(self.call["id"], self.alice["id"], name)])

    def names(self) -> list[tuple[str, str]]:
        [call] = self.view.snapshot()["calls"]
        return [(one["display_name"], one["label"]) for one in call["participants"]]

    def test_of_an_open_call_are_shown_and_stay_over_the_news(self) -> None:
        self.view.apply(news(calls=[self.call]), NOW)
        [message] = self.name("Alice")
        self.assertEqual(message["type"], "call.updated")
        self.assertEqual(self.name("Alice"), [])
        self.assertEqual(self.view.apply(news(calls=[self.call]), SOON), [])
        self.assertEqual(self.names(), [("Alice", "Alice"), ("", self.bob["label"])])
        [message] = self.name("")
        self.assertEqual(self.names()[0], ("", self.alice["label"]))

    def test_of_the_database_replace_those_that_were_told(self) -> None:
        self.view.apply(news(calls=[self.call]), NOW)
        self.name("Alice")
        stored = a_call(1, CUSTOMER, AGENT)
        stored["participants"][0] |= {"display_name": "Alicia", "label": "Alicia"}
        self.view.reconcile([stored], SOON)
        self.assertEqual(self.names()[0], ("Alicia", "Alicia"))
        self.name("Alice")
        self.assertEqual(self.names()[0], ("Alice", "Alice"))

    def test_are_in_the_end_of_a_call_and_forgotten_with_it(self) -> None:
        self.view.apply(news(calls=[self.call]), NOW)
        self.name("Alice")
        (message,) = self.view.apply(news(ended=[ended(self.call)]), SOON)
        self.assertEqual(message["call"]["participants"][0]["label"], "Alice")
        self.assertEqual((self.name("Alice"), self.view._names), ([], {}))


class Alarms(SimpleTestCase):
    """Their order among the messages of calls; the rest is in test_alarms."""

    def setUp(self) -> None:
        self.view = LiveView()
        self.call = a_call(1, CUSTOMER)
        self.alarm = an_alarm("stalled", self.call)

    def test_are_raised_after_their_call_and_cleared_before_it(self) -> None:
        raised = self.view.apply(news(calls=[self.call], alarms=[self.alarm]), NOW)
        self.assertEqual(types_of(raised), ["call.started", "alarm"])
        cleared = self.view.apply(news(ended=[ended(self.call)], alarms=[]), SOON)
        self.assertEqual(types_of(cleared), ["alarm.cleared", "call.ended"])

    def test_stay_over_news_without_alarms(self) -> None:
        self.view.apply(news(alarms=[self.alarm]), NOW)
        self.assertEqual(self.view.apply(news(levels={"p": [0.0, 0.0]}), SOON), [])
        self.assertEqual(self.view.snapshot()["alarms"], [self.alarm])

    def test_of_a_process_that_has_died_expire(self) -> None:
        for end in (self.view.expire, lambda now: self.view.reconcile([], now)):
            self.view.apply(news(alarms=[self.alarm]), NOW)
            self.assertEqual(end(NOW + HELD_FOR), [])
            self.assertEqual(
                types_of(end(NOW + HELD_FOR + timedelta(seconds=1))), ["alarm.cleared"]
            )
            self.assertEqual(self.view.snapshot()["alarms"], [])


class Totals(SimpleTestCase):
    """Their way into the view; the sums are in test_totals."""

    def test_are_summed_without_a_message(self) -> None:
        view = LiveView()
        totals = {"packets_per_second": 100.0, "seal_lag_seconds": 1.5}
        self.assertEqual(view.apply(news("one", totals=totals), NOW), [])
        self.assertEqual(view.totals.message(NOW)["packets_per_second"], 100.0)


class Listeners(SimpleTestCase):
    """Their way into messages and snapshot; the counts are in test_listeners."""

    def test_are_sent_with_the_news_and_the_snapshot_until_their_process_is_gone(self) -> None:
        view = LiveView()
        self.assertEqual(view.snapshot()["listening"], {})
        self.assertEqual(
            view.apply(news(listeners={"a": 1}), NOW), [{"type": "listening", "calls": {"a": 1}}]
        )
        self.assertEqual(view.snapshot()["listening"], {"a": 1})
        self.assertEqual(view.expire(SOON + HELD_FOR), [{"type": "listening", "calls": {}}])


class SeveralProcesses(SimpleTestCase):
    def setUp(self) -> None:
        self.view = LiveView()
        self.view.apply(news("one", calls=[a_call(1, CUSTOMER)]), NOW)

    def test_participants_of_two_processes_are_merged(self) -> None:
        (message,) = self.view.apply(news("two", calls=[a_call(1, AGENT)]), NOW)
        self.assertEqual(message["type"], "call.updated")
        self.assertEqual(set(raw_ids_of(message["call"])), {CUSTOMER, AGENT})

    def test_the_higher_counts_of_one_subscription_win(self) -> None:
        def reported(audio: int, dtmf: int) -> CallData:
            return a_call(1, subscriptions=[a_subscription("s", audio=audio, dtmf=dtmf)])

        self.view.apply(news("two", calls=[reported(500, 0)]), NOW)
        self.view.apply(news("three", calls=[reported(400, 2)]), NOW)
        (call,) = self.view.snapshot()["calls"]
        counts = call["subscriptions"][0]["counts"]
        self.assertEqual((counts["audio"], counts["dtmf"]), (500, 2))

    def test_a_call_goes_on_while_another_process_holds_it(self) -> None:
        self.view.apply(news("two", calls=[a_call(1, AGENT)]), NOW)
        self.assertEqual(self.view.apply(news("one", ended=[ended(a_call(1, CUSTOMER))]), SOON), [])
        (message,) = self.view.apply(news("two", ended=[ended(a_call(1, AGENT))]), SOON)
        self.assertEqual(message["type"], "call.ended")
        self.assertEqual(set(raw_ids_of(message["call"])), {CUSTOMER, AGENT})

    def test_the_last_socket_decides_how_the_call_ended(self) -> None:
        self.view.apply(news("two", calls=[a_call(1, AGENT)]), NOW)
        first = ended(a_call(1), "interrupted", "2026-11-23T10:01:00Z")
        last = ended(a_call(1), "ended", "2026-11-23T10:09:00Z")
        self.view.apply(news("two", ended=[last]), SOON)
        (message,) = self.view.apply(news("one", ended=[first]), SOON)
        self.assertEqual(
            (message["call"]["state"], message["call"]["ended_at"]),
            ("ended", "2026-11-23T10:09:00Z"),
        )


class WithTheDatabase(SimpleTestCase):
    def setUp(self) -> None:
        self.view = LiveView()

    def test_a_call_that_only_the_database_has_is_shown(self) -> None:
        self.assertEqual(types_of(self.view.reconcile([a_call()], NOW)), ["call.started"])
        self.assertTrue(self.view.needs_database(NOW))

    def test_a_call_that_a_process_holds_needs_no_database(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        self.assertFalse(self.view.needs_database(NOW))
        self.assertEqual(self.view.reconcile([], NOW), [])

    def test_rows_and_news_are_merged(self) -> None:
        self.view.reconcile([a_call(1, CUSTOMER, audio_started_at="2026-11-23T10:00:01Z")], NOW)
        (message,) = self.view.apply(news(calls=[a_call(1, CUSTOMER, AGENT)]), NOW)
        self.assertEqual(raw_ids_of(message["call"]), [CUSTOMER, AGENT])
        self.assertEqual(message["call"]["audio_started_at"], "2026-11-23T10:00:01Z")

    def test_a_call_of_a_process_that_died_ends_when_the_database_agrees(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        later = NOW + HELD_FOR + timedelta(seconds=1)
        self.assertTrue(self.view.needs_database(later))
        self.assertEqual(types_of(self.view.reconcile([a_call()], later)), [])
        (message,) = self.view.reconcile([], later)
        self.assertEqual(message["type"], "call.ended")
        self.assertEqual(
            (message["call"]["state"], message["call"]["ended_at"]),
            ("interrupted", "2026-11-23T10:00:00Z"),
        )

    def test_a_call_that_is_repeated_in_time_stays_without_a_row(self) -> None:
        for repeat in range(20):
            now = NOW + timedelta(seconds=repeat * REPEAT_SECONDS)
            self.view.apply(news(calls=[a_call()]), now)
            self.assertEqual(self.view.reconcile([], now), [])

    def test_a_stale_row_does_not_revive_an_ended_call(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        self.view.apply(news(ended=[ended(a_call())]), NOW)
        self.assertEqual(self.view.reconcile([a_call()], SOON), [])
        self.assertEqual(
            types_of(self.view.reconcile([a_call()], NOW + ENDED_FOR * 2)), ["call.started"]
        )


class MissedNews(SimpleTestCase):
    def setUp(self) -> None:
        self.view = LiveView()

    def test_the_first_news_of_a_process_are_not_a_loss(self) -> None:
        self.assertFalse(self.view.missed(news(number=40), NOW))

    def test_a_hole_in_the_numbers_is_a_loss(self) -> None:
        self.view.apply(news(number=40), NOW)
        self.assertFalse(self.view.missed(news(number=41), NOW))
        self.assertTrue(self.view.missed(news(number=42), NOW))

    def test_a_pause_of_a_process_with_calls_is_a_loss(self) -> None:
        self.view.apply(news(calls=[a_call()]), NOW)
        self.assertFalse(self.view.missed(news(), NOW + MISSED_AFTER))
        self.assertTrue(self.view.missed(news(), NOW + MISSED_AFTER * 2))

    def test_a_pause_of_a_process_without_calls_is_none(self) -> None:
        self.view.apply(news(), NOW)
        self.assertFalse(self.view.missed(news(), NOW + MISSED_AFTER * 2))


texts = st.sampled_from(["", "a", "b"])
seconds = st.floats(0, 100)
times = st.sampled_from(
    [None, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00.500000Z", "2026-11-23T10:00:01Z"]
)


def items(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    item = st.fixed_dictionaries({"id": st.sampled_from("pqr"), **members})
    return st.lists(item, max_size=3, unique_by=lambda item: item["id"])


live_calls = st.fixed_dictionaries(
    {
        "id": st.just("call"),
        "state": st.just("live"),
        "ended_at": st.none(),
        "started_at": times,
        "correlation_id": texts,
        "duration_seconds": seconds,
        "participants": items(display_name=texts, recorded_seconds=seconds),
        "subscriptions": items(
            disconnected_at=times, close_code=st.none() | st.integers(1000, 1011)
        ),
    }
)
ended_calls = st.fixed_dictionaries(
    {"id": st.just("call"), "state": st.sampled_from(["ended", "interrupted"]), "ended_at": times}
)
calls = live_calls | ended_calls


def in_any_order(call: CallData) -> dict[str, Any]:
    return {
        name: sorted(member, key=lambda item: str(item["id"]))
        if isinstance(member, list)
        else member
        for name, member in call.items()
    }


class Merging(SimpleTestCase):
    @given(calls, calls)
    def test_is_commutative(self, first: CallData, second: CallData) -> None:
        self.assertEqual(in_any_order(merge(first, second)), in_any_order(merge(second, first)))

    @given(calls, calls, calls)
    def test_is_associative(self, a: CallData, b: CallData, c: CallData) -> None:
        self.assertEqual(in_any_order(merge(merge(a, b), c)), in_any_order(merge(a, merge(b, c))))

    @given(calls, calls)
    def test_is_idempotent(self, first: CallData, second: CallData) -> None:
        merged = merge(first, second)
        self.assertEqual(merge(merged, second), merged)

    @given(calls, calls)
    def test_keeps_every_participant(self, first: CallData, second: CallData) -> None:
        def ids(call: CallData) -> set[str]:
            return {participant["id"] for participant in call.get("participants", ())}

        self.assertEqual(ids(merge(first, second)), ids(first) | ids(second))


steps = st.lists(
    st.tuples(
        st.sampled_from(["calls", "ended", "reconcile"]),
        st.sampled_from(["one", "two", "three"]),
        st.lists(st.integers(1, 4), max_size=3, unique=True),
        st.sampled_from([0.1, 3.0, 20.0, 90.0]),
    ),
    max_size=30,
)


class TheMessages(SimpleTestCase):
    """A browser that follows the messages has the same calls as a snapshot."""

    @given(steps)
    def test_give_the_snapshot_if_followed(
        self, steps: list[tuple[str, str, list[int], float]]
    ) -> None:
        view, now, known = LiveView(), NOW, dict[str, CallData]()
        for step, process, numbers, pause in steps:
            now += timedelta(seconds=pause)
            reported = [
                a_call(number, CUSTOMER if process == "one" else AGENT) for number in numbers
            ]
            if step == "reconcile":
                messages = view.reconcile(reported, now)
            elif step == "calls":
                messages = view.apply(news(process, calls=reported), now)
            else:
                messages = view.apply(news(process, ended=[ended(call) for call in reported]), now)
            self.follow(messages, known)
            self.assertEqual(known, {call["id"]: call for call in view.snapshot()["calls"]})

    def follow(self, messages: list[BrowserMessage], known: dict[str, CallData]) -> None:
        for message in messages:
            call = message["call"]
            self.assertEqual(
                message["type"] == "call.started", call["id"] not in known, "started exactly once"
            )
            if message["type"] == "call.ended":
                del known[call["id"]]
                self.assertNotEqual(call["state"], "live")
                self.assertIsNotNone(call["ended_at"])
            else:
                known[call["id"]] = call
                self.assertEqual((call["state"], call["ended_at"]), ("live", None))
