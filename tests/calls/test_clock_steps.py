"""States of calls as rows show them after the clock of a host has stepped."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from django.test import TestCase, override_settings
from django.utils import timezone

from calls.models import CLOCK_TOLERANCE, Call, Subscription, database_now
from tests.calls.rows import make_call

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@override_settings(RECONNECT_GRACE_SECONDS=10)
class StateTests(TestCase):
    def setUp(self) -> None:
        self.now = timezone.now()
        self.call = make_call(started_at=self.now - HOUR)

    def socket(
        self,
        position: int | None,
        *,
        seen_at: datetime | None = None,
        ended_at: datetime | None = None,
        code: int | None = None,
    ) -> None:
        """Writes a socket that connected a minute before it was seen last."""
        end = ended_at or seen_at
        assert end, "it is open or over"
        Subscription.objects.create(
            id=uuid4(),
            call=self.call,
            stream_id=uuid4(),
            position=position,
            connected_at=end - timedelta(minutes=1),
            seen_at=seen_at or end,
            disconnected_at=ended_at,
            close_code=code,
        )

    def assert_state(self, state: str) -> None:
        for now in (self.now, database_now()):
            calls = Call.objects.with_state(now)
            call = calls.get()
            self.assertEqual((call.state, call.ended_at is None), (state, state == "live"))
            self.assertEqual(calls.in_state(state, now).count(), 1)
            self.assertEqual(Call.objects.live(now).count(), int(state == "live"))

    def test_a_call_whose_end_is_in_the_future_has_ended(self) -> None:
        self.socket(1, ended_at=self.now + HOUR, code=1000)
        self.assert_state("ended")

    def test_an_end_in_the_near_future_is_one_of_a_host_whose_clock_is_ahead(self) -> None:
        """Or one from before a clock was set back: the rows are equal."""
        for seconds, state in ((31, "ended"), (29, "live"), (-9, "live"), (-11, "ended")):
            Subscription.objects.all().delete()
            self.now = timezone.now()  # the database's clock goes on meanwhile
            self.socket(1, ended_at=self.now + seconds * SECOND, code=1000)
            self.assert_state(state)

    def test_a_dead_socket_seen_in_the_future_is_not_live(self) -> None:
        self.socket(1, seen_at=self.now + HOUR)
        self.assert_state("interrupted")
        self.assertFalse(Subscription.objects.open(self.now).exists())

    def test_clocks_may_differ_by_some_seconds(self) -> None:
        self.socket(1, seen_at=self.now + CLOCK_TOLERANCE - 5 * SECOND)
        self.assert_state("live")

    def test_an_open_socket_is_live_whatever_the_times_of_the_others(self) -> None:
        for difference in (-HOUR, HOUR):
            self.socket(1, ended_at=self.now + difference, code=1011)
        self.socket(2, seen_at=self.now)
        self.assert_state("live")

    def test_the_state_is_that_of_the_socket_that_connected_last(self) -> None:
        for difference in (-HOUR, HOUR):
            Subscription.objects.all().delete()
            self.socket(1, ended_at=self.now + difference, code=1011)
            self.socket(2, ended_at=self.now - 30 * SECOND, code=1000)
            self.assert_state("ended")

    def test_a_socket_that_was_replaced_and_ended_later_does_not_decide(self) -> None:
        self.socket(1, ended_at=self.now - 60 * SECOND, code=1006)
        self.socket(2, ended_at=self.now - 90 * SECOND, code=1000)
        self.assert_state("ended")

    def test_rows_of_older_versions_are_ordered_by_their_ends(self) -> None:
        self.socket(None, ended_at=self.now - 90 * SECOND, code=1011)
        self.socket(None, ended_at=self.now - 60 * SECOND, code=1000)
        self.assert_state("ended")

    def test_rows_of_older_versions_are_older_than_others(self) -> None:
        self.socket(None, ended_at=self.now - 60 * SECOND, code=1011)
        self.socket(1, ended_at=self.now - 90 * SECOND, code=1000)
        self.assert_state("ended")
