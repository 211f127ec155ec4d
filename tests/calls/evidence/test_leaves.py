"""Leaves of a call: what differs has other bytes, and the order of the rows does not matter."""

from __future__ import annotations

import json
from dataclasses import replace

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from calls.evidence.leaves import CallLeaves, GapLeaf, SegmentLeaf, TrackLeaves

SHA = "ab" * 32
FIRST = SegmentLeaf(16_000, 8_000, 16_000, SHA)
SECOND = SegmentLeaf(48_000, 8_000, 16_000, SHA)
GAP = GapLeaf("gap", "not_received", 1_500_000, 3_000_000, 24_000, 24_000, 16_000)
PAUSE = GapLeaf("pause", "card number", 3_500_000, None)
TRACK = TrackLeaves("p1", "4:+15551234567", (FIRST, SECOND), (GAP,))
CALL = CallLeaves("c1", "connection", "correlation", 1, 9, 1, 0, (TRACK,), (PAUSE,))


def parsed(call: CallLeaves) -> list[dict[str, object]]:
    return [json.loads(line) for line in call.lines()]


class Leaves(SimpleTestCase):
    def test_bytes_are_canonical(self) -> None:
        lines = list(CALL.lines())
        self.assertEqual(
            lines[1],
            b'{"leaf":"segment","rate":16000,"samples":8000,"sha256":"'
            + SHA.encode()
            + b'","start":16000,"track":1}',
        )
        for line in lines:
            again = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"))
            self.assertEqual(again.encode(), line)

    def test_the_first_leaf_states_the_call(self) -> None:
        call = parsed(CALL)[0]
        self.assertEqual(call["leaves"], 5)
        self.assertEqual(call["gaps"], 1)
        self.assertEqual(
            call["tracks"],
            [
                {
                    "participant": "p1",
                    "raw_id": "4:+15551234567",
                    "segments": 2,
                    "samples": 16_000,
                    "gaps": 1,
                }
            ],
        )

    def test_segments_and_gaps_are_in_order_of_time(self) -> None:
        found = [(one["leaf"], one["track"]) for one in parsed(CALL)[1:]]
        self.assertEqual(found, [("segment", 1), ("gap", 1), ("segment", 1), ("gap", 0)])

    def test_gaps_without_a_place_have_their_time(self) -> None:
        early = GapLeaf("gap", "not_received", 500_000, 900_000)
        track = replace(TRACK, gaps=(GAP, early))
        self.assertEqual(next(one.start for one in track.in_order()), early.start)

    def test_texts_are_ascii(self) -> None:
        call = replace(CALL, gaps=(replace(PAUSE, reason="größer\n"),))
        self.assertTrue(all(line.isascii() and b"\n" not in line for line in call.lines()))

    def test_every_difference_has_other_bytes(self) -> None:
        changed = [
            replace(CALL, call="c2"),
            replace(CALL, started_us=2),
            replace(CALL, ended_us=None),
            replace(CALL, open_sockets=1),
            replace(CALL, gaps=()),
            replace(CALL, tracks=(replace(TRACK, raw_id=""),)),
            replace(CALL, tracks=(replace(TRACK, segments=(FIRST,)),)),
            replace(CALL, tracks=(replace(TRACK, gaps=(replace(GAP, sample_count=1),)),)),
        ]
        texts = {b"\n".join(call.lines()) for call in [CALL, *changed]}
        self.assertEqual(len(texts), 1 + len(changed))

    @given(st.permutations([FIRST, SECOND, GAP]))
    def test_the_order_of_rows_does_not_matter(self, rows: list[SegmentLeaf | GapLeaf]) -> None:
        segments = [one for one in rows if isinstance(one, SegmentLeaf)]
        gaps = [one for one in rows if isinstance(one, GapLeaf)]
        call = replace(CALL, tracks=(replace(TRACK, segments=segments, gaps=gaps),))
        self.assertEqual(list(call.lines()), list(CALL.lines()))
        self.assertEqual(call.count, len(list(call.lines())))
