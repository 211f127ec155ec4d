"""The account that reads canary calls: made once, with one permission."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import TestCase
from rest_framework.authtoken.models import Token

from calls.canary.account import NAME, UnexpectedAccount, key_of_account
from calls.permissions import is_for_canaries


class AccountTests(TestCase):
    def test_it_is_made_once_and_may_read_canaries_only(self) -> None:
        key = key_of_account()
        self.assertEqual(key_of_account(), key)
        account = User.objects.get(username=NAME)
        self.assertEqual(Token.objects.get(key=key).user, account)
        self.assertTrue(is_for_canaries(account))
        self.assertEqual(account.get_all_permissions(), {"calls.read_canaries"})
        self.assertFalse(account.has_usable_password())
        self.assertFalse(account.is_staff)

    def test_a_disabled_account_stays_disabled(self) -> None:
        key_of_account()
        User.objects.update(is_active=False)
        key_of_account()
        self.assertFalse(User.objects.get(username=NAME).is_active)

    def test_an_account_that_sees_calls_of_people_is_not_used(self) -> None:
        User.objects.create_superuser(NAME)
        with self.assertRaisesMessage(UnexpectedAccount, "must not have the permission"):
            key_of_account()
        self.assertFalse(Token.objects.exists())
