"""The periodic jobs of the installation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from calls.canary import jobs as canary
from calls.coverage import refusals
from calls.coverage.job import runner
from calls.coverage.stored_events import retention
from calls.evidence import seals
from calls.notifications import call_events, failing_webhooks
from calls.notifications.mail import Mailer
from calls.notifications.webhooks import delivery
from calls.notifications.webhooks.threads import Deliverer


@dataclass(frozen=True, slots=True)
class Job:
    """A job that runs every so often. `run` gets an event that is set when the process stops; it
    returns within `MAX_SECONDS`, and leaves the rest to its next run. It may raise the errors of
    database, store and network: they are logged, and it runs again. `has_work` asks the database;
    without work the job is not run, and no row is written. It may raise `django.db.Error`.
    """

    name: str
    every_seconds: float
    run: Callable[[Event], None]
    has_work: Callable[[], object] = lambda: True


MAX_SECONDS = 30.0

JOBS: tuple[Job, ...] = (
    Job("coverage", 5.0, runner.run),
    # Every ten minutes, so that a flood cannot fill the disk meanwhile.
    Job("refusals", 600.0, refusals.remove_old),
    Job("remove_old_events", 3600.0, retention.remove_old),
    Job("remove_old_answered_calls", 3600.0, retention.remove_answered),
    Job("report_canary_alarm", 30.0, canary.report_alarm),
    Job("delete_old_canaries", 600.0, canary.delete_old),
    Job("webhooks", 1.0, Deliverer().run, has_work=delivery.due_endpoints),
    Job("report_failing_webhooks", 30.0, failing_webhooks.report_alarm),
    Job("mail", 10.0, Mailer().run),
    Job("evidence", 5.0, seals.run, has_work=seals.is_due),
    Job("tell_ends", 5.0, call_events.add_ended),
    Job("remove_old_notifications", 3600.0, delivery.remove_old),
)
