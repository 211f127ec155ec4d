"""The schedule of calls."""

from __future__ import annotations

from unittest import TestCase

from bench.frames import PACKET_US
from bench.plan import plan
from bench.spool_watch import to_keep


class Plans(TestCase):
    def test_calls_are_spread_evenly_over_the_time_between_two_packets(self) -> None:
        offsets = [call.offset_us for call in plan(["ws://a"], 40, 1).calls]
        self.assertEqual(offsets, list(range(0, PACKET_US, PACKET_US // 40)))

    def test_calls_start_one_after_the_other_and_before_the_window(self) -> None:
        load = plan(["ws://a"], 100, 30, ramp_seconds=10)
        starts = [call.first_period for call in load.calls]
        self.assertEqual(starts, sorted(starts))
        self.assertEqual((starts[0], starts[50], starts[-1]), (1, 251, 496))
        self.assertGreater(load.window[0], starts[-1])
        self.assertEqual(load.window[1] - load.window[0], 1500)

    def test_calls_are_distributed_over_the_servers(self) -> None:
        urls = [call.url for call in plan(["ws://a", "ws://b"], 5, 1).calls]
        self.assertEqual(urls, ["ws://a", "ws://b", "ws://a", "ws://b", "ws://a"])

    def test_no_two_calls_or_voices_share_an_id(self) -> None:
        calls = plan(["ws://a"], 300, 1).calls
        self.assertEqual(len({call.connection_id for call in calls}), 300)
        self.assertEqual(len({raw_id for call in calls for raw_id in call.raw_ids}), 600)


class Keeping(TestCase):
    def test_few_calls_of_a_short_run_are_all_kept_and_many_of_a_long_run_are_sampled(self) -> None:
        ids = [str(number) for number in range(400)]
        self.assertEqual(len(to_keep(ids[:50], 30)), 50)
        self.assertEqual(len(to_keep(ids, 30)), 200)
        self.assertEqual(to_keep(ids, 1800), {"0", "134", "268"})
        self.assertEqual(to_keep(ids, 1_000_000), {"0"})
