"""The events of a conversation and their times."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.scenario.audio import Clip, tone
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.schedule import (
    Absence,
    Conversation,
    Disconnect,
    Event,
    Press,
    Reconnect,
    Say,
    ScriptedVoice,
    presses,
    spoken,
)

SECOND = 1_000_000
STARTED = 1_700_000_000 * SECOND


def voices(*seconds: float) -> tuple[ScriptedVoice, ...]:
    return tuple(
        ScriptedVoice(f"4:+1555010{index:04d}", Clip(tone(440, 16000), 16000, s))
        for index, s in enumerate(seconds)
    )


def events(conversation: Conversation) -> list[Event]:
    return list(conversation.events(STARTED))


def says(conversation: Conversation) -> list[Say]:
    return [event for event in events(conversation) if isinstance(event, Say)]


class ConversationTests(TestCase):
    def test_both_participants_say_a_packet_every_20_ms(self) -> None:
        found = says(Conversation(voices(1, 1), 16000))
        self.assertEqual(
            [(say.voice, say.number) for say in found[:4]], [(0, 0), (1, 0), (0, 1), (1, 1)]
        )
        self.assertEqual(
            [say.at_us for say in found],
            [number * 20_000 for number in range(50) for _ in range(2)],
        )

    def test_a_timestamp_is_the_moment_of_sending_on_the_clock_of_the_call(self) -> None:
        for say in says(Conversation(voices(1), 16000)):
            self.assertEqual(say.timestamp_us, STARTED + say.at_us)

    def test_a_participant_sends_nothing_after_their_last_packet(self) -> None:
        found = says(Conversation(voices(0.2, 1), 16000))
        self.assertEqual(max(say.number for say in found if say.voice == 0), 9)
        self.assertEqual(max(say.number for say in found if say.voice == 1), 49)

    def test_the_length_announced_is_20_ms_in_bytes(self) -> None:
        self.assertEqual(Conversation(voices(1), 16000).metadata.length, 640)
        self.assertEqual(Conversation(voices(1), 24000).metadata.length, 960)

    def test_a_reconnect_closes_reopens_and_loses_the_packets_in_between(self) -> None:
        found = events(Conversation(voices(2), 16000, absences=(Absence(SECOND // 2, SECOND),)))
        self.assertEqual([e.at_us for e in found if isinstance(e, Disconnect)], [SECOND // 2])
        self.assertEqual([e.at_us for e in found if isinstance(e, Reconnect)], [3 * SECOND // 2])
        numbers = [event.number for event in found if isinstance(event, Say)]
        self.assertEqual(numbers, [*range(25), *range(75, 100)])

    def test_a_reconnect_without_absence_loses_nothing(self) -> None:
        found = events(Conversation(voices(1), 16000, absences=(Absence(SECOND // 2, 0),)))
        self.assertEqual([e.number for e in found if isinstance(e, Say)], list(range(50)))
        self.assertEqual([type(event) for event in found[24:28]], [Say, Disconnect, Reconnect, Say])

    def test_tones_are_pressed_at_their_times_and_not_while_the_socket_is_closed(self) -> None:
        pressed = tuple(presses(SECOND // 2, "12#"))
        absence = (Absence(700_000, 100_000),)
        found = events(Conversation(voices(1), 16000, presses=pressed, absences=absence))
        tones = [event for event in found if isinstance(event, Press)]
        self.assertEqual(tones, [Press(500_000, "1"), Press(900_000, "#")])

    @given(st.integers(0, 2**16), st.lists(st.floats(0.02, 2), min_size=1, max_size=3))
    def test_events_are_in_order_of_time_and_none_is_sent_while_the_socket_is_closed(
        self, seed: int, seconds: list[float]
    ) -> None:
        faults = Faults(40_000, 0.1, 0, (Stall(200_000, 900_000),), 0.3, 0.2, seed=seed)
        absence = Absence(300_000, 500_000)
        open_, last = True, 0
        for event in events(Conversation(voices(*seconds), 16000, faults, absences=(absence,))):
            self.assertGreaterEqual(event.at_us, last)
            last = event.at_us
            if isinstance(event, Say):
                self.assertTrue(open_)
            else:
                open_ = isinstance(event, Reconnect)

    def test_without_audio_there_are_no_packets(self) -> None:
        self.assertEqual(list(spoken([0, 0])), [])
