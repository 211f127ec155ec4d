"""Steps that hold, and steps that do not."""

from __future__ import annotations

import json
from unittest import TestCase

from bench.figures import Figures
from bench.spool_watch import Waiting
from bench.step import note_backlog
from bench.table import step_line, table


def good() -> Figures:
    return Figures(
        "ours-uvicorn",
        calls=100,
        seconds=30,
        packets_sent=1000,
        packets_stored=1000,
        gaps=0,
        lag_p99_ms=12.0,
        unwritten_p99_ms=12.0,
        levels_p95_ms=180.0,
        levels_after_end_seconds=0.4,
        seal_lag_seconds=2.0,
        backlog=(10.0, 12.0),
        late_p99_ms=2.0,
    )


class Faults(TestCase):
    def test_a_good_step_holds(self) -> None:
        self.assertEqual(good().faults(), [])
        self.assertTrue(good().is_valid)

    def test_each_broken_promise_is_named(self) -> None:
        for name, value, fault in (
            ("packets_stored", 998, "2 packets lost"),
            ("packets_too_many", 3, "3 packets too many"),
            ("gaps", 1, "1 gaps"),
            ("broken", {"7": "refused: 503"}, "1 calls: refused: 503"),
            ("lag_p99_ms", 51.0, "journal p99 51 ms"),
            ("unwritten_p99_ms", 51.0, "unwritten p99 51 ms"),
            ("levels_p95_ms", 251.0, "levels p95 251 ms"),
            ("levels_after_end_seconds", 3.0, "levels 3.0 s after the end"),
            ("seal_lag_seconds", 11.0, "sealing 11 s behind"),
            ("backlog", (100.0, 180.0), "backlog grows from 100 to 180"),
        ):
            with self.subTest(name):
                figures = good()
                setattr(figures, name, value)
                self.assertEqual(figures.faults(), [fault])
                self.assertIn(fault, step_line(figures))

    def test_a_late_generator_makes_a_step_invalid_without_a_fault(self) -> None:
        figures = good()
        figures.late_p99_ms = 10.5
        self.assertEqual((figures.is_valid, figures.faults()), (False, []))
        self.assertIn("NOT VALID", step_line(figures))

    def test_a_row_without_journals_and_browsers_is_checked_for_the_rest(self) -> None:
        self.assertEqual(Figures("raw-sockets", 10, 30, 100, 100).faults(), [])

    def test_figures_are_json(self) -> None:
        results = json.loads(json.dumps(good().as_json()))
        self.assertEqual((results["calls"], results["valid"], results["faults"]), (100, True, []))


class Backlogs(TestCase):
    def test_thirds_are_compared_and_the_longest_wait_is_kept(self) -> None:
        figures = good()
        note_backlog(figures, [Waiting(float(at), 10 * at, at / 2) for at in range(9)])
        self.assertEqual(figures.backlog, (10.0, 70.0))
        self.assertEqual(figures.seal_lag_seconds, 4.0)


class Tables(TestCase):
    def test_a_table_is_aligned_markdown(self) -> None:
        self.assertEqual(
            table(("row", "calls"), [("ours", "120"), ("the other", "9")]),
            "| row       | calls |\n| --------- | ----: |\n| ours      |   120 |\n| the other |  "
            "   9 |",
        )
