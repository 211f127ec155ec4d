"""Faults: laws that hold for all of them, and examples of each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from streams.simulator.scenario.faults import FAITHFUL, Delivery, Faults, Packet, Stall, delivered
from streams.simulator.scenario.schedule import spoken

MS = 1000
SECOND = 1_000_000

counts = st.lists(st.integers(0, 150), min_size=1, max_size=4)
stalls = st.lists(
    st.builds(Stall, st.integers(0, 3 * SECOND), st.integers(0, 2 * SECOND)), max_size=3
).map(tuple)
shares = st.floats(0, 1)
every_fault = st.builds(
    Faults,
    jitter_us=st.integers(0, 200 * MS),
    loss=shares,
    lose_every=st.integers(0, 20),
    stalls=stalls,
    reorder=shares,
    duplicates=shares,
    spacing_us=st.integers(0, 20 * MS),
    seed=st.integers(),
)
lossless = every_fault.map(lambda faults: replace(faults, loss=0, lose_every=0))


def deliveries(packets: list[Packet], faults: Faults) -> list[Delivery]:
    return list(delivered(packets, faults))


def one_voice(count: int) -> list[Packet]:
    return list(spoken([count]))


class FaultLawsTests(TestCase):
    @given(counts)
    def test_without_faults_every_packet_is_delivered_once_on_time_and_in_order(
        self, lengths: list[int]
    ) -> None:
        packets = list(spoken(lengths))
        expected = [Delivery(packet, packet.spoken_us, packet.spoken_us) for packet in packets]
        self.assertEqual(deliveries(packets, FAITHFUL), expected)

    @given(counts, lossless)
    def test_without_loss_every_packet_arrives_and_only_copies_come_twice(
        self, lengths: list[int], faults: Faults
    ) -> None:
        packets = list(spoken(lengths))
        firsts = [delivery.packet for delivery in deliveries(packets, faults) if not delivery.copy]
        self.assertCountEqual(firsts, packets)

    @given(counts, every_fault)
    def test_only_spoken_packets_arrive_and_no_original_twice(
        self, lengths: list[int], faults: Faults
    ) -> None:
        packets = list(spoken(lengths))
        firsts = [delivery.packet for delivery in deliveries(packets, faults) if not delivery.copy]
        self.assertEqual(len(firsts), len(set(firsts)))
        self.assertLessEqual(set(firsts), set(packets))

    @given(counts, every_fault)
    def test_timestamps_rise_by_the_spacing_in_the_order_spoken(
        self, lengths: list[int], faults: Faults
    ) -> None:
        found = deliveries(list(spoken(lengths)), faults)
        for voice in range(len(lengths)):
            firsts = [d for d in found if d.packet.voice == voice and not d.copy]
            one = sorted(firsts, key=lambda d: d.packet.number)
            received = [delivery.received_us for delivery in one]
            self.assertTrue(
                all(after - before >= faults.spacing_us for before, after in pairwise(received))
            )

    @given(counts, every_fault)
    def test_packets_are_sent_in_order_of_time_and_never_before_they_are_received_or_spoken(
        self, lengths: list[int], faults: Faults
    ) -> None:
        found = deliveries(list(spoken(lengths)), faults)
        self.assertEqual([d.sent_us for d in found], sorted(d.sent_us for d in found))
        for delivery in found:
            self.assertLessEqual(delivery.packet.spoken_us, delivery.received_us)
            self.assertLessEqual(delivery.received_us, delivery.sent_us)

    @given(counts, every_fault)
    def test_a_copy_has_the_timestamp_of_its_first_and_comes_after_it(
        self, lengths: list[int], faults: Faults
    ) -> None:
        firsts: dict[Packet, Delivery] = {}
        for delivery in deliveries(list(spoken(lengths)), faults):
            if delivery.copy:
                self.assertEqual(delivery.received_us, firsts[delivery.packet].received_us)
            else:
                firsts[delivery.packet] = delivery

    @given(counts, every_fault)
    def test_the_same_seed_gives_the_same_faults(self, lengths: list[int], faults: Faults) -> None:
        packets = list(spoken(lengths))
        self.assertEqual(deliveries(packets, faults), deliveries(packets, faults))

    @given(st.integers(0, 2**32), st.integers(1, 100))
    def test_switching_on_jitter_and_duplicates_loses_no_other_packets(
        self, seed: int, jitter_ms: int
    ) -> None:
        packets = one_voice(200)
        plain = {d.packet for d in delivered(packets, Faults(loss=0.3, seed=seed))}
        more = Faults(loss=0.3, jitter_us=jitter_ms * MS, duplicates=0.5, reorder=0.5, seed=seed)
        self.assertEqual({d.packet for d in delivered(packets, more)}, plain)


class FaultExamplesTests(TestCase):
    def test_lose_every_17_loses_the_17th_the_34th_and_so_on_of_each_voice(self) -> None:
        found = deliveries(list(spoken([40, 40])), Faults(lose_every=17))
        for voice in (0, 1):
            numbers = [d.packet.number for d in found if d.packet.voice == voice]
            self.assertEqual(sorted(set(range(40)) - set(numbers)), [16, 33])

    def test_a_stall_holds_its_packets_and_then_sends_them_at_once_in_order(self) -> None:
        found = deliveries(
            one_voice(200), Faults(stalls=(Stall(SECOND, 2 * SECOND),), spacing_us=0)
        )
        held = found[50:150]
        self.assertEqual([d.packet.number for d in found], list(range(200)))
        self.assertEqual({d.received_us for d in held}, {3 * SECOND})
        self.assertEqual({d.sent_us for d in held}, {3 * SECOND})
        self.assertEqual(found[49].received_us, 49 * 20 * MS)
        self.assertEqual(found[150].received_us, 3 * SECOND)
        self.assertEqual(found[151].received_us, 151 * 20 * MS)

    def test_packets_of_a_burst_have_different_timestamps(self) -> None:
        found = deliveries(one_voice(200), Faults(stalls=(Stall(SECOND, 2 * SECOND),)))
        self.assertEqual([d.received_us for d in found[50:53]], [3000 * MS, 3001 * MS, 3002 * MS])
        self.assertEqual(len({d.received_us // MS for d in found}), 200)
        self.assertEqual(found[156].received_us, 156 * 20 * MS)

    def test_reordering_changes_the_order_of_sending_but_no_timestamp(self) -> None:
        found = deliveries(one_voice(200), Faults(reorder=0.2))
        numbers = [d.packet.number for d in found]
        self.assertNotEqual(numbers, sorted(numbers))
        self.assertTrue(all(d.received_us == d.packet.spoken_us for d in found))

    def test_a_loss_of_one_half_loses_about_one_half(self) -> None:
        self.assertAlmostEqual(
            len(deliveries(one_voice(2000), Faults(loss=0.5))) / 2000, 0.5, delta=0.05
        )

    def test_jitter_stays_below_its_maximum_and_varies(self) -> None:
        late = [
            d.received_us - d.packet.spoken_us
            for d in deliveries(one_voice(500), Faults(jitter_us=15 * MS))
        ]
        self.assertLess(max(late), 15 * MS)
        self.assertGreater(len(set(late)), 400)

    def test_the_stream_of_a_day_is_not_held_in_memory(self) -> None:
        day = delivered(spoken([24 * 3600 * 50]), Faults(jitter_us=30 * MS))
        self.assertEqual([next(day).packet.number for _ in range(3)], [0, 1, 2])
