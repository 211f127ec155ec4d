"""Origins that may open a browser's socket."""

from __future__ import annotations

from typing import Any

from django.test import SimpleTestCase, override_settings

from calls.live.origin import is_same_origin


def handshake(
    origin: str | None, host: str = "calls.example.org", scheme: str = "ws", **headers: str
) -> dict[str, Any]:
    named = {"host": host, **headers} | ({} if origin is None else {"origin": origin})
    return {
        "scheme": scheme,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
    }


@override_settings(
    ALLOWED_HOSTS=["calls.example.org"], CSRF_TRUSTED_ORIGINS=["https://console.example.org"]
)
class Origins(SimpleTestCase):
    def test_of_this_host_may_connect(self) -> None:
        self.assertTrue(is_same_origin(handshake("http://calls.example.org")))
        self.assertTrue(is_same_origin(handshake("https://calls.example.org", scheme="wss")))
        self.assertTrue(
            is_same_origin(handshake("http://calls.example.org:8000", "calls.example.org:8000"))
        )
        self.assertTrue(
            is_same_origin(handshake("http://calls.example.org", "calls.example.org:80"))
        )

    def test_behind_a_tls_proxy_are_compared_with_its_header(self) -> None:
        secure = {"x-forwarded-proto": "https"}
        self.assertTrue(is_same_origin(handshake("https://calls.example.org", **secure)))
        self.assertFalse(is_same_origin(handshake("http://calls.example.org", **secure)))

    def test_that_are_trusted_may_connect(self) -> None:
        self.assertTrue(is_same_origin(handshake("https://console.example.org")))

    def test_of_other_hosts_are_refused(self) -> None:
        for origin in (
            "http://evil.example.org",
            "http://calls.example.org.evil.org",
            "http://sub.calls.example.org",
            "http://calls.example.org:8001",
            "https://calls.example.org",
            "http://calls.example.org:99999",
            "http://[::1",
            "null",
            "",
            None,
        ):
            with self.subTest(origin):
                self.assertFalse(is_same_origin(handshake(origin)))

    def test_of_an_unknown_host_are_refused_even_by_that_host(self) -> None:
        self.assertFalse(is_same_origin(handshake("http://evil.example.org", "evil.example.org")))

    @override_settings(ALLOWED_HOSTS=["*"])
    def test_of_other_hosts_are_refused_even_if_every_host_name_is_allowed(self) -> None:
        self.assertFalse(is_same_origin(handshake("http://evil.example.org")))
        self.assertTrue(is_same_origin(handshake("http://calls.example.org")))
