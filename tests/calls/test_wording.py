"""Texts for alarms, events and close codes."""

from __future__ import annotations

from unittest import TestCase

from calls.search import STATES
from calls.wording import (
    ALARM_SEVERITIES,
    ALARMS,
    CALL_STATES,
    INSTALLATION_ALARMS,
    close_text,
    event_text,
    gap_text,
    missing_text,
    refusal_text,
    repeated_text,
    severity_of,
)
from streams.live.alarm_rules import PROCESS_ALARMS, STREAM_ALARMS


class Texts(TestCase):
    def test_exist_for_every_alarm_and_every_state(self) -> None:
        self.assertEqual(set(ALARMS), {*STREAM_ALARMS, *PROCESS_ALARMS, *INSTALLATION_ALARMS})
        ranked = [name for names in ALARM_SEVERITIES.values() for name in names]
        self.assertEqual(sorted(ranked), sorted(ALARMS), "each has one severity")
        self.assertEqual(list(CALL_STATES), [name for name, _label in STATES])

    def test_severities_are_known_for_alarms_of_later_versions_too(self) -> None:
        for name, severity in (("stalled", "critical"), ("too_low", "minor"), ("new", "major")):
            with self.subTest(name):
                self.assertEqual(severity_of(name), severity)

    def test_of_missing_time_are_those_of_gaps_of_acs_and_of_refusals(self) -> None:
        for reason, text in (
            ("not_connected", "no socket open"),
            ("never_streamed", "ACS never opened a media socket"),
            ("streamConnectionInterrupted", "ACS lost its connection"),
            ("refused_wrong_stream_token", "refused: wrong stream token in the address"),
            ("refused_later", "refused: later"),
            ("of a later version", "of a later version"),
        ):
            with self.subTest(reason):
                self.assertEqual(missing_text(reason), text)

    def test_of_missing_time_name_a_code_of_acs(self) -> None:
        self.assertEqual(missing_text("8603"), "ACS could not stream (8603)")

    def test_of_refusals_of_later_versions_are_their_names(self) -> None:
        self.assertIn("check ACS_RESOURCE_ID", refusal_text("wrong_audience"))
        self.assertEqual(refusal_text("of_a_later_version"), "of_a_later_version")

    def test_of_events_include_their_details(self) -> None:
        for kind, reason, detail, text in (
            ("dtmf", "", {"tone": "1"}, "DTMF 1 (keypad)"),
            ("reconnect", "", {}, "Reconnected"),
            ("recovered", "", {}, "Recorder stopped unexpectedly; its audio was recovered"),
            ("clock_jump", "back", {"seconds": -3.21}, "Audio clock jumped back by 3.2 s"),
            (
                *("rate_change", "", {"before": 16000, "after": 24000}),
                "Sample rate changed from 16000 to 24000 Hz",
            ),
            ("gap", "not_written", {}, "Audio missing: disk error"),
            ("alarm", "one_way", {}, "One-way audio: nothing heard"),
            ("damage", "audio_missing", {}, "Stored audio is missing"),
            (
                *("damage", "audio_damaged", {"resolved_at": "2026-03-02T09:30:00Z"}),
                "Stored audio was damaged and has been restored",
            ),
            ("listening", "", {"user": "olga"}, "olga listened in"),
            (
                *("alarm_handled", "acknowledged", {"user": "olga", "alarm": "stalled"}),
                "olga acknowledged the alarm: Audio stalled",
            ),
            ("alarm_handled", "eaten", {}, "Someone eaten: Alarm"),
        ):
            with self.subTest(kind):
                self.assertEqual(event_text(kind, reason, detail), text)

    def test_of_events_that_repeat_count_them_and_give_their_lengths(self) -> None:
        for text, arguments in (
            (
                "41 gaps of about 0.07 s: not received",
                ("gap", "not_received", "Audio missing: not received", 41, [0.07] * 41),
            ),
            (
                "3 gaps of 0.50 to 9.0 s: eaten",
                ("gap", "eaten", "Audio missing: eaten", 3, [0.5, 2.0, 9.0]),
            ),
            ("Reconnected, 3 times", ("reconnect", "", "Reconnected", 3, [])),
            ("Too quiet, 4 times", ("alarm", "too_low", "Too quiet", 4, [1.0] * 4)),
        ):
            with self.subTest(text):
                self.assertEqual(repeated_text(*arguments), text)

    def test_of_unknown_kinds_reasons_and_codes_fall_back_to_their_names(self) -> None:
        self.assertEqual(event_text("thunder", "near", {}), "thunder near")
        self.assertEqual(event_text("damage", "eaten", {}), "Damage: eaten")
        self.assertEqual(gap_text("eaten"), "Audio missing: eaten")
        self.assertEqual(event_text("alarm", "fire", {}), "fire")
        self.assertEqual(close_text(4999), "closed")

    def test_of_close_codes_describe_the_end_of_the_socket(self) -> None:
        self.assertEqual(close_text(1000), "closed normally")
        self.assertEqual(close_text(None), "connection lost, or the recorder crashed")
