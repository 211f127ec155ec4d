"""Users, groups and tokens: an administrator gets no more than they have."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, TestCase
from rest_framework.authtoken.models import Token

from tests.people import person

PASSWORD = "Only-For-Tests-12"


class AdministratorTestCase(TestCase):
    def setUp(self) -> None:
        self.admin = person("admin", "nothing", is_staff=True)
        self.admin.groups.add(Group.objects.get(name="Administrators"))
        self.boss = User.objects.create_superuser("boss", password=PASSWORD)
        self.viewer = person("viewer", "view_call", password=PASSWORD)
        self.client.force_login(self.admin)


class AccountTests(AdministratorTestCase):
    def values(self, user: User, **changes: Any) -> dict[str, Any]:
        """Returns the form of a user as a browser sends it."""
        return {
            "username": user.username,
            "is_active": "on",
            "date_joined_0": "2026-01-01",
            "date_joined_1": "12:00:00",
            "groups": [group.pk for group in user.groups.all()],
            "user_permissions": [one.pk for one in user.user_permissions.all()],
            **changes,
        }

    def change(self, user: User, **changes: Any) -> int:
        address = f"/admin/auth/user/{user.pk}/change/"
        return self.client.post(address, self.values(user, **changes)).status_code

    def test_nobody_makes_themselves_superuser(self) -> None:
        self.change(self.admin, is_superuser="on", is_staff="on")
        self.admin.refresh_from_db()
        self.assertFalse(self.admin.is_superuser)
        self.assertTrue(self.admin.is_staff, "the rest of the form was saved")

    def test_an_administrator_changes_other_accounts(self) -> None:
        group = Group.objects.get(name="Exporters")
        self.assertEqual(self.change(self.viewer, groups=[group.pk], is_superuser="on"), 302)
        self.viewer.refresh_from_db()
        self.assertEqual(list(self.viewer.groups.all()), [group])
        self.assertFalse(self.viewer.is_superuser)

    def test_superusers_are_out_of_reach(self) -> None:
        self.assertEqual(self.change(self.boss, is_active=""), 403)
        new = {"password1": "Another-Secret-9", "password2": "Another-Secret-9"}
        address = f"/admin/auth/user/{self.boss.pk}/password/"
        self.assertEqual(self.client.post(address, new).status_code, 403)
        address = f"/admin/auth/user/{self.boss.pk}/delete/"
        self.assertEqual(self.client.post(address, {"post": "yes"}).status_code, 403)
        selected = {"action": "delete_selected", "_selected_action": [self.boss.pk], "post": "yes"}
        self.client.post("/admin/auth/user/", selected)
        self.boss.refresh_from_db()
        self.assertTrue(self.boss.is_active)
        self.assertTrue(self.boss.check_password(PASSWORD))

    def test_permissions_and_groups_beyond_ones_own_cannot_be_given(self) -> None:
        beyond = Permission.objects.get(codename="delete_session")
        above = Group.objects.create(name="Above")
        above.permissions.add(beyond)
        self.assertEqual(self.change(self.viewer, user_permissions=[beyond.pk]), 200)
        self.assertEqual(self.change(self.viewer, groups=[above.pk]), 200)
        self.assertFalse(self.viewer.has_perm("sessions.delete_session"))
        mine = Group.objects.get(name="Administrators")
        form = {"name": mine.name, "permissions": [beyond.pk]}
        self.client.post(f"/admin/auth/group/{mine.pk}/change/", form)
        self.assertNotIn(beyond, mine.permissions.all())
        form = {"name": "Above", "permissions": []}
        address = f"/admin/auth/group/{above.pk}/change/"
        self.assertEqual(self.client.post(address, form).status_code, 403)
        address = f"/admin/auth/group/{above.pk}/delete/"
        self.assertEqual(self.client.post(address, {"post": "yes"}).status_code, 403)
        self.assertTrue(Group.objects.filter(pk=above.pk).exists())

    def test_all_permissions_do_not_make_a_superuser(self) -> None:
        self.admin.user_permissions.set(Permission.objects.all())
        self.assertEqual(self.change(self.boss, is_active=""), 403)
        self.change(self.admin, is_superuser="on", is_staff="on")
        self.admin.refresh_from_db()
        self.assertFalse(self.admin.is_superuser)

    def test_an_inactive_account_with_more_permissions_is_out_of_reach(self) -> None:
        more = User.objects.create_user("more", is_active=False)
        more.user_permissions.add(Permission.objects.get(codename="delete_session"))
        self.assertEqual(self.change(more), 403)

    def test_a_superuser_may_do_all_of_it(self) -> None:
        self.client.force_login(self.boss)
        self.assertEqual(self.change(self.viewer, is_superuser="on"), 302)
        self.viewer.refresh_from_db()
        self.assertTrue(self.viewer.is_superuser)


class TokenTests(AdministratorTestCase):
    def test_keys_are_shown_once(self) -> None:
        address = "/admin/authtoken/tokenproxy/"
        response = self.client.post(f"{address}add/", {"user": self.viewer.pk}, follow=True)
        key = Token.objects.get(user=self.viewer).key
        self.assertContains(response, key, count=1)
        pages = ["", *(f"{self.viewer.pk}/{view}/" for view in ("change", "history", "delete"))]
        for page in pages:
            with self.subTest(page):
                self.assertNotContains(self.client.get(address + page), key)
        self.assertFalse(LogEntry.objects.filter(object_repr__contains=key).exists())

    def test_lists_of_the_admin_tell_nothing_about_keys_and_passwords(self) -> None:
        """A filter that matches or not tells a key, one digit after the other."""
        key = Token.objects.create(user=self.boss).key
        for filters in (
            f"user/?auth_token__key__startswith={key[:1]}",
            f"user/?auth_token__key={key}",
            "user/?auth_token=1",
            "user/?password__startswith=md5",
            "user/?logentry__object_repr__startswith=a",
        ):
            self.assertEqual(self.client.get(f"/admin/auth/{filters}").status_code, 400, filters)
        for filters in (f"key__startswith={key[:1]}", f"pk={key}", "user__password__startswith=m"):
            response = self.client.get(f"/admin/authtoken/tokenproxy/?{filters}")
            self.assertEqual(response.status_code, 400, filters)
        for filters in ("is_staff__exact=1", "groups__id__exact=1", "q=boss", "o=1"):
            response = self.client.get(f"/admin/auth/user/?{filters}")
            self.assertEqual(response.status_code, 200, filters)

    def test_the_token_of_a_superuser_is_out_of_reach(self) -> None:
        key = Token.objects.create(user=self.boss).key
        address = "/admin/authtoken/tokenproxy/"
        self.assertNotContains(self.client.get(address), key)
        gone = self.client.post(f"{address}{self.boss.pk}/delete/", {"post": "yes"})
        self.assertEqual(gone.status_code, 403)
        Token.objects.all().delete()
        refused = self.client.post(f"{address}add/", {"user": self.boss.pk})
        self.assertEqual(refused.status_code, 200, "the form with an error")
        self.assertFalse(Token.objects.exists())

    def test_a_token_is_given_to_no_other_account(self) -> None:
        key = Token.objects.create(user=self.viewer).key
        address = f"/admin/authtoken/tokenproxy/{self.viewer.pk}/change/"
        self.assertEqual(self.client.post(address, {"user": self.admin.pk}).status_code, 403)
        self.assertEqual(Token.objects.get(key=key).user, self.viewer)

    def test_a_new_password_ends_the_token_of_its_user_only(self) -> None:
        Token.objects.create(user=self.viewer)
        others = Token.objects.create(user=self.boss)
        self.client.force_login(self.viewer)
        new = {"new_password1": "Another-Secret-9", "new_password2": "Another-Secret-9"}
        response = self.client.post("/password/", {"old_password": PASSWORD, **new})
        self.assertEqual(response.status_code, 302)
        self.assertEqual(Token.objects.get(), others)

    def test_a_login_that_renews_the_hash_does_not(self) -> None:
        Token.objects.create(user=self.viewer)
        hashers = [
            f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("PBKDF2", "MD5")
        ]
        with self.settings(PASSWORD_HASHERS=hashers):
            login = {"username": "viewer", "password": PASSWORD}
            self.assertEqual(Client().post("/login/", login).status_code, 302)
        self.viewer.refresh_from_db()
        self.assertTrue(self.viewer.password.startswith("pbkdf2"))
        self.assertTrue(Token.objects.exists())
