"""The page benchmark requests existing pages, and reports the median of its rounds."""

from __future__ import annotations

from unittest import TestCase
from uuid import uuid4

from django.urls import resolve

from bench import first_paint


class Views(TestCase):
    def test_every_address_is_a_page(self) -> None:
        views = list(first_paint.views_of(uuid4()))
        for view in views:
            with self.subTest(view.name):
                self.assertTrue(callable(resolve(view.path).func))
        self.assertEqual(len({view.name for view in views}), len(views))


class Rounds(TestCase):
    def test_one_slow_round_changes_nothing(self) -> None:
        rounds = [{"paint": paint, "kilobytes": 80.0} for paint in (110.0, 900.0, 130.0)]
        self.assertEqual(first_paint.middle_of(rounds), {"paint": 130.0, "kilobytes": 80.0})
