"""/metrics: access and content."""

from __future__ import annotations

from unittest.mock import patch

from asgiref.sync import async_to_sync
from django.test import AsyncRequestFactory, SimpleTestCase, override_settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from acsmedia.monitoring import metrics as metrics_module
from acsmedia.monitoring.metrics import Exposition, RecorderStats, metrics
from calls.wording import REFUSALS
from streams.acs.answering.counts import OUTCOMES
from streams.acs.refusals import Reason, WebhookReason
from streams.acs.webhooks.counts import REASONS, SOURCES, EventCounts
from streams.live.alarm_rules import PROCESS_ALARMS, STREAM_ALARMS

TOKEN = "a-token-of-prometheus"
STATS = RecorderStats(
    packets=50,
    messages={"audio": 50, "malformed": 2},
    handshakes={"accepted": 3, "refused": 1},
    refusals={("expired", True): 1, ("no_header", False): 5},
    journal_bytes=33_000,
    segments_sealed=4,
    seal_failures={"database": 7},
    open_streams=2,
    seal_lag_seconds=1.5,
    spool_bytes=9_000,
    spool_files=6,
    is_disk_quota_reached=True,
    fsync_failures=8,
    alarms={"stalled": 3, "disk_low": 1},
)

EXPECTED = {
    "acsmedia_packets_total": 50,
    "acsmedia_messages_total[audio]": 50,
    "acsmedia_messages_total[dtmf]": 0,
    "acsmedia_messages_total[metadata]": 0,
    "acsmedia_messages_total[unknown]": 0,
    "acsmedia_messages_total[malformed]": 2,
    "acsmedia_handshakes_total[accepted]": 3,
    "acsmedia_handshakes_total[refused]": 1,
    "acsmedia_handshakes_total[failed]": 0,
    **{
        f"acsmedia_refused_handshakes_total[{reason}][{sender}]": 0
        for reason in REFUSALS
        for sender in ("acs", "other")
    },
    "acsmedia_refused_handshakes_total[expired][acs]": 1,
    "acsmedia_refused_handshakes_total[no_header][other]": 5,
    "acsmedia_journal_bytes_total": 33_000,
    "acsmedia_segments_sealed_total": 4,
    "acsmedia_seal_failures_total[store]": 0,
    "acsmedia_seal_failures_total[database]": 7,
    "acsmedia_seal_failures_total[journal]": 0,
    "acsmedia_open_streams": 2,
    "acsmedia_seal_lag_seconds": 1.5,
    "acsmedia_spool_bytes": 9_000,
    "acsmedia_spool_files": 6,
    "acsmedia_spool_full": 1,
    "acsmedia_fsync_failures_total": 8,
    "acsmedia_live_dashboards": 0,
    "acsmedia_listeners": 0,
    **{f"acsmedia_events_received_total[{source}][other]": 0 for source in SOURCES},
    **{f"acsmedia_events_refused_total[{reason}]": 0 for reason in REASONS},
    **{f"acsmedia_incoming_calls_total[{outcome}]": 0 for outcome in OUTCOMES},
    **{f"acsmedia_alarms[{name}]": 0 for name in (*STREAM_ALARMS, *PROCESS_ALARMS)},
    "acsmedia_alarms[stalled]": 3,
    "acsmedia_alarms[disk_low]": 1,
}


class AccessTests(SimpleTestCase):
    """Access is denied by default."""

    databases = {"default"}

    def test_without_a_token_this_host_may_read(self) -> None:
        for address in ("127.0.0.1", "127.0.0.53", "::1"):
            with self.subTest(address):
                response = self.client.get("/metrics", REMOTE_ADDR=address)
                self.assertEqual(response.status_code, 200)
                self.assertTrue(response["Content-Type"].startswith("text/plain; version="))

    def test_without_a_token_no_other_host_may_read(self) -> None:
        for address in ("10.0.0.7", "192.168.1.4", "8.8.8.8", "2001:db8::1", "", "unix:"):
            with self.subTest(address):
                self.assertEqual(self.client.get("/metrics", REMOTE_ADDR=address).status_code, 403)

    def test_without_a_token_a_proxy_on_this_host_is_refused(self) -> None:
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            with self.subTest(header):
                response = self.client.get(
                    "/metrics", headers={header: "127.0.0.1"}, REMOTE_ADDR="127.0.0.1"
                )
                self.assertEqual(response.status_code, 403)

    @override_settings(METRICS_TOKEN=TOKEN)
    def test_a_token_is_required_from_every_address(self) -> None:
        for shown in (
            "",
            "Bearer",
            "Bearer x",
            f"Basic {TOKEN}",
            TOKEN,
            f"Bearer {TOKEN}x",
            "Bearer ü",
        ):
            with self.subTest(shown):
                response = self.client.get(
                    "/metrics", headers={"authorization": shown}, REMOTE_ADDR="127.0.0.1"
                )
                self.assertEqual(response.status_code, 401)
                self.assertIn("Bearer", response["WWW-Authenticate"])
                self.assertNotIn(TOKEN, response.content.decode())

    @override_settings(METRICS_TOKEN=TOKEN)
    def test_with_the_token_a_scraper_may_read_from_any_address_and_host_name(self) -> None:
        headers = {
            "authorization": f"bearer {TOKEN}",
            "x-forwarded-for": "10.0.0.7",
            "host": "10.0.0.9:8000",
        }
        self.assertEqual(
            self.client.get("/metrics", headers=headers, REMOTE_ADDR="10.0.0.7").status_code, 200
        )

    @given(st.text(st.characters(max_codepoint=255)))
    @override_settings(METRICS_TOKEN=TOKEN)
    def test_any_header_gets_a_response(self, shown: str) -> None:
        request = AsyncRequestFactory().get("/metrics")
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {shown}"
        response = async_to_sync(metrics)(request)
        self.assertEqual(response.status_code, 401)


class RecorderMetricsTests(SimpleTestCase):
    """The stats of the recorder as Prometheus reads them."""

    def setUp(self) -> None:
        self.events = EventCounts()
        self.enterContext(patch.object(metrics_module, "counts", self.events))
        self.exposition = Exposition()

    async def scrape(self) -> dict[str, float]:
        """Returns values by name, with the label in brackets."""
        response = await self.exposition.answer(AsyncRequestFactory().get("/metrics"))
        self.assertEqual(response.status_code, 200)
        families = text_string_to_metric_families(response.content.decode())
        return {
            sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }

    async def test_every_value_is_exposed_under_its_name(self) -> None:
        self.exposition.install(lambda: STATS)
        shown = {
            name: value
            for name, value in (await self.scrape()).items()
            if name.startswith("acsmedia_")
        }
        self.assertEqual(
            shown,
            EXPECTED,
        )

    async def test_events_are_counted_by_source_and_known_type(self) -> None:
        self.events.note_received("callback", ["CallConnected", "CallConnected", "X" * 99])
        self.events.note_received("event_grid", ["IncomingCall"])
        self.events.note_refused(WebhookReason.CLOSED)
        self.events.note_refused(Reason.EXPIRED)
        shown = {name: value for name, value in (await self.scrape()).items() if value}
        counted = {name: value for name, value in shown.items() if "_events_" in name}
        self.assertEqual(
            counted,
            {
                "acsmedia_events_received_total[callback][CallConnected]": 2,
                "acsmedia_events_received_total[callback][other]": 1,
                "acsmedia_events_received_total[event_grid][IncomingCall]": 1,
                "acsmedia_events_refused_total[closed]": 1,
                "acsmedia_events_refused_total[expired]": 1,
            },
        )

    async def test_stats_are_read_once_per_scrape_and_not_before(self) -> None:
        reads: list[int] = []

        def stats() -> RecorderStats:
            reads.append(1)
            return RecorderStats(packets=len(reads))

        self.exposition.install(stats)
        self.assertEqual(reads, [])
        self.assertEqual((await self.scrape())["acsmedia_packets_total"], 1)
        self.assertEqual((await self.scrape())["acsmedia_packets_total"], 2)

    async def test_a_second_recorder_replaces_the_first(self) -> None:
        self.exposition.install(lambda: STATS)
        self.exposition.install(RecorderStats)
        self.assertEqual((await self.scrape())["acsmedia_packets_total"], 0)

    async def test_a_process_without_a_recorder_has_the_numbers_of_its_browsers(self) -> None:
        shown = {name for name in await self.scrape() if name.startswith("acsmedia_")}
        shown = {name for name in shown if "_events_" not in name and "_incoming_" not in name}
        self.assertEqual(shown, {"acsmedia_live_dashboards", "acsmedia_listeners"})

    async def test_the_process_itself_is_exposed(self) -> None:
        self.assertGreater((await self.scrape())["process_resident_memory_bytes"], 1_000_000)
