"""Audio and waveforms of live calls, and the permissions that each part of a recording needs."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.authtoken.models import Token

from calls.models import LedgerEntry, Segment, Subscription
from calls.permissions import LISTEN, TO_HEAR
from tests.calls.client import RestTests
from tests.calls.rows import START, make_conversation, make_subscription, url_of
from tests.people import person


class LiveAudioTests(RestTests):
    """While a call is live, its audio needs `listen_live` too, and is noted in the ledger."""

    def setUp(self) -> None:
        super().setUp()
        self.call, self.alice, _bob = make_conversation()
        now = timezone.now()
        make_subscription(
            self.call, connected_at=now, seen_at=now, disconnected_at=None, close_code=None
        )
        self.segment = Segment.objects.filter(participant=self.alice)[0]

    def log_in(self, *codenames: str) -> None:
        user = person("other", *codenames)
        self.token = Token.objects.create(user=user).key

    def addresses(self) -> list[str]:
        return [url_of(self.call, "audio"), f"/api/v1/segments/{self.segment.pk}/audio"]

    async def test_is_refused_to_those_who_may_only_hear_recordings(self) -> None:
        await sync_to_async(self.log_in)("view_call", "hear_recording", "export_recording")
        for address in self.addresses():
            for query in ({}, {"download": "1"}, {"format": "mp3"}):
                response = await self.ask(address, query if "segments" not in address else {})
                self.assertEqual(response.status_code, 403)
                self.assertIn("calls.listen_live", response.json()["detail"])
        self.assertFalse(await LedgerEntry.objects.filter(kind="listening").aexists())

    async def test_is_noted_once_for_all_ranges_of_one_playback(self) -> None:
        await sync_to_async(self.log_in)("view_call", "hear_recording", "listen_live")
        for first in range(0, 3000, 1000):
            await self.body(self.addresses()[0], Range=f"bytes={first}-{first + 999}")
        entry = await LedgerEntry.objects.aget(kind="listening")
        self.assertEqual(entry.detail, {"user": "other", "through": "recording"})
        self.assertGreater(entry.ended_at or entry.started_at, entry.started_at)

    async def test_ends_if_the_permission_to_listen_is_withdrawn(self) -> None:
        await sync_to_async(self.log_in)("view_call", "hear_recording", "listen_live")
        for address in self.addresses():
            response = await self.ask(address)
            self.assertEqual(response.needed, (*TO_HEAR, LISTEN), "while it is sent")
            response.close()

    async def test_its_length_alone_needs_no_entry(self) -> None:
        await sync_to_async(self.log_in)("view_call", "hear_recording", "listen_live")
        for address in self.addresses():
            response = await self.ask(address, method="HEAD")
            self.assertEqual(response.status_code, 200)
        self.assertFalse(await LedgerEntry.objects.filter(kind="listening").aexists())

    async def test_an_ended_call_needs_no_entry(self) -> None:
        await Subscription.objects.filter(call=self.call).aupdate(
            connected_at=START, seen_at=START, disconnected_at=START
        )
        await sync_to_async(self.log_in)("view_call", "hear_recording")
        await self.body(self.addresses()[0])
        self.assertFalse(await LedgerEntry.objects.filter(kind="listening").aexists())

    async def test_a_viewer_gets_no_fine_waveform(self) -> None:
        fine = {"start": "0.5", "end": "0.6", "points": "1600"}
        full = await self.json(url_of(self.call, "peaks"), fine)
        self.assertEqual(full["points"], 1600)
        await sync_to_async(self.log_in)("view_call")
        coarse = await self.ask(url_of(self.call, "peaks"), fine)
        self.assertEqual(coarse.json()["points"], 1)
        self.assertIn("-coarse", coarse["ETag"])
        await User.objects.filter(username="other").adelete()
        await sync_to_async(self.log_in)("view_call", "hear_recording")
        live = await self.json(url_of(self.call, "peaks"), fine)
        self.assertEqual(live["points"], 1, "the call is live")

    async def test_hear_recording_opens_nothing_without_view_call(self) -> None:
        await Subscription.objects.filter(call=self.call).aupdate(
            connected_at=START, seen_at=START, disconnected_at=START
        )
        await sync_to_async(self.log_in)("hear_recording", "export_recording")
        for address in self.addresses():
            response = await self.ask(address)
            self.assertEqual(response.status_code, 403)
            self.assertIn("calls.view_call", response.json()["detail"])
