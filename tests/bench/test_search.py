"""The search for the largest number of calls."""

from __future__ import annotations

from unittest import TestCase

from bench.search import Search


def tries(limit: int, first: int, step: int = 5, most: int = 1000) -> tuple[int, list[int]]:
    """Searches with a server that holds `limit` calls; returns the result and all attempts."""
    search, tried = Search(first, step, most), []
    while search.calls is not None:
        tried.append(search.calls)
        search.note(held=search.calls <= limit)
    return search.held, tried


class Searches(TestCase):
    def test_it_increases_by_a_quarter_and_bisects_after_the_first_failure(self) -> None:
        self.assertEqual(tries(140, 100), (140, [100, 125, 156, 140, 148, 144]))

    def test_it_decreases_if_the_first_attempt_fails(self) -> None:
        held, tried = tries(60, 100)
        self.assertEqual(tried[:3], [100, 80, 64])
        self.assertTrue(55 < held <= 60)

    def test_every_result_has_the_requested_precision(self) -> None:
        for limit in range(1, 400, 7):
            held, tried = tries(limit, 120)
            self.assertLessEqual(held, limit)
            self.assertLess(limit - held, 5)
            self.assertEqual(len(set(tried)), len(tried), "nothing is tried twice")

    def test_it_ends_if_nothing_holds(self) -> None:
        self.assertEqual(tries(0, 10)[0], 0)

    def test_the_limit_is_not_exceeded_and_reported_as_a_bound(self) -> None:
        search = Search(100, 5, 120)
        while search.calls is not None:
            search.note(held=True)
        self.assertEqual((search.held, search.is_bound), (120, True))
