"""The zone of the viewer, as a cookie names it."""

from __future__ import annotations

from datetime import UTC, datetime

from django.test import RequestFactory, SimpleTestCase

from calls.http.zones import COOKIE, ViewerZone, viewer_zone
from calls.templatetags.local_times import local_time

NIGHT = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


def zone_of(cookie: str | None) -> ViewerZone:
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES[COOKIE] = cookie
    return viewer_zone(request)


class Zones(SimpleTestCase):
    def test_are_named_by_the_cookie(self) -> None:
        for name in ("Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"):
            with self.subTest(name):
                zone = zone_of(name)
                self.assertEqual((zone.name, str(zone.info), zone.is_known), (name, name, True))

    def test_without_a_cookie_are_utc_and_unknown(self) -> None:
        for cookie in (None, ""):
            zone = zone_of(cookie)
            self.assertEqual((zone.name, zone.info, zone.is_known), ("UTC", UTC, False))

    def test_that_the_server_lacks_are_utc_and_not_asked_for_again(self) -> None:
        for name in (
            *("Mars/Olympus", "Europe", "../../etc/passwd", "/etc/localtime", "zone.tab"),
            *("Asia/Tokyo\0", "x" * 5_000, "Europe/\udcff", "asia/tokyo"),
        ):
            with self.subTest(name[:40]):
                zone = zone_of(name)
                self.assertEqual((zone.name, zone.info, zone.is_known), ("UTC", UTC, True))


class Times(SimpleTestCase):
    def test_are_shown_in_the_zone_with_utc_as_title(self) -> None:
        shown = local_time(NIGHT, zone_of("Asia/Tokyo"), is_focusable=True)
        self.assertHTMLEqual(
            shown,
            '<time class="local" data-style="datetime" datetime="2026-03-02T22:30:00Z"'
            ' title="2026-03-02 22:30:00 UTC" tabindex="0">2026-03-03 07:30:00</time>',
        )
        self.assertIn(
            ">07:30:00<", local_time("2026-03-02T22:30:00Z", zone_of("Asia/Tokyo"), "time")
        )

    def test_of_an_unknown_zone_are_marked_as_utc(self) -> None:
        self.assertIn(">2026-03-02 22:30:00 UTC<", local_time(NIGHT, zone_of(None)))

    def test_at_the_ends_of_the_calendar_are_shown_in_utc(self) -> None:
        first, last = datetime(1, 1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, 20, tzinfo=UTC)
        for moment, zone in ((first, "America/New_York"), (last, "Pacific/Kiritimati")):
            self.assertIn(f"{moment:%H:%M:%S} UTC<", local_time(moment, zone_of(zone)))
