"""One POST over real sockets: checked addresses, TLS, bounded time and size, no redirects."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import SimpleTestCase, override_settings

from calls.notifications.webhooks import http_post
from calls.notifications.webhooks.http_post import AddressRefused, DeliveryError, check_url, post
from tests.calls.notifications.webhooks.receiver import (
    Receiver,
    drip,
    free_port,
    hang,
    status,
)

HEADERS = {"webhook-id": "1"}


def make_certificate(folder: Path, *names: str) -> Path:
    """Writes a self-signed certificate and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / f"{names[0]}.pem"
    private = key.private_bytes(encoding, form, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


@contextmanager
def resolving(*answers: str) -> Iterator[list[str]]:
    """Lets names resolve to these addresses, one after the other; yields the names asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        asked.append(host)
        address = answers[min(len(asked), len(answers)) - 1]
        family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    with patch("socket.getaddrinfo", resolve):
        yield asked


@override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
class Posts(SimpleTestCase):
    def test_send_body_headers_host_and_path(self) -> None:
        with Receiver() as receiver:
            answer = post(f"{receiver.url}?a=1&b=é", "dübel".encode(), HEADERS)
            (request,) = receiver.requests
            self.assertEqual((answer.status, request.body.decode()), (200, "dübel"))
            self.assertEqual(request.path, "/hook?a=1&b=%C3%A9")
            self.assertEqual(request.headers["host"], f"localhost:{receiver.port}")
            self.assertEqual(request.headers["webhook-id"], "1")

    def test_return_any_status_with_the_beginning_of_the_body(self) -> None:
        with Receiver() as receiver:
            receiver.reply(status(500, b"x" * 10_000_000, Retry_After="7"))
            began = time.monotonic()
            answer = post(receiver.url, b"{}", HEADERS)
            self.assertEqual((answer.status, answer.retry_after), (500, "7"))
            self.assertEqual(answer.body, b"x" * http_post.MAX_ANSWER_BYTES)
            self.assertLess(time.monotonic() - began, 5)

    def test_do_not_follow_redirects(self) -> None:
        with Receiver() as receiver, Receiver() as other:
            receiver.reply(status(302, Location=other.url))
            self.assertEqual(post(receiver.url, b"{}", HEADERS).status, 302)
            self.assertEqual(other.requests, [])

    def test_ignore_proxies_of_the_environment(self) -> None:
        proxy = f"http://127.0.0.1:{free_port()}"
        with patch.dict("os.environ", {"http_proxy": proxy, "all_proxy": proxy}), Receiver() as own:
            self.assertEqual(post(own.url, b"{}", HEADERS).status, 200)

    def test_to_nobody_are_an_error(self) -> None:
        with self.assertRaisesMessage(DeliveryError, "Connection refused"):
            post(f"http://localhost:{free_port()}/", b"{}", HEADERS)
        with self.assertRaisesMessage(DeliveryError, "cannot be resolved"):
            post("http://nobody.invalid/", b"{}", HEADERS)

    def test_to_something_else_are_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                client, _ = server.accept()
                with client:
                    client.recv(1000)
                    client.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            with self.assertRaisesMessage(DeliveryError, "not HTTP"):
                post(f"http://localhost:{server.getsockname()[1]}/", b"{}", HEADERS)
            thread.join()


@override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
@patch.object(http_post, "TOTAL_SECONDS", 1.0)
class Deadlines(SimpleTestCase):
    def seconds_of_failure(self, answer: Any) -> float:
        with Receiver() as receiver:
            receiver.reply(answer)
            began = time.monotonic()
            with self.assertRaisesMessage(DeliveryError, "no answer within 1 s"):
                post(receiver.url, b"{}", HEADERS)
            return time.monotonic() - began

    def test_end_a_request_that_is_not_answered(self) -> None:
        self.assertLess(self.seconds_of_failure(hang(4)), 3)

    def test_end_an_answer_that_comes_byte_by_byte(self) -> None:
        self.assertLess(self.seconds_of_failure(drip(4)), 3)

    def test_do_not_turn_a_status_with_a_hanging_body_into_a_failure(self) -> None:
        def answer(handler: Any, _request: Any) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            time.sleep(4)

        with Receiver() as receiver:
            receiver.reply(answer)
            began = time.monotonic()
            self.assertEqual(post(receiver.url, b"{}", HEADERS).body, b"abc")
            self.assertLess(time.monotonic() - began, 3)

    def test_end_connections_that_are_not_accepted(self) -> None:
        class Silent(socket.socket):
            def connect(self, _address: Any) -> None:
                time.sleep(self.gettimeout() or 0)
                raise TimeoutError

        limit = patch.object(http_post, "CONNECT_SECONDS", 0.2)
        silent = patch("socket.socket", Silent)
        message = "no connection within 0.2 s"
        with limit, silent, self.assertRaisesMessage(DeliveryError, message):
            post("http://localhost/", b"{}", HEADERS)


class Tls(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate = make_certificate(Path(folder.name), "localhost")
        self.other = make_certificate(Path(folder.name), "other.example")

    def trusting(self, *paths: Path) -> Any:
        def context() -> ssl.SSLContext:
            tls = ssl.create_default_context()
            for path in paths:
                tls.load_verify_locations(path)
            return tls

        return patch.object(http_post, "_tls", context)

    @override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
    def test_certificates_are_checked(self) -> None:
        with Receiver(self.certificate) as receiver:
            with self.trusting(self.certificate):
                self.assertEqual(post(receiver.url, b"{}", HEADERS).status, 200)
            with self.assertRaisesMessage(DeliveryError, "TLS failed: CERTIFICATE_VERIFY_FAILED"):
                post(receiver.url, b"{}", HEADERS)

    @override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
    def test_the_name_in_the_url_counts_although_an_address_is_connected_to(self) -> None:
        with Receiver(self.other) as receiver, self.trusting(self.other):
            with resolving("127.0.0.1"):
                url = f"https://other.example:{receiver.port}/"
                self.assertEqual(post(url, b"{}", HEADERS).status, 200)
                host = receiver.requests[0].headers["host"]
                self.assertEqual(host, f"other.example:{receiver.port}")
            with self.assertRaisesMessage(DeliveryError, "TLS failed"):
                post(receiver.url, b"{}", HEADERS)


class Refused(SimpleTestCase):
    def test_are_hosts_with_an_address_that_is_not_public(self) -> None:
        with Receiver() as receiver:
            for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0", "127.1"):
                url = f"https://{host}:{receiver.port}/"
                with self.subTest(host), self.assertRaises(AddressRefused):
                    post(url, b"{}", HEADERS)
            self.assertEqual(receiver.requests, [])

    def test_is_a_host_of_which_only_one_address_is_not_public(self) -> None:
        found = [(socket.AF_INET, 1, 6, "", (one, 443)) for one in ("8.8.8.8", "10.0.0.1")]
        both = patch("socket.getaddrinfo", return_value=found)
        with both, self.assertRaises(AddressRefused):
            post("https://receiver.example/", b"{}", HEADERS)

    def test_a_name_that_leads_elsewhere_when_asked_again_is_asked_once(self) -> None:
        connected: list[Any] = []

        class Recording(socket.socket):
            def connect(self, address: Any) -> None:
                connected.append(address)
                raise ConnectionRefusedError(111, "Connection refused")

        recording = patch("socket.socket", Recording)
        resolver = resolving("93.184.216.34", "127.0.0.1")
        with resolver as asked, recording, self.assertRaises(DeliveryError):
            post("https://rebinding.example/", b"{}", HEADERS)
        self.assertEqual(asked, ["rebinding.example"])
        self.assertEqual(connected, [("93.184.216.34", 443)])

    def test_are_addresses_that_are_not_plain_https(self) -> None:
        for url in (
            "http://receiver.example/",
            "ftp://receiver.example/",
            "receiver.example",
            "https://",
            "https://user:secret@receiver.example/",
            "https://receiver.example/#part",
            "https://receiver.example:0/",
            "https://receiver.example:99999/",
            "https://[::1",
            "https://receiver.example/ HTTP/1.1",
            "https://receiver.example/\r\nX-Evil: 1",
            "",
        ):
            with self.subTest(url), self.assertRaises(AddressRefused):
                check_url(url)
        self.assertEqual(check_url("https://receiver.example/a?b").hostname, "receiver.example")

    @override_settings(WEBHOOKS_TO_PRIVATE_ADDRESSES=True)
    def test_http_is_allowed_with_the_setting(self) -> None:
        self.assertEqual(check_url("http://10.0.0.1:8080/").port, 8080)
