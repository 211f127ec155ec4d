"""The length of a conversation."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.scenario.audio import Clip, tone
from streams.simulator.scenario.schedule import Absence, Conversation, Say, ScriptedVoice


def conversation(*packets: int) -> Conversation:
    """Returns participants who say this many packets of 20 ms each."""
    sine = tone(440, 16_000)
    return Conversation(
        tuple(
            ScriptedVoice(f"4:+1555010{index:04d}", Clip(sine, 16_000, count / 50))
            for index, count in enumerate(packets)
        ),
        16_000,
    )


class LengthTests(TestCase):
    def test_it_is_that_of_the_longest_participant(self) -> None:
        self.assertEqual(conversation(10, 50, 25).length_us, 1_000_000)

    @given(st.lists(st.integers(1, 60), min_size=1, max_size=3))
    def test_the_last_packet_begins_20_ms_before_the_end(self, packets: list[int]) -> None:
        script = conversation(*packets)
        last = max(event.at_us for event in script.events(0) if isinstance(event, Say))
        self.assertEqual(script.length_us, last + 20_000)

    def test_an_absence_does_not_change_it(self) -> None:
        script = conversation(50)
        away = Conversation(script.voices, 16_000, absences=(Absence(500_000, 400_000),))
        self.assertEqual(away.length_us, script.length_us)
