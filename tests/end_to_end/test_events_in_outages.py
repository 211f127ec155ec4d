"""Events arrive while Postgres is stopped, killed or frozen: none is lost, none is stored twice."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.test import SimpleTestCase, tag

from tests.servers import Server
from tests.streams import tokens
from tests.torture.databases import Postgres
from tests.waiting import wait_until

SENDERS = 4
PAUSE_SECONDS = 0.05
"""Before the next attempt. ACS waits longer; this finds more of an outage's moments."""
ANSWER_SECONDS = 5.0
"""After it an attempt is given up and repeated: the sender cannot know what became of it."""


class Sender(threading.Thread):
    """Sends one event after the other, each until it is answered with 200, as ACS does."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self._port = port
        self.ids: list[str] = []
        self.answers: Counter[int] = Counter()
        self.is_ending = threading.Event()

    def run(self) -> None:
        while not self.is_ending.is_set():
            self.ids.append(f"{self.name}-{len(self.ids)}")
            while (status := self._post(self.ids[-1])) != 200:
                self.answers[status] += 1
                time.sleep(PAUSE_SECONDS)
            self.answers[200] += 1

    def _post(self, event_id: str) -> int:
        """Returns the status of one attempt; 0 if there was no answer in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        headers = {
            "Authorization": f"Bearer {tokens.token()}",
            "Content-Type": "application/json",
            "Host": "localhost",
        }
        try:
            body = json.dumps([event(event_id, self.name)])
            connection.request("POST", "/webhooks/acs/callbacks", body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def event(event_id: str, call: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"calling/callConnections/{call}",
        "type": "Microsoft.Communication.ParticipantsUpdated",
        "time": datetime.now(UTC).isoformat(),
        "data": {"callConnectionId": call, "participants": [], "sequenceNumber": 1},
    }


@tag("once")
class Outages(SimpleTestCase):
    senders: list[Sender]

    def test_no_event_is_lost_or_stored_twice(self) -> None:
        cluster = Postgres()
        self.addCleanup(cluster.close)
        url = cluster.fresh()
        keys = self.enterContext(tokens.key_server())
        environment = {
            "DATABASE_URL": url,
            "DEBUG": "true",  # allows a key server without TLS
            "ACS_AUTH": "jwt",
            "ACS_RESOURCE_ID": tokens.AUDIENCE,
            "ACS_JWKS_URL": keys.url,
            "ACS_STREAM_TOKEN": "",
        }
        server = self.enterContext(Server("uvicorn", environment=environment))
        self.senders = [Sender(f"sender-{number}", server.port) for number in range(SENDERS)]
        for sender in self.senders:
            sender.start()
        self.wait_for(200)
        for mode in ("fast", "immediate"):
            cluster.stop(mode)
            self.wait_for(503)
            cluster.start()
            self.wait_for(200)
        cluster.pause()
        self.wait_for(503)
        cluster.resume()
        self.wait_for(200)
        for sender in self.senders:
            sender.is_ending.set()
        for sender in self.senders:
            sender.join(60)
            self.assertFalse(sender.is_alive(), f"{sender.answers}\n{server.log[-4000:]}")
        stored = cluster.query(url, "SELECT event_id FROM calls_callevent")
        sent = [event_id for sender in self.senders for event_id in sender.ids]
        self.assertEqual(sorted(sent), sorted(event_id for (event_id,) in stored))
        self.assertLessEqual({*self.answers()}, {200, 503, 0})

    def answers(self) -> Counter[int]:
        """Returns the number of attempts by status."""
        return sum((sender.answers for sender in self.senders), Counter[int]())

    def wait_for(self, status: int) -> None:
        """Waits until this status has been answered twice as often as there are senders."""
        enough = self.answers()[status] + 2 * SENDERS
        wait_until(lambda: self.answers()[status] >= enough, what=lambda: str(self.answers()))
