"""`X-Forwarded-Proto` in all the forms that proxies write."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from acsmedia.servers.proxies import with_plain_proto, with_prefix


def scope(*values: str, kind: str = "http") -> dict[str, Any]:
    headers = [(b"host", b"here"), *((b"X-Forwarded-Proto", value.encode()) for value in values)]
    return {"type": kind, "headers": headers}


class ProtoTests(TestCase):
    def test_every_spelling_is_plain(self) -> None:
        for values, plain in (
            (("https",), b"https"),
            (("HTTPS",), b"https"),
            (("wss",), b"https"),
            (("https, wss",), b"https"),
            (("https,http",), b"https"),
            (("http, https",), b"http"),
            (("ws",), b"http"),
            (("",), b"http"),
            (("nonsense",), b"http"),
            (("https", "http"), b"https"),
        ):
            for kind in ("http", "websocket"):
                with self.subTest(values=values, kind=kind):
                    headers = with_plain_proto(scope(*values, kind=kind))["headers"]
                    self.assertEqual(headers, [(b"host", b"here"), (b"x-forwarded-proto", plain)])

    def test_without_the_header_and_without_a_request_nothing_changes(self) -> None:
        for one in (scope(), {"type": "lifespan"}):
            self.assertIs(with_plain_proto(one), one)


class PrefixTests(TestCase):
    def test_the_path_is_below_the_prefix_whether_the_proxy_removes_it_or_not(self) -> None:
        for path, below in (
            ("/", "/acs/"),
            ("/acs", "/acs/"),
            ("/acs/", "/acs/"),
            ("/calls/", "/acs/calls/"),
            ("/acs/calls/", "/acs/calls/"),
            ("/acsmedia", "/acs/acsmedia"),
            ("/ws/acs/media", "/acs/ws/acs/media"),
        ):
            for kind in ("http", "websocket"):
                with self.subTest(path=path, kind=kind):
                    found = with_prefix({"type": kind, "path": path}, "/acs")
                    self.assertEqual((found["path"], found["root_path"]), (below, "/acs"))

    def test_without_a_prefix_and_without_a_request_nothing_changes(self) -> None:
        for one, prefix in (({"type": "http", "path": "/acs/"}, ""), ({"type": "lifespan"}, "/a")):
            self.assertIs(with_prefix(one, prefix), one)
