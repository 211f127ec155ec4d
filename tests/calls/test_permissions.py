"""Permissions of pages, REST and the live socket, and the groups of a new site."""

from __future__ import annotations

from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group, User
from django.test import Client, TestCase, TransactionTestCase
from rest_framework.authtoken.models import Token

from calls.models import Segment
from calls.routing import live_socket
from tests.calls.client import RestTests
from tests.calls.rows import make_conversation, url_of
from tests.people import person


class HttpTests(TestCase):
    def setUp(self) -> None:
        self.call, alice, _bob = make_conversation()
        self.segment = Segment.objects.filter(participant=alice)[0]

    def status(self, user: User, address: str) -> int:
        client = Client()
        client.force_login(user)
        response = client.get(address)
        if response.streaming:
            response.close()
        return response.status_code

    def pages(self) -> list[str]:
        return ["/", f"/calls/{self.call.pk}/", f"/calls/{self.call.pk}/timeline"]

    def rest(self) -> list[str]:
        return [
            "/api/v1/calls/",
            *(url_of(self.call, rest) for rest in ("", "manifest", "peaks", "segments/")),
        ]

    def audio(self) -> list[str]:
        return [url_of(self.call, "audio"), f"/api/v1/segments/{self.segment.pk}/audio"]

    def test_an_account_without_permissions_is_refused_everywhere(self) -> None:
        nobody = person("nobody", "nothing")
        for address in (*self.pages(), *self.rest(), *self.audio(), "/api/docs/", "/api/schema/"):
            with self.subTest(address):
                self.assertEqual(self.status(nobody, address), 403)

    def test_view_call_opens_everything_except_audio(self) -> None:
        viewer = person("viewer", "view_call")
        for address in (
            *self.pages(),
            "/api/v1/calls/",
            url_of(self.call),
            url_of(self.call, "segments/"),
        ):
            with self.subTest(address):
                self.assertEqual(self.status(viewer, address), 200)
        for address in self.audio():
            with self.subTest(address):
                self.assertEqual(self.status(viewer, address), 403)

    def test_a_download_needs_the_permission_to_export(self) -> None:
        listener = person("listener", "view_call", "hear_recording")
        for address in self.audio():
            with self.subTest(address):
                self.assertEqual(self.status(listener, f"{address}?download=1"), 403)

    def test_a_refusal_names_the_missing_permission(self) -> None:
        self.client.force_login(person("viewer", "view_call"))
        response = self.client.get(url_of(self.call, "audio"))
        self.assertEqual(
            response.json(), {"detail": "Your account lacks the permission calls.hear_recording."}
        )
        self.client.force_login(person("nobody", "nothing"))
        page = self.client.get("/")
        self.assertContains(page, "lacks the permission calls.view_call", status_code=403)
        self.assertContains(page, "into the group Viewers", status_code=403)
        self.client.force_login(person("reader", "view_call"))
        page = self.client.get("/calls.csv")
        self.assertContains(page, "into the group Exporters", status_code=403)

    def test_anonymous_requests_are_asked_to_log_in(self) -> None:
        self.assertEqual(Client().get("/api/v1/calls/").status_code, 401)
        self.assertEqual(Client().get("/").status_code, 302)


class AudioTests(RestTests):
    """Transactions are real, because exports read in other threads."""

    async def test_hear_recording_opens_audio(self) -> None:
        call, alice, _bob = await database_sync_to_async(make_conversation)()
        listener = await database_sync_to_async(person)("listener", "view_call", "hear_recording")
        self.token = (await Token.objects.acreate(user=listener)).key
        segment = await Segment.objects.filter(participant=alice).afirst()
        assert segment, "Alice has audio"
        for address in (url_of(call, "audio"), f"/api/v1/segments/{segment.pk}/audio"):
            self.assertTrue((await self.body(address)).startswith(b"RIFF"))


class GroupTests(TestCase):
    def granted(self, group: str) -> set[str]:
        user = User.objects.create_user(group)
        user.groups.add(Group.objects.get(name=group))
        names = (
            *("view_call", "hear_recording", "listen_live", "export_recording", "delete_call"),
            *("view_raisedalarm", "change_raisedalarm", "view_callcoverage", "add_webhookendpoint"),
        )
        return {name for name in names if user.has_perm(f"calls.{name}")}

    def test_a_new_site_has_four_groups(self) -> None:
        see = {"view_call", "view_raisedalarm", "view_callcoverage"}
        live = {"hear_recording", "listen_live", "change_raisedalarm"}
        self.assertEqual(self.granted("Viewers"), see)
        self.assertEqual(self.granted("Listeners"), see | live)
        self.assertEqual(self.granted("Exporters"), see | {"hear_recording", "export_recording"})
        self.assertEqual(len(self.granted("Administrators")), 9)

    def test_administrators_manage_users(self) -> None:
        user = User.objects.create_user("head")
        user.groups.add(Group.objects.get(name="Administrators"))
        self.assertTrue(
            user.has_perms(["auth.add_user", "auth.change_group", "authtoken.add_token"])
        )


class LiveSocketTests(TransactionTestCase):
    async def is_accepted(self, *codenames: str) -> bool:
        client = Client()
        user = await database_sync_to_async(person)("one", *codenames)
        await database_sync_to_async(client.force_login)(user)
        cookie = f"sessionid={client.cookies['sessionid'].value}".encode()
        headers = [(b"origin", b"http://testserver"), (b"host", b"testserver"), (b"cookie", cookie)]
        socket = WebsocketCommunicator(live_socket, "/ws/live", headers)
        is_connected, _ = await socket.connect()
        await socket.disconnect()
        return bool(is_connected)

    async def test_view_call_is_required(self) -> None:
        self.assertTrue(await self.is_accepted("view_call"))

    async def test_other_accounts_are_refused(self) -> None:
        self.assertFalse(await self.is_accepted("nothing"))
