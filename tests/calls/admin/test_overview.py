"""The administrator's overview: what it shows, what may be tried again, who sees it, and that no
secret is in it.
"""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.files.base import ContentFile
from django.db import connection
from django.template.defaultfilters import filesizeformat
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from calls.admin.overview import sizes
from calls.admin.overview.configuration import groups
from calls.admin.overview.page import BEHIND_SEGMENTS, SILENT_AFTER
from calls.models import DiscardedAudio, FailedJournal, RecorderProcess, Segment
from calls.storage import audio_store
from streams.live.alarm_rules import Thresholds
from tests.calls.admin.pages import AdminPageTestCase
from tests.calls.admin.recordings import ALICE, Recording, Spoken
from tests.calls.rows import make_failed, make_process

OVERVIEW = "/admin/overview/"
SECRETS = ("swordfish", "open-sesame")


class ThePage(AdminPageTestCase):
    def test_it_is_whole_where_nothing_has_happened_yet(self) -> None:
        response = self.client.get(OVERVIEW)
        self.assertContains(response, "No process has recorded in the last hour.")
        self.assertContains(response, "Every journal has been sealed, or waits for its turn.")

    def test_the_admin_leads_to_it(self) -> None:
        self.assertContains(self.client.get("/admin/"), f'href="{OVERVIEW}"')

    def test_it_shows_who_records_and_how_far_sealing_is_behind(self) -> None:
        make_process()
        make_process(
            seal_lag_seconds=3600.0,
            failures={"store": 5, "database": 0},
            last_error="StoreUnreachable",
        )
        make_process(seen_at=timezone.now() - SILENT_AFTER - timedelta(seconds=1))
        make_process(seen_at=timezone.now() - SILENT_AFTER / 2)
        response = self.client.get(OVERVIEW)
        for said in (
            "ingest-1",
            ">41<",
            "1.0 s",
            "behind: 3600 s",
            "5 store",
            "StoreUnreachable",
            "silent</strong> since",
        ):
            self.assertContains(response, said)
        self.assertContains(response, "behind:", count=1)
        self.assertContains(response, "silent</strong>", count=1)

    def test_it_says_how_much_there_is(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=9),)).write()
        Segment.objects.update(stored_bytes=100_000)
        response = self.client.get(OVERVIEW)
        self.assertContains(response, f"{filesizeformat(900_000)} in 9 segments")

    def test_behind_is_what_the_alarm_calls_behind(self) -> None:
        self.assertEqual(BEHIND_SEGMENTS, Thresholds().behind_segments)
        make_process(seal_lag_seconds=BEHIND_SEGMENTS * settings.SEGMENT_SECONDS)
        self.assertNotContains(self.client.get(OVERVIEW), "behind:")
        RecorderProcess.objects.update(
            seal_lag_seconds=BEHIND_SEGMENTS * settings.SEGMENT_SECONDS + 1
        )
        self.assertContains(self.client.get(OVERVIEW), "behind:")

    def test_a_disk_that_cannot_be_looked_at_says_why(self) -> None:
        with patch("shutil.disk_usage", side_effect=PermissionError(13, "Permission denied")):
            self.assertContains(
                self.client.get(OVERVIEW), "cannot be looked at: </strong>Permission denied"
            )

    def test_it_asks_as_few_queries_however_much_there_is(self) -> None:
        self.client.get(OVERVIEW)
        with CaptureQueriesContext(connection) as few:
            self.client.get(OVERVIEW)
        for _ in range(30):
            make_process()
            make_failed()
        with CaptureQueriesContext(connection) as many:
            response = self.client.get(OVERVIEW)
        self.assertEqual(len(many), len(few))
        self.assertLessEqual(len(many), 9)
        self.assertContains(response, "The newest 20 are shown.")


class TryingAgain(AdminPageTestCase):
    def test_one_journal(self) -> None:
        wanted, other = make_failed(), make_failed()
        response = self.client.post(reverse("admin-retry"), {"journal": wanted.pk}, follow=True)
        self.assertContains(response, "1 journal is tried again")
        self.assertContains(response, "asked for again", count=1)
        for row in (wanted, other):
            row.refresh_from_db()
        self.assertIsNotNone(wanted.retry_asked_at)
        self.assertIsNone(other.retry_asked_at)

    def test_all_of_them(self) -> None:
        for _ in range(2):
            make_failed()
        self.assertContains(
            self.client.post(reverse("admin-retry"), follow=True), "2 journals are tried again"
        )
        self.assertFalse(FailedJournal.objects.filter(retry_asked_at=None).exists())

    def test_what_is_no_journal_is_refused_and_one_that_is_gone_is_none(self) -> None:
        self.assertEqual(
            self.client.post(reverse("admin-retry"), {"journal": "../x"}).status_code, 400
        )
        response = self.client.post(reverse("admin-retry"), {"journal": uuid4()}, follow=True)
        self.assertContains(response, "0 journals are tried again")

    def test_objects_of_deleted_calls_are_removed_at_once(self) -> None:
        name = audio_store().save("forgotten.flac", ContentFile(b"audio"))
        DiscardedAudio.objects.create(name=name, segment_id=uuid4())
        self.assertContains(self.client.get(OVERVIEW), "1 object of deleted calls waits")
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(reverse("admin-sweep"))
        self.assertFalse(audio_store().exists(name))
        self.assertNotContains(self.client.get(OVERVIEW), "of deleted calls")

    def test_it_is_no_page(self) -> None:
        for name in ("admin-retry", "admin-sweep"):
            self.assertEqual(self.client.get(reverse(name)).status_code, 405)


class TheDoor(AdminPageTestCase):
    def sign_in(self, *codenames: str) -> None:
        user = User.objects.create_user("somebody", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        self.client.force_login(user)

    def test_who_is_not_logged_in_is_led_to_the_login(self) -> None:
        self.client.logout()
        self.assertEqual(self.client.get(OVERVIEW).status_code, 302)
        self.assertEqual(self.client.post(reverse("admin-retry")).status_code, 302)

    def test_staff_without_the_permission_sees_nothing_of_it(self) -> None:
        self.sign_in_viewer()
        self.assertEqual(self.client.get(OVERVIEW).status_code, 403)
        self.assertNotContains(self.client.get("/admin/"), OVERVIEW)

    def test_who_may_only_look_can_try_nothing_again(self) -> None:
        self.sign_in("view_recorderprocess")
        make_failed()
        DiscardedAudio.objects.create(name="object", segment_id=uuid4())
        self.assertNotContains(self.client.get(OVERVIEW), '<button class="button"')
        for name in ("admin-retry", "admin-sweep"):
            self.assertEqual(self.client.post(reverse(name)).status_code, 403)

    def test_administrators_may_do_all_of_it(self) -> None:
        user = User.objects.create_user("anna", is_staff=True)
        user.groups.set(Group.objects.filter(name="Administrators"))
        self.client.force_login(user)
        make_failed()
        self.assertContains(self.client.get(OVERVIEW), "Try all again")
        self.assertEqual(self.client.post(reverse("admin-retry")).status_code, 302)


class Configuration(AdminPageTestCase):
    @override_settings(ACS_STREAM_TOKEN=SECRETS[0], METRICS_TOKEN=SECRETS[1])
    def test_no_secret_is_shown(self) -> None:
        page = self.client.get(OVERVIEW).content.decode()
        self.assertIn("ACS_STREAM_TOKEN", page)
        for secret in (*SECRETS, settings.SECRET_KEY):
            self.assertNotIn(secret, page)

    def test_a_database_is_named_without_user_and_password(self) -> None:
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "acs",
            "HOST": "db",
            "USER": "u",
            "PORT": 5432,
        }
        with patch.dict(
            "django.conf.settings.DATABASES", {"default": {**database, "PASSWORD": SECRETS[0]}}
        ):
            shown = {
                setting.name: setting.value for group in groups() for setting in group.settings
            }
        self.assertEqual(shown["DATABASE_URL"], "PostgreSQL acs on db:5432")


class Sizes(AdminPageTestCase):
    def test_much_audio_is_estimated_from_a_part(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=20),)).write()
        Segment.objects.update(stored_bytes=1000)
        with patch.object(sizes, "EXACT_UP_TO", 10), patch.object(sizes, "SAMPLE_PERCENT", 100):
            found = sizes.audio([sizes.Table("segments", 20, None)])
        self.assertEqual((found.segments, found.stored_bytes), (20, 20_000))
        self.assertEqual(found.is_estimate, connection.vendor == "postgresql")

    def test_every_table_is_there(self) -> None:
        names = {table.name for table in sizes.tables()}
        self.assertLessEqual({"calls", "segments", "recorder processes", "discarded audio"}, names)
