"""The SDK of Microsoft against a fake of its service: the request that goes out, and failures."""

from __future__ import annotations

from typing import Any
from unittest import skipUnless

from django.test import SimpleTestCase, override_settings

from streams.acs.answering.call_automation import CallAutomation, NotAnswered, TryAgain
from streams.checks import _has_sdk
from tests.streams.acs.answering.fake_call_automation import FakeCallAutomation, call_automation

CONTEXT = "eyJhbGciOiJub25lIn0.e30."
NEEDS_SDK = "needs the optional package azure-communication-callautomation"

ANSWER_BODY = {
    "incomingCallContext": CONTEXT,
    "callbackUri": "https://calls.example.com/acs/webhooks/acs/callbacks",
    "mediaStreamingOptions": {
        "transportUrl": "wss://calls.example.com/acs/ws/acs/media?token=a%2Bb",
        "transportType": "websocket",
        "contentType": "audio",
        "audioChannelType": "unmixed",
        "startMediaStreaming": True,
        "audioFormat": "pcm16KMono",
        "enableDtmfTones": True,
    },
}
"""The body of version 1.6.0 of the SDK, as recorded."""


@skipUnless(_has_sdk(), NEEDS_SDK)
class CallAutomationTests(SimpleTestCase):
    def setUp(self) -> None:
        self.service: FakeCallAutomation = self.enterContext(call_automation())

    def sdk(self, connection_string: str = "", stream: str = "a+b") -> CallAutomation:
        settings: Any = override_settings(
            ACS_CONNECTION_STRING=connection_string or self.service.connection_string,
            PUBLIC_URL="https://calls.example.com",
            FORCE_SCRIPT_NAME="/acs",
            ACS_STREAM_TOKEN=stream,
        )
        with settings:
            return CallAutomation.from_settings()

    def test_a_call_is_answered_with_unmixed_streaming_and_dtmf(self) -> None:
        self.assertEqual(self.sdk().answer(CONTEXT), "connection-1")
        [(path, headers, body)] = self.service.requests
        self.assertRegex(path, r"^/calling/callConnections:answer\?api-version=2\d{3}-\d\d-\d\d")
        self.assertEqual(body, ANSWER_BODY)
        self.assertIn("HMAC-SHA256", headers["Authorization"])

    def test_without_a_stream_token_there_is_none_in_the_address(self) -> None:
        self.sdk(stream="").answer(CONTEXT)
        options = self.service.requests[0][2]["mediaStreamingOptions"]
        self.assertEqual(options["transportUrl"], "wss://calls.example.com/acs/ws/acs/media")

    def test_failures_say_whether_to_try_again_and_name_nobody(self) -> None:
        client = self.sdk()
        for status, again, reason in (
            (400, False, "rejected"),
            (401, False, "credentials"),
            (403, False, "credentials"),
            (404, False, "rejected"),
            (408, True, "service_error"),
            (429, True, "service_error"),
            (500, True, "service_error"),
            (503, True, "service_error"),
            (0, True, "unreachable"),
        ):
            with self.subTest(status):
                self.service.statuses = [status]
                before = len(self.service.requests)
                with self.assertRaises(NotAnswered) as caught:
                    client.answer(CONTEXT)
                self.assertEqual(isinstance(caught.exception, TryAgain), again)
                self.assertEqual(caught.exception.reason, reason)
                self.assertNotIn("555", str(caught.exception))
                self.assertIsNone(caught.exception.__cause__)
                self.assertEqual(len(self.service.requests), before + 1, "one attempt each")

    def test_a_service_that_is_away_is_tried_again(self) -> None:
        with call_automation() as other:
            client = self.sdk(other.connection_string)
        with self.assertRaises(TryAgain) as caught:
            client.answer(CONTEXT)
        self.assertEqual(caught.exception.reason, "unreachable")
