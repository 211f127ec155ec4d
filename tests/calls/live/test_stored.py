"""The state of the recorders, as dashboards get it from the database."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

from django.test import TestCase, override_settings
from django.utils import timezone

from calls.live import stored
from calls.live.messages import NO_RECORDERS
from calls.live.stored import recorder_state
from calls.models import SILENT_AFTER
from calls.times import iso_text
from tests.calls.rows import make_process, make_refusal


class Recorders(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()
        self.died = self.now - SILENT_AFTER - timedelta(minutes=5)

    def test_without_rows_nothing_is_known(self) -> None:
        self.assertEqual(recorder_state(self.now), NO_RECORDERS)

    def test_a_process_that_no_longer_reports_is_missing_since_then(self) -> None:
        make_process(seen_at=self.died, started_at=self.died - timedelta(hours=1))
        make_process(host="web-1", started_at=self.now)
        state = recorder_state(self.now)
        self.assertEqual((state["reporting"], state["silent_since"]), (1, iso_text(self.died)))

    def test_a_process_that_was_started_again_on_its_host_is_not_missing(self) -> None:
        make_process(seen_at=self.died, started_at=self.died - timedelta(hours=1))
        make_process(started_at=self.died + timedelta(seconds=2))
        self.assertIsNone(recorder_state(self.now)["silent_since"])

    def test_a_neighbour_on_its_host_is_no_replacement(self) -> None:
        make_process(seen_at=self.died, started_at=self.died - timedelta(hours=1))
        make_process(started_at=self.died - timedelta(minutes=30))
        self.assertEqual(recorder_state(self.now)["silent_since"], iso_text(self.died))

    def test_a_stopped_process_of_an_older_version_is_not_missing(self) -> None:
        """It leaves its row when it is stopped in good order, as in every upgrade."""
        make_process(seen_at=self.died, started_at=self.died - timedelta(hours=1), refusals=None)
        make_process(started_at=self.died - timedelta(minutes=2))
        self.assertIsNone(recorder_state(self.now)["silent_since"])

    def test_without_redis_other_recorders_are_not_seen(self) -> None:
        """They are alarmed: each page would show a part of the calls, and look complete."""
        for recorders in range(3):
            for role, redis_url, unseen in (
                ("all", "", max(recorders - 1, 0)),
                ("web", "", recorders),
                ("all", "redis://redis", 0),
            ):
                with (
                    self.subTest(role, recorders=recorders, redis_url=redis_url),
                    override_settings(ROLE=role, REDIS_URL=redis_url),
                ):
                    self.assertEqual(recorder_state(self.now)["unseen"], unseen)
            make_process(started_at=self.now - timedelta(hours=1), seen_at=self.now)

    def test_a_process_that_was_killed_and_started_again_is_one(self) -> None:
        make_process(seen_at=self.now - timedelta(seconds=5), started_at=self.died)
        make_process(started_at=self.now - timedelta(seconds=4), seen_at=self.now)
        with override_settings(ROLE="all", REDIS_URL=""):
            self.assertEqual(recorder_state(self.now)["unseen"], 0)

    def test_refusals_are_added_up(self) -> None:
        make_process(refusals={"from_acs": {"expired": 1}, "others": {"no_header": 7}})
        make_process(refusals={"from_acs": {"expired": 2, "no_keys": 1}, "others": {}})
        make_process(refusals=None)  # of an older version
        self.assertEqual(
            recorder_state(self.now)["refused"],
            {"from_acs": {"expired": 3, "no_keys": 1}, "others": {"no_header": 7}},
        )

    def test_refusals_of_processes_without_a_recorder_are_counted_by_their_rows(self) -> None:
        recorder = make_process(refusals={"from_acs": {"expired": 1}, "others": {}})
        own = {"first_at": self.now, "last_at": self.now}
        make_refusal(process=recorder.pk, reason="expired", **own)  # counted already
        make_refusal(reason="wrong_role", count=3, **own)
        make_refusal(reason="wrong_role", from_acs=False, **own)
        old = self.now - timedelta(minutes=61)
        make_refusal(reason="wrong_role", first_at=old, last_at=old)
        self.assertEqual(
            recorder_state(self.now)["refused"],
            {"from_acs": {"expired": 1, "wrong_role": 3}, "others": {"wrong_role": 1}},
        )

    def test_few_rows_of_a_flood_are_added_up(self) -> None:
        for _ in range(3):
            make_refusal(reason="wrong_role", first_at=self.now, last_at=self.now)
        with patch.object(stored, "MAX_REFUSALS", 2):
            self.assertEqual(recorder_state(self.now)["refused"]["from_acs"], {"wrong_role": 2})
