"""Addresses that belong to no room."""

from django.contrib.staticfiles import finders
from django.test import SimpleTestCase


class Icon(SimpleTestCase):
    def test_pages_that_name_no_icon_get_ours(self) -> None:
        answer = self.client.get("/favicon.ico")
        self.assertEqual((answer.status_code, answer["Location"]), (302, "/static/calls/icon.svg"))
        self.assertIsNotNone(finders.find("calls/icon.svg"))
