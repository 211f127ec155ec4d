"""REST in a real browser: the schema's page under the strict CSP, and a recording in an audio
element.
"""

from __future__ import annotations

from tests.browser.server import BrowserTestCase
from tests.calls.rows import make_conversation, url_of

PLAY = """
async url => {
  const audio = document.createElement("audio");
  audio.muted = true;
  audio.src = url;
  const event = name => new Promise((done, failed) => {
    audio.addEventListener(name, done, { once: true });
    audio.addEventListener("error", () => failed(new Error(audio.error.message)), { once: true });
  });
  audio.load();
  await event("loadedmetadata");
  const length = audio.duration;
  audio.currentTime = 2.5;
  await event("seeked");
  return { length, position: audio.currentTime };
}
"""


BRIGHTNESS = """element => {
  const mean = colour => colour.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0) / 3;
  let at = element;
  while (/, 0\\)$/.test(getComputedStyle(at).backgroundColor)) at = at.parentElement;
  return {
    background: mean(getComputedStyle(at).backgroundColor),
    text: mean(getComputedStyle(element).color),
  };
}"""


class DocsPageTests(BrowserTestCase):
    def test_the_page_shows_every_address_without_a_csp_violation(self) -> None:
        for width in (1440, 390):
            with (
                self.subTest(width=width),
                self.window(viewport={"width": width, "height": 900}) as page,
            ):
                page.goto("/api/docs/")
                page.wait_for_selector(".opblock")
                self.assertEqual(page.locator(".opblock").count(), 16)
                self.assertIn("acsmedia", page.locator(".info .title").inner_text())
                self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
                self.assertEqual(self.console, [])

    def test_the_page_has_the_head_of_the_site_and_a_dark_mode(self) -> None:
        for scheme, is_dark in (("dark", True), ("light", False)):
            with self.window(color_scheme=scheme) as page:
                page.goto("/api/docs/")
                page.wait_for_selector(".opblock")
                current = page.get_by_role("navigation", name="Main").locator("[aria-current]")
                self.assertEqual(current.inner_text(), "API")
                for selector in ("body", ".swagger-ui .info .title"):
                    light = page.locator(selector).evaluate(BRIGHTNESS)
                    self.assertEqual(light["background"] < 80, is_dark, selector)
                    self.assertEqual(light["text"] > 160, is_dark, selector)
                self.assertEqual(self.console, [])

    def test_a_request_can_be_tried_out(self) -> None:
        call, *_ = make_conversation()
        with self.window() as page:
            page.goto("/api/docs/")
            page.click(
                "#operations-api-calls .opblock-summary-control, [id$=-calls] "
                ".opblock-summary-control"
            )
            page.click("text=Try it out")
            page.click("text=Execute")
            page.wait_for_selector(".live-responses-table .response-col_status >> text=200")
            self.assertIn(str(call.id), page.locator(".live-responses-table").inner_text())


class PlayerTests(BrowserTestCase):
    def test_formats_of_known_size_play_and_seek_while_they_are_loaded(self) -> None:
        call, *_ = make_conversation()
        with self.window() as page:
            page.goto("/api/docs/")
            for name in ("wav", "mp3"):
                with self.subTest(name):
                    played = page.evaluate(PLAY, url_of(call, f"audio?format={name}"))
                    self.assertAlmostEqual(played["length"], 3.0, delta=0.05)
                    self.assertAlmostEqual(played["position"], 2.5, delta=0.05)
