"""Addresses outside the apps."""

from django.contrib.staticfiles import finders
from django.test import SimpleTestCase


class Icon(SimpleTestCase):
    def test_pages_without_an_icon_get_the_default_one(self) -> None:
        answer = self.client.get("/favicon.ico")
        self.assertEqual((answer.status_code, answer["Location"]), (302, "/static/calls/icon.svg"))
        self.assertIsNotNone(finders.find("calls/icon.svg"))
