"""The history of a call, from events that repeat and come in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unittest import TestCase

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls.coverage.acs_events import (
    MAX_TEXT,
    TYPES,
    CallHistory,
    Event,
    Note,
    Presence,
    Span,
    canonical_type,
    history_of,
    names_of,
)
from calls.wording import ACS_EVENTS, STREAMING_DETAILS

START = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
ANN, BEN = "8:acs:res_ann", "4:+15551234567"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(name: str, seconds: float, number: int | None = None, **data: Any) -> Event:
    return Event(name, at(seconds), at(seconds + 0.3), number, data)


def span(start: float, end: float | None, reason: str = "") -> Span:
    return Span(at(start), None if end is None else at(end), reason)


def listed(raw_id: str, **state: Any) -> dict[str, Any]:
    return {"identifier": {"kind": "any", "rawId": raw_id}, **state}


def roster(seconds: float, number: int | None, *participants: dict[str, Any]) -> Event:
    return event("ParticipantsUpdated", seconds, number, participants=list(participants))


def streaming(name: str, seconds: float, detail: Any = None) -> Event:
    update = {"contentType": "Audio", "mediaStreamingStatusDetails": detail}
    return event(f"MediaStreaming{name}", seconds, mediaStreamingUpdate=update)


def repeated(one: Event) -> Event:
    return one._replace(received_at=one.received_at + timedelta(seconds=60))


CALL = [
    event("IncomingCall", -2, None, **{"from": {"rawId": BEN}, "callerDisplayName": "Ben"}),
    streaming("Started", -1, "subscriptionStarted"),
    event("CallConnected", 0),
    roster(0.5, 1, listed(ANN), listed(BEN)),
    roster(5, 2, listed(ANN, isMuted=True), listed(BEN)),
    streaming("Stopped", 6, "streamConnectionInterrupted"),
    streaming("Started", 8, "streamConnectionReestablished"),
    roster(9, 3, listed(ANN), listed(BEN, isOnHold=True)),
    roster(11, 4, listed(ANN), listed(BEN)),
    roster(12, 5, listed(BEN)),
    event("CallDisconnected", 20),
    roster(20.1, 6),
]


# Measuring branches makes the generation of events slow, more so on a machine that is busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Histories(TestCase):
    def test_have_times_participants_streaming_and_notes(self) -> None:
        self.assertEqual(
            history_of(CALL),
            CallHistory(
                connected_at=at(0),
                disconnected_at=at(20),
                participants=(
                    Presence(ANN, "", (span(0.5, 12),), (span(5, 9),), ()),
                    Presence(BEN, "Ben", (span(0.5, 20),), (), (span(9, 11),)),
                ),
                streaming=(span(-1, 6), span(8, 20)),
                interruptions=(span(6, 8, "streamConnectionInterrupted"),),
                notes=(Note(at(-2), "IncomingCall", "Incoming call: from +15551234567 to ?"),),
            ),
        )

    @UNHURRIED
    @given(st.permutations(CALL), st.lists(st.sampled_from(CALL)), st.randoms())
    def test_do_not_depend_on_order_or_repetition(
        self, events: list[Event], more: list[Event], random: Random
    ) -> None:
        arrived = [*events, *map(repeated, more)]
        random.shuffle(arrived)
        self.assertEqual(history_of(arrived), history_of(CALL))

    @UNHURRIED
    @given(
        st.lists(
            st.builds(
                Event,
                st.sampled_from([*sorted(TYPES), "Thunder"]),
                st.integers(0, 50).map(at),
                st.integers(0, 50).map(at),
                st.none() | st.integers(-2, 9),
                st.dictionaries(
                    st.sampled_from(
                        [
                            *("participants", "participant", "from", "user", "durationOfCall"),
                            *("mediaStreamingUpdate", "recordingStorageInfo", "displayName"),
                            *("state", "resultInformation", "customContext", "transferTarget"),
                        ]
                    ),
                    st.recursive(
                        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
                        lambda inner: (
                            st.lists(inner, max_size=3)
                            | st.dictionaries(
                                st.sampled_from(["rawId", "identifier", "isMuted", "sipHeaders"]),
                                inner,
                                max_size=3,
                            )
                        ),
                        max_leaves=6,
                    ),
                    max_size=4,
                ),
            ),
            max_size=8,
        )
    )
    def test_of_any_data_have_spans_in_order_within_the_call(self, events: list[Event]) -> None:
        history = history_of(events)
        end = history.disconnected_at
        everyone = [
            spans for one in history.participants for spans in (one.present, one.muted, one.on_hold)
        ]
        for spans in (history.streaming, history.interruptions, *everyone):
            moments = [moment for one in spans for moment in (one.started_at, one.ended_at)]
            known = [moment for moment in moments if moment is not None]
            self.assertEqual(known, sorted(known))
            self.assertNotIn(None, moments[:-1], "only the last one may last")
            self.assertTrue(end is None or None not in moments)
            self.assertTrue(all(end is None or moment <= end for moment in known))

    def test_of_no_events_are_empty(self) -> None:
        self.assertEqual(history_of([]), CallHistory(None, None, (), (), (), ()))

    def test_match_types_and_values_in_any_case(self) -> None:
        history = history_of(
            [
                event("microsoft.communication.CALLCONNECTED", 0),
                streaming("FAILED", 3, "STREAMURLMISSING"),
                event("Microsoft.Communication.callDisconnected", 9),
            ]
        )
        self.assertEqual((history.connected_at, history.disconnected_at), (at(0), at(9)))
        self.assertEqual(history.interruptions, (span(0, 9, "streamUrlMissing"),))


class Ends(TestCase):
    def test_are_those_of_the_callbacks_before_those_of_event_grid(self) -> None:
        grid = [event("CallStarted", 1), event("CallEnded", 31, durationOfCall=30.5)]
        callbacks = [event("CallConnected", 2), event("CallDisconnected", 30)]
        history = history_of([*grid, *callbacks])
        self.assertEqual((history.connected_at, history.disconnected_at), (at(2), at(30)))
        history = history_of(grid)
        self.assertEqual((history.connected_at, history.disconnected_at), (at(1), at(31)))

    def test_give_the_beginning_with_the_duration_of_the_call(self) -> None:
        (_, ended) = (None, event("CallEnded", 31, durationOfCall=30.5))
        self.assertEqual(history_of([ended]).connected_at, at(0.5))

    def test_without_a_usable_duration_give_none(self) -> None:
        for duration in ("30", None, -1, True, 8 * 86_400, 1e300):
            with self.subTest(duration):
                ended = event("CallEnded", 31, durationOfCall=duration)
                self.assertIsNone(history_of([ended]).connected_at)
        week = event("CallEnded", 31, durationOfCall=7 * 86_400)
        self.assertEqual(history_of([week]).connected_at, at(31) - timedelta(days=7))

    def test_near_the_year_1_do_not_lead_out_of_it(self) -> None:
        first = datetime(1, 1, 2, tzinfo=UTC)
        ended = event("CallEnded", 0, durationOfCall=600_000)._replace(occurred_at=first)
        self.assertEqual(history_of([ended]).connected_at, datetime(1, 1, 1, tzinfo=UTC))

    def test_are_the_last_of_several(self) -> None:
        history = history_of([event("CallDisconnected", 9), event("CallDisconnected", 12)])
        self.assertEqual(history.disconnected_at, at(12))


class Interruptions(TestCase):
    def test_have_every_documented_reason(self) -> None:
        for detail in STREAMING_DETAILS:
            if detail == "streamConnectionReestablished":
                continue
            with self.subTest(detail):
                history = history_of([streaming("Failed", 1, detail.upper())])
                self.assertEqual(history.interruptions, (span(1, None, detail),))

    def test_keep_an_unknown_reason_as_it_came(self) -> None:
        history = history_of([streaming("Failed", 1, " outOfCoffee ")])
        self.assertEqual(history.interruptions, (span(1, None, "outOfCoffee"),))

    def test_without_details_have_a_reason_by_their_type(self) -> None:
        for name, reason in (("Failed", "unspecifiedError"), ("Stopped", "subscriptionStopped")):
            for detail in (None, "", 7):
                with self.subTest(name, detail=detail):
                    history = history_of([streaming(name, 1, detail)])
                    self.assertEqual(history.interruptions, (span(1, None, reason),))

    def test_of_a_call_that_never_streamed_last_from_its_beginning_to_its_end(self) -> None:
        failed = streaming("Failed", 2, "initialWebSocketConnectionFailed")
        history = history_of([event("CallConnected", 0), failed, event("CallDisconnected", 30)])
        self.assertEqual(history.interruptions, (span(0, 30, "initialWebSocketConnectionFailed"),))
        self.assertEqual(history.streaming, ())

    def test_of_a_stopped_stream_begin_when_it_stopped(self) -> None:
        history = history_of([event("CallConnected", 0), streaming("Stopped", 2)])
        self.assertEqual(history.interruptions, (span(2, None, "subscriptionStopped"),))

    def test_change_their_reason_when_acs_does(self) -> None:
        history = history_of(
            [
                streaming("Started", 0),
                streaming("Started", 10, "streamConnectionInterrupted"),
                streaming("Failed", 20, "streamConnectionUnsuccessful"),
                streaming("Failed", 25, "streamConnectionUnsuccessful"),
                streaming("Stopped", 30, "streamConnectionReestablished"),
            ]
        )
        self.assertEqual(
            history.interruptions,
            (
                span(10, 20, "streamConnectionInterrupted"),
                span(20, 30, "streamConnectionUnsuccessful"),
            ),
        )
        self.assertEqual(history.streaming, (span(0, 10), span(30, None)))

    def test_after_the_end_of_the_call_do_not_count(self) -> None:
        history = history_of([event("CallDisconnected", 5), streaming("Stopped", 6)])
        self.assertEqual(history.interruptions, ())


class Participants(TestCase):
    def test_are_ordered_by_sequence_number_whatever_the_clock_says(self) -> None:
        history = history_of([roster(10, 1, listed(ANN)), roster(9, 2), roster(12, 3, listed(ANN))])
        self.assertEqual(history.participants[0].present, (span(12, None),))

    def test_without_a_number_are_placed_by_the_clock(self) -> None:
        history = history_of(
            [
                roster(1, None, listed(BEN)),
                roster(2, 7, listed(ANN)),
                roster(3, None),
                roster(4, 8, listed(ANN)),
            ]
        )
        present = {one.raw_id: one.present for one in history.participants}
        self.assertEqual(present, {BEN: (span(1, 2),), ANN: (span(2, 3), span(4, None))})

    def test_without_lists_are_those_who_join_and_leave(self) -> None:
        nested = {"communicationIdentifier": {"rawId": ANN}, "role": "any"}
        history = history_of(
            [
                event("CallParticipantAdded", 1, user=nested, displayName="Ann"),
                event("AddParticipantSucceeded", 2, participant={"rawId": BEN}),
                event("CallParticipantRemoved", 5, user={"rawId": ANN}, displayName=" "),
                event("RemoveParticipantSucceeded", 6, participant={"rawId": BEN}),
                event("AddParticipantFailed", 7, participant={"rawId": "4:+1"}),
            ]
        )
        self.assertEqual(
            history.participants,
            (
                Presence(ANN, "Ann", (span(1, 5),), (), ()),
                Presence(BEN, "", (span(2, 6),), (), ()),
            ),
        )

    def test_in_lists_decide_over_those_who_join_and_leave(self) -> None:
        joined = event("CallParticipantAdded", 0, user={"rawId": ANN}, displayName="Ann")
        history = history_of([joined, roster(1, 1, listed(ANN))])
        self.assertEqual(history.participants, (Presence(ANN, "Ann", (span(1, None),), (), ()),))

    def test_who_are_only_named_have_no_times(self) -> None:
        incoming = event(
            "IncomingCall", 0, None, **{"from": {"rawId": BEN}, "callerDisplayName": "Ben"}
        )
        self.assertEqual(history_of([incoming]).participants, (Presence(BEN, "Ben", (), (), ()),))

    def test_have_the_newest_name(self) -> None:
        history = history_of(
            [
                roster(1, 1, listed(ANN, displayName="Ann")),
                roster(2, 2, listed(ANN, displayName="Dr.  Ann\n ")),
                roster(3, 3, listed(ANN)),
            ]
        )
        self.assertEqual(history.participants[0].display_name, "Dr. Ann")

    def test_are_muted_by_text_as_well(self) -> None:
        history = history_of([roster(1, 1, listed(ANN, isMuted="TRUE", isOnHold="no"))])
        self.assertEqual(history.participants[0].muted, (span(1, None),))
        self.assertEqual(history.participants[0].on_hold, ())

    def test_of_data_of_other_types_are_nobody(self) -> None:
        for data in ({"participants": 7}, {"participants": [7, {"identifier": 7}]}, {}):
            with self.subTest(data):
                update = event("ParticipantsUpdated", 1, **data)
                self.assertEqual(history_of([update]).participants, ())


class Names(TestCase):
    def test_are_those_of_events_that_carry_any(self) -> None:
        removed = event(
            "Microsoft.Communication.callparticipantremoved",
            0,
            user={"rawId": ANN},
            displayName="Ann " * 100,
        )
        ((raw_id, name),) = names_of(removed)
        self.assertEqual((raw_id, len(name)), (ANN, 256))
        self.assertEqual(list(names_of(event("CallConnected", 0, displayName="Ann"))), [])


class Notes(TestCase):
    def test_say_what_happened(self) -> None:
        error = {"code": 400, "subCode": 8581, "message": "no socket"}
        chunk = {"contentLocation": "https://store.example/1"}
        target = {"rawId": BEN}
        context = {"sipHeaders": {"X-Queue": "7"}, "voipHeaders": {"lang": "en"}}
        for one, text in (
            (event("AnswerFailed", 0), "Answering failed"),
            (
                event("StartRecordingFailed", 0, resultInformation=error),
                "ACS could not start its recording: 400/8581 no socket",
            ),
            (
                event("AddParticipantSucceeded", 0, participant=target, resultInformation=error),
                "Participant added: +15551234567",
            ),
            (
                event("CallTransferAccepted", 0, transferTarget=target),
                "Call transferred: +15551234567",
            ),
            (event("RecordingStateChanged", 0, state="active"), "Recording by ACS: active"),
            (
                event("RecordingStateChanged", 0, recordingState="inactive"),
                "Recording by ACS: inactive",
            ),
            (
                event(
                    "RecordingFileStatusUpdated",
                    0,
                    recordingStorageInfo={"recordingChunks": [chunk, {}, 7]},
                ),
                "Recording of ACS available: https://store.example/1",
            ),
            (
                event("IncomingCall", 0, customContext=context, to=target),
                "Incoming call: from ? to +15551234567; X-Queue = 7; lang = en",
            ),
        ):
            with self.subTest(text):
                (note,) = history_of([one]).notes
                self.assertEqual(note, Note(at(0), one.type, text))

    def test_are_limited_in_length(self) -> None:
        (note,) = history_of([event("RecordingStateChanged", 0, state="x" * 9_000)]).notes
        self.assertEqual(len(note.text), MAX_TEXT)
        self.assertTrue(note.text.endswith("…"))

    def test_are_written_for_known_types_only(self) -> None:
        self.assertEqual(history_of([event("Thunder", 0), event("PlayStarted", 1)]).notes, ())
        self.assertLessEqual(set(ACS_EVENTS), TYPES)


class Types(TestCase):
    def test_lose_their_prefix_and_get_their_usual_case(self) -> None:
        for name, canonical in (
            ("Microsoft.Communication.CallConnected", "CallConnected"),
            ("MICROSOFT.COMMUNICATION.callconnected", "CallConnected"),
            ("Microsoft.Communication.Thunder", "Thunder"),
            ("Microsoft.EventGrid.SubscriptionValidationEvent",) * 2,
        ):
            with self.subTest(name):
                self.assertEqual(canonical_type(name), canonical)
