"""The order of participants in lists and exports: first audio, then order of arrival."""

from __future__ import annotations

from django.test import TestCase
from msgspec import structs

from calls.models import Call, Participant
from calls.times import from_microseconds
from streams.sealing import rows
from tests.streams.journals import handshake_of
from tests.streams.packets import RATE, START_US
from tests.streams.written import NOW, addition, announce, later, open_facts, segment, write


def order() -> list[str]:
    """Returns the raw ids of the participants in the order of all lists and exports."""
    return list(Participant.objects.values_list("raw_id", flat=True))


class OrderOfVoices(TestCase):
    def test_voices_that_begin_together_have_the_order_of_arrival(self) -> None:
        raw_ids = [f"{number * 7 % 10}" for number in range(10)]
        handshake = handshake_of()
        heard = [segment(0, RATE, raw_id=raw_id) for raw_id in sorted(raw_ids)]
        rows.write([addition(handshake, heard, voices=raw_ids)], NOW)
        self.assertEqual(order(), raw_ids)

    def test_a_voice_that_begins_earlier_comes_first_whenever_it_arrived(self) -> None:
        heard = [segment(1, RATE, raw_id="a"), segment(0, RATE, raw_id="b")]
        rows.write([addition(handshake_of(), heard, voices=["a", "b", "silent"])], NOW)
        self.assertEqual(order(), ["b", "a", "silent"])

    def test_the_order_of_arrival_is_that_of_the_socket_with_the_earliest_audio(self) -> None:
        """In whatever order the two sockets are sealed."""
        first = handshake_of()
        second = later(first, 30)
        files = [
            addition(
                handshake,
                [segment(start, RATE, raw_id=raw_id) for raw_id in "ab"],
                voices=voices,
            )
            for handshake, start, voices in ((first, 1, "ba"), (second, 30 * RATE + 1, "ab"))
        ]
        found = []
        for additions in (files, files[::-1]):
            Call.objects.all().delete()
            for one in additions:
                rows.write([one], NOW)
            found.append((order(), list(Participant.objects.values_list("voice", flat=True))))
        self.assertEqual(found, [(["b", "a"], [0, 1])] * 2)

    def test_a_participant_of_the_version_before_gets_no_order_from_later_files(self) -> None:
        handshake = handshake_of()
        write(handshake, [segment(0, RATE)])
        Participant.objects.update(voice=None)
        following = structs.replace(handshake, sequence=1)
        rows.write([addition(following, [segment(RATE, RATE)], voices=["p"])], NOW)
        self.assertEqual(
            Participant.objects.values_list("voice", "heard_until").get(),
            (None, from_microseconds(START_US + 2_000_000)),
        )

    def test_voices_have_the_order_of_arrival_before_they_are_sealed(self) -> None:
        handshake = handshake_of()
        announce(handshake, [open_facts(handshake)], ["b", "c", "a"])
        self.assertEqual(order(), ["b", "c", "a"])
