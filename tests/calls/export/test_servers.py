"""Exports from real Daphne and uvicorn servers: flat memory, errors in the middle of a response,
clients that disconnect.
"""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client, TransactionTestCase
from rest_framework.authtoken.models import Token

from calls import identity
from calls.models import Call, Segment
from tests.calls.rows import BOB, make_call, make_participant, make_segment, noise, url_of
from tests.descriptors import open_paths
from tests.people import person
from tests.servers import Server, database_url_of_the_test

TIMEOUT_SECONDS = 20.0


def long_call(segments: int) -> Call:
    """Two tracks of ten-second segments that share one object."""
    call = make_call()
    samples = noise(10.0)
    name = None
    for raw_id in ("4:+15551234567", BOB):
        participant = make_participant(call, raw_id)
        first = make_segment(participant, samples=samples, name=name)
        name = first.audio_name
        last = make_segment(participant, at=10.0 * (segments - 1), samples=samples, name=name)
        starts = range(first.start_sample, last.start_sample, len(samples))[1:]
        Segment.objects.bulk_create(moved(last, start) for start in starts)
    return call


def moved(segment: Segment, start: int) -> Segment:
    """Returns the row of a segment with the same audio elsewhere on its track."""
    values = {field.attname: getattr(segment, field.attname) for field in Segment._meta.fields}
    row_id = identity.segment_id_of(segment.participant_id, start)
    return Segment(**{**values, "id": row_id, "start_sample": start})


class ServerTests(TransactionTestCase):
    """All tests share one server of each kind: starting one takes longer than most exports."""

    servers: ClassVar[dict[str, Server]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        shared, folder = (
            {"DATABASE_URL": database_url_of_the_test(), "AUDIO_STORE": "files"},
            Path(settings.DATA_DIR),
        )
        for kind in ("daphne", "uvicorn"):
            server = Server(
                kind, environment=shared, data_dir=folder, log_file=folder / f"exports-{kind}.log"
            )
            cls.servers[kind] = cls.enterClassContext(server)

    def setUp(self) -> None:
        self.engineer = person("engineer")
        self.token = Token.objects.create(user=self.engineer).key

    def each_server(self) -> Iterator[Server]:
        for kind, server in self.servers.items():
            with self.subTest(kind):
                yield server

    def get(self, server: Server, url: str, **headers: str) -> http.client.HTTPResponse:
        connection = self._connection(server)
        connection.request("GET", url, headers={"Authorization": f"Token {self.token}", **headers})
        return connection.getresponse()

    def post_zip(self, server: Server, *calls: Call, name: str = "wav") -> http.client.HTTPResponse:
        """Requests a zip as the list of calls does."""
        connection = self._connection(server)
        connection.request("POST", "/calls.zip", **self._form(calls, name))
        return connection.getresponse()

    def test_half_an_hour_costs_no_more_memory_than_a_minute(self) -> None:
        minute, half_hour = url_of(long_call(6), "audio"), url_of(long_call(180), "audio")
        for server in self.each_server():
            Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # resets the peak
            for url in (minute, f"{minute}?format=flac"):
                _length(self.get(server, url))
            before = _peak_memory(server.pid)
            self.assertEqual(_length(self.get(server, half_hour)), 44 + 1_800 * 32_000)
            self.assertGreater(_length(self.get(server, f"{half_hour}?format=flac")), 25_000_000)
            self.assertLess(_peak_memory(server.pid) - before, 15_000_000)

    def test_a_failed_response_is_cut_off_and_the_server_continues(self) -> None:
        call = long_call(30)
        damaged = Segment.objects.filter(participant__raw_id=BOB).on_axis()[25]
        Segment.objects.filter(pk=damaged.pk).update(sha256="0" * 64)
        for server in self.each_server():
            for query in ("", "?format=flac", ""):
                response = self.get(server, url_of(call, f"audio{query}"))
                self.assertEqual(response.status, 200)
                with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                    response.read()
            self.assertIn(str(damaged.id), server.log)
            self.assertEqual(self.get(server, url_of(call)).status, 200)

    def test_work_stops_when_the_client_disconnects(self) -> None:
        url = url_of(long_call(360), "audio")
        for server in self.each_server():
            # More than a minute of encoding, and seconds for a temporary file.
            for name, spec in (("opus", "bytes=0-"), ("flac", "bytes=1-9")):
                headers = {"Authorization": f"Token {self.token}", "Range": spec}
                self._disconnect(server, "GET", f"{url}?format={name}", headers=headers)
                self._wait_until_idle(server.pid)
                self.assertEqual(_temporary_files(server.pid), [])

    def test_a_running_download_ends_after_its_user_is_disabled(self) -> None:
        """With a key of REST; it is read slowly, so that it would take half a minute."""
        url = url_of(long_call(360), "audio")
        responses = {kind: self.get(server, url) for kind, server in self.servers.items()}
        missing = dict.fromkeys(responses, 44 + 3600 * 32000)
        for kind, response in responses.items():
            missing[kind] -= len(response.read(1 << 20))
        self.engineer.is_active = False
        self.engineer.save()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while responses:
            self.assertLess(time.monotonic(), deadline, f"{list(responses)} go on")
            for kind, response in tuple(responses.items()):
                count = 0
                with suppress(http.client.IncompleteRead, ConnectionResetError):
                    count = len(response.read(1 << 17))
                missing[kind] -= count
                if not count:
                    self.assertGreater(missing[kind], 0, f"{kind} has sent everything")
                    self.assertIn("download ended", self.servers[kind].log)
                    del responses[kind]
            time.sleep(0.05)

    def test_a_zip_of_many_calls_costs_no_more_memory_than_one_of_a_minute(self) -> None:
        minute, many = long_call(6), [long_call(60) for _ in range(3)]
        for server in self.each_server():
            Path(f"/proc/{server.pid}/clear_refs").write_text("5")
            _length(self.post_zip(server, minute))
            before = _peak_memory(server.pid)
            self.assertGreater(_length(self.post_zip(server, *many)), 3 * 600 * 32_000)
            self.assertLess(_peak_memory(server.pid) - before, 15_000_000)

    def test_a_failed_zip_is_cut_off_and_the_server_continues(self) -> None:
        whole, call = long_call(6), long_call(30)
        tracks = Segment.objects.filter(participant__call=call, participant__raw_id=BOB)
        damaged = tracks.on_axis()[25]
        Segment.objects.filter(pk=damaged.pk).update(sha256="0" * 64)
        for server in self.each_server():
            response = self.post_zip(server, whole, call)
            self.assertEqual(response.status, 200)
            with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
            self.assertIn("zip aborted", server.log)
            self.assertGreater(_length(self.post_zip(server, whole)), 60 * 32_000)

    def test_work_on_a_zip_stops_when_the_client_disconnects(self) -> None:
        calls = [long_call(360)]
        for server in self.each_server():
            self._disconnect(server, "POST", "/calls.zip", **self._form(calls, "opus"))
            self._wait_until_idle(server.pid)

    def _connection(self, server: Server) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
        self.addCleanup(connection.close)
        return connection

    def _form(self, calls: Sequence[Call], name: str) -> dict[str, Any]:
        """Headers and body. Any CSRF token is valid if cookie and form have the same."""
        client, token = Client(), "t" * 32
        client.force_login(self.engineer)
        cookies = f"sessionid={client.cookies['sessionid'].value}; csrftoken={token}"
        fields = {
            "call": [str(call.pk) for call in calls],
            "format": name,
            "csrfmiddlewaretoken": token,
        }
        headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
        return {"body": urlencode(fields, doseq=True), "headers": headers}

    def _disconnect(self, server: Server, method: str, url: str, **request: Any) -> None:
        """Sends a request, waits until the server works on it, and closes the connection."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        before = _cpu_seconds(server.pid)
        connection.request(method, url, **request)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while _cpu_seconds(server.pid) - before < 0.5:
            self.assertLess(time.monotonic(), deadline, "the export does not begin")
            time.sleep(0.05)
        connection.close()

    def _wait_until_idle(self, pid: int) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            before = _cpu_seconds(pid)
            time.sleep(1)
            if _cpu_seconds(pid) - before < 0.1:
                return
            self.assertLess(time.monotonic(), deadline, "the export continues without its client")


def _length(response: http.client.HTTPResponse) -> int:
    assert response.status == 200, response.read()
    total = 0
    while chunk := response.read(1 << 16):
        total += len(chunk)
    return total


def _peak_memory(pid: int) -> int:
    """Returns bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found.group(1)) * 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _temporary_files(pid: int) -> list[str]:
    return [path for path in open_paths(pid) if "acsmedia-export" in path]
