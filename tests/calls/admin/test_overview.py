"""The administrator's overview: contents, retries, access, and no secrets."""

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
from calls.admin.overview.page import BEHIND_SEGMENTS
from calls.models import SILENT_AFTER, DiscardedAudio, FailedJournal, RecorderProcess, Segment
from calls.storage import audio_store
from streams.live.alarm_rules import Thresholds
from tests.calls.admin.pages import AdminPageTestCase
from tests.calls.admin.recordings import ALICE, Recording, Spoken
from tests.calls.rows import make_failed, make_process

OVERVIEW = "/admin/overview/"
SECRETS = ("swordfish", "open-sesame")


class Page(AdminPageTestCase):
    def test_it_works_without_data(self) -> None:
        response = self.client.get(OVERVIEW)
        self.assertContains(response, "No recorder was active in the last hour.")
        self.assertContains(response, "Nothing has failed.")

    def test_the_admin_links_to_it(self) -> None:
        self.assertContains(self.client.get("/admin/"), f'href="{OVERVIEW}"')

    def test_it_shows_recorders_and_their_seal_lag(self) -> None:
        make_process()
        make_process(
            seal_lag_seconds=3600.0,
            failures={"store": 5, "database": 0},
            last_error="StoreUnreachable",
        )
        make_process(seen_at=timezone.now() - SILENT_AFTER - timedelta(seconds=1))
        make_process(seen_at=timezone.now() - SILENT_AFTER / 2)
        response = self.client.get(OVERVIEW)
        for text in (
            "ingest-1",
            ">41<",
            "1.0 s",
            "behind: 3600 s",
            "5 store",
            "StoreUnreachable",
            "silent</strong> since",
        ):
            self.assertContains(response, text)
        self.assertContains(response, "behind:", count=1)
        self.assertContains(response, "silent</strong>", count=1)

    def test_it_shows_refused_connections_by_reason(self) -> None:
        self.assertContains(self.client.get(OVERVIEW), "<p>None.</p>", html=True)
        make_process(refusals={"from_acs": {"expired": 3}, "others": {"no_header": 2412}})
        response = self.client.get(OVERVIEW)
        for text in ("Token expired: check the clock", ">3</strong>", "No token of ACS", ">2412<"):
            self.assertContains(response, text)

    def test_it_shows_the_amount_of_audio(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=9),)).write()
        Segment.objects.update(stored_bytes=100_000)
        response = self.client.get(OVERVIEW)
        self.assertContains(response, f"{filesizeformat(900_000)} in 9 segments")

    def test_behind_has_the_threshold_of_the_alarm(self) -> None:
        self.assertEqual(BEHIND_SEGMENTS, Thresholds().behind_segments)
        make_process(seal_lag_seconds=BEHIND_SEGMENTS * settings.SEGMENT_SECONDS)
        self.assertNotContains(self.client.get(OVERVIEW), "behind:")
        RecorderProcess.objects.update(
            seal_lag_seconds=BEHIND_SEGMENTS * settings.SEGMENT_SECONDS + 1
        )
        self.assertContains(self.client.get(OVERVIEW), "behind:")

    def test_an_unreadable_disk_shows_the_reason(self) -> None:
        with patch("shutil.disk_usage", side_effect=PermissionError(13, "Permission denied")):
            self.assertContains(
                self.client.get(OVERVIEW), "not readable:</strong> Permission denied"
            )

    def test_the_number_of_queries_is_constant(self) -> None:
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


class Retrying(AdminPageTestCase):
    def test_one_journal(self) -> None:
        wanted, other = make_failed(), make_failed()
        response = self.client.post(reverse("admin-retry"), {"journal": wanted.pk}, follow=True)
        self.assertContains(response, "1 journal will be retried")
        self.assertContains(response, "retry requested", count=1)
        for row in (wanted, other):
            row.refresh_from_db()
        self.assertIsNotNone(wanted.retry_asked_at)
        self.assertIsNone(other.retry_asked_at)

    def test_all_of_them(self) -> None:
        for _ in range(2):
            make_failed()
        self.assertContains(
            self.client.post(reverse("admin-retry"), follow=True), "2 journals will be retried"
        )
        self.assertFalse(FailedJournal.objects.filter(retry_asked_at=None).exists())

    def test_an_invalid_id_is_refused_and_an_unknown_one_ignored(self) -> None:
        self.assertEqual(
            self.client.post(reverse("admin-retry"), {"journal": "../x"}).status_code, 400
        )
        response = self.client.post(reverse("admin-retry"), {"journal": uuid4()}, follow=True)
        self.assertContains(response, "0 journals will be retried")

    def test_objects_of_deleted_calls_can_be_removed_now(self) -> None:
        name = audio_store().save("forgotten.flac", ContentFile(b"audio"))
        DiscardedAudio.objects.create(name=name, segment_id=uuid4())
        self.assertContains(self.client.get(OVERVIEW), "object of deleted calls is still in the")
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(reverse("admin-sweep"))
        self.assertFalse(audio_store().exists(name))
        self.assertNotContains(self.client.get(OVERVIEW), "of deleted calls")

    def test_it_requires_a_post(self) -> None:
        for name in ("admin-retry", "admin-sweep"):
            self.assertEqual(self.client.get(reverse(name)).status_code, 405)


class Access(AdminPageTestCase):
    def sign_in(self, *codenames: str) -> None:
        user = User.objects.create_user("someone", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        self.client.force_login(user)

    def test_it_redirects_to_the_login(self) -> None:
        self.client.logout()
        self.assertEqual(self.client.get(OVERVIEW).status_code, 302)
        self.assertEqual(self.client.post(reverse("admin-retry")).status_code, 302)

    def test_it_requires_its_permission(self) -> None:
        self.sign_in_viewer()
        self.assertEqual(self.client.get(OVERVIEW).status_code, 403)
        self.assertNotContains(self.client.get("/admin/"), OVERVIEW)

    def test_viewing_alone_allows_no_retry(self) -> None:
        self.sign_in("view_recorderprocess")
        make_failed()
        DiscardedAudio.objects.create(name="object", segment_id=uuid4())
        self.assertNotContains(self.client.get(OVERVIEW), '<button class="button"')
        for name in ("admin-retry", "admin-sweep"):
            self.assertEqual(self.client.post(reverse(name)).status_code, 403)

    def test_administrators_may_view_and_retry(self) -> None:
        user = User.objects.create_user("anna", is_staff=True)
        user.groups.set(Group.objects.filter(name="Administrators"))
        self.client.force_login(user)
        make_failed()
        self.assertContains(self.client.get(OVERVIEW), "Retry all")
        self.assertEqual(self.client.post(reverse("admin-retry")).status_code, 302)


class Configuration(AdminPageTestCase):
    @override_settings(ACS_STREAM_TOKEN=SECRETS[0], METRICS_TOKEN=SECRETS[1])
    def test_no_secret_is_shown(self) -> None:
        page = self.client.get(OVERVIEW).content.decode()
        self.assertIn("ACS_STREAM_TOKEN", page)
        for secret in (*SECRETS, settings.SECRET_KEY):
            self.assertNotIn(secret, page)

    def test_a_database_is_shown_without_user_and_password(self) -> None:
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
            shown = {row.name: row.value for rows in groups().values() for row in rows}
        self.assertEqual(shown["DATABASE_URL"], "PostgreSQL acs on db:5432")


class Sizes(AdminPageTestCase):
    def test_much_audio_is_estimated_from_a_sample(self) -> None:
        Recording(tracks=(Spoken(ALICE, segments=20),)).write()
        Segment.objects.update(stored_bytes=1000)
        with patch.object(sizes, "EXACT_UP_TO", 10), patch.object(sizes, "SAMPLE_PERCENT", 100):
            audio = sizes.audio([sizes.Table("segments", 20, None)])
        self.assertEqual((audio.segments, audio.stored_bytes), (20, 20_000))
        self.assertEqual(audio.is_estimate, connection.vendor == "postgresql")

    def test_every_table_is_listed(self) -> None:
        names = {table.name for table in sizes.tables()}
        self.assertLessEqual({"calls", "segments", "recorder processes", "discarded audio"}, names)
