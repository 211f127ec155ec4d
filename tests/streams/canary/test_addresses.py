"""Addresses of an installation."""

from __future__ import annotations

from unittest import TestCase

from streams.canary.addresses import Addresses, addresses_of


class AddressTests(TestCase):
    def test_they_are_below_the_site(self) -> None:
        for site, media, api in (
            ("https://a.example", "wss://a.example/ws/acs/media", "https://a.example/api/v1/"),
            ("http://[::1]:8000/", "ws://[::1]:8000/ws/acs/media", "http://[::1]:8000/api/v1/"),
            (
                *("https://a.example/acs/", "wss://a.example/acs/ws/acs/media"),
                "https://a.example/acs/api/v1/",
            ),
        ):
            with self.subTest(site):
                self.assertEqual(addresses_of(site), Addresses(media, api))

    def test_other_addresses_are_refused(self) -> None:
        for site in (
            *("", "a.example", "ftp://a.example", "https://", "https:///x", "https://a.example:x"),
            *("https://a.example/?token=x", "https://a.example#x", "https://me:x@a.example"),
            *("https://a .example", "https://[::1"),
        ):
            with self.subTest(site), self.assertRaisesRegex(ValueError, "is not an address"):
                addresses_of(site)
