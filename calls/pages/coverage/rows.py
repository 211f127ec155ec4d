"""The calls of a range as rows: those with faults first, the newest of each first."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from calls.coverage.report import calls_of
from calls.models import Call, CallCoverage, MissingTime
from calls.pages.coverage.sentence import Fault
from calls.pages.timeline import seconds_after
from calls.wording import missing_text

FILTERS = {
    "": "All calls",
    "faults": "Not complete",
    "partial": "Partly recorded",
    "missing": "Not recorded",
    "refused": "Refused",
    "unexpected": "Recorded, but not expected",
    "unknown": "Not judged yet",
    "four": "More than four participants",
    "complete": "Complete",
}
"""Value of the filter `show` -> text."""

VERDICTS = {
    "complete": "Complete",
    "partial": "Partly recorded",
    "missing": "Not recorded",
    "unexpected": "Not expected",
    "unknown": "Not judged yet",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A range and its filters, of which "" means all."""

    start: datetime
    end: datetime
    show: str = ""
    reason: str = ""

    def calls(self) -> QuerySet[CallCoverage]:
        """Returns the matching calls, newest first."""
        verdict = self.show if self.show in VERDICTS else ""
        calls = calls_of(self.start, self.end, verdict=verdict, reason=self.reason)
        if self.show == "refused":
            return calls.filter(is_refused=True)
        if self.show == "four":
            return calls.filter(more_than_four=True)
        return calls.exclude(verdict="complete") if self.show == "faults" else calls

    @property
    def is_in_two_parts(self) -> bool:
        """Whether complete calls come after all others."""
        return self.show in ("", "refused", "four") and not self.reason


@dataclass(frozen=True, slots=True)
class Position:
    """A row: a page shows the rows after it. As text it is a parameter of the address."""

    is_complete: bool
    started_at: datetime
    pk: UUID

    @classmethod
    def of(cls, coverage: CallCoverage) -> Self:
        return cls(coverage.verdict == "complete", coverage.started_at, coverage.pk)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Returns None for an invalid text: the list then begins with its first row."""
        part, _, rest = text.partition("~")
        started_at, _, pk = rest.partition("~")
        try:
            moment = datetime.fromisoformat(started_at)
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return cls(part == "complete", aware.astimezone(UTC), UUID(pk))
        except (ValueError, OverflowError):  # the second near the first and the last year
            return None

    def __str__(self) -> str:
        part = "complete" if self.is_complete else "faults"
        return f"{part}~{self.started_at.astimezone(UTC).isoformat()}~{self.pk}"


@dataclass(frozen=True, slots=True)
class Row:
    """One call. `at`: the first missing second, for a link into the player; None without one.

    `recording` is None if nothing was recorded, or the recording has been deleted.
    """

    coverage: CallCoverage
    recording: Call | None
    at: float | None
    reasons: list[tuple[str, float]]

    @property
    def name(self) -> str:
        """The id by which ACS names the call."""
        coverage = self.coverage
        return coverage.call_connection_id or coverage.correlation_id or str(coverage.pk)

    @property
    def fragment(self) -> str:
        """The place in the player, for the address of the call."""
        return "" if self.at is None else f"#t={self.at:.3f}"

    @property
    def verdict_text(self) -> str:
        return VERDICTS.get(self.coverage.verdict, self.coverage.verdict)


def page_of(wanted: Wanted, after: Position | None, size: int) -> tuple[list[Row], Position | None]:
    """Returns up to `size` rows after a position, and the position of the last one if there are
    more.
    """
    calls = wanted.calls()
    if not wanted.is_in_two_parts:
        found = list(_after(calls, after)[: size + 1])
    elif after and after.is_complete:
        found = list(_after(calls.filter(verdict="complete"), after)[: size + 1])
    else:
        found = list(_after(calls.exclude(verdict="complete"), after)[: size + 1])
        if len(found) <= size:
            found += calls.filter(verdict="complete")[: size + 1 - len(found)]
    shown = found[:size]
    return rows_of(shown), Position.of(shown[-1]) if len(found) > size else None


def all_rows(wanted: Wanted, size: int) -> Generator[list[Row], None, None]:
    """Yields all rows, in pieces of a query each."""
    after: Position | None = None
    while True:
        rows, after = page_of(wanted, after, size)
        yield rows
        if after is None:
            return


def rows_of(found: Sequence[CallCoverage]) -> list[Row]:
    """Returns rows with their recordings: two more queries for any number of calls."""
    recordings = recordings_of(found)
    return [_row(coverage, recordings.get(coverage.pk)) for coverage in found]


def recordings_of(found: Sequence[CallCoverage]) -> dict[UUID, Call]:
    """Returns the recordings by the id of their coverage, which names them only once it is judged:
    until then they have the call connection id in common.
    """
    ids = {each.call_id for each in found if each.call_id}
    names = {each.call_connection_id for each in found if not each.call_id} - {""}
    own = Q(pk__in=ids) | Q(call_connection_id__in=names, continuation=0)
    calls = Call.objects.filter(own).with_audio_extent().prefetch_related("participants")
    known: dict[UUID | str, Call] = {}
    for call in calls:
        known[call.pk] = call
        if call.call_connection_id:  # recordings without one have no name in common
            known[call.call_connection_id] = call
    recordings = {each.pk: known.get(each.call_id or each.call_connection_id) for each in found}
    return {pk: call for pk, call in recordings.items() if call}


def faults_of(wanted: Wanted) -> list[Fault]:
    """Returns the missing time of the calls, by verdict and reason, the longest first."""
    calls = wanted.calls().prefetch_related(None).order_by()
    spans = MissingTime.objects.filter(coverage__in=calls).order_by()
    sums = spans.values_list("coverage__verdict", "reason").annotate(
        calls=Count("coverage", distinct=True), total=Sum("seconds")
    )
    faults = [Fault(*each) for each in sums]
    return sorted(faults, key=lambda fault: (-fault.seconds, fault.reason, fault.verdict))


def reasons_of(spans: Iterable[MissingTime]) -> list[tuple[str, float]]:
    """Returns reasons in words with their seconds, the longest first."""
    seconds: dict[str, float] = {}
    for span in spans:
        text = missing_text(span.reason)
        seconds[text] = seconds.get(text, 0.0) + span.seconds
    return sorted(seconds.items(), key=lambda item: (-item[1], item[0]))


def place_of(call: Any, moment: datetime) -> float:
    """Returns the moment in seconds of the player of a call from `with_audio_extent`."""
    return max(0.0, seconds_after(call.audio_started_at or call.started_at, moment))


def _row(coverage: CallCoverage, call: Call | None) -> Row:
    spans = list(coverage.missing.all())
    first = min((span.started_at for span in spans), default=None)
    at = place_of(call, first) if call and first else None
    return Row(coverage, call, at, reasons_of(spans))


def _after(calls: QuerySet[CallCoverage], position: Position | None) -> QuerySet[CallCoverage]:
    if position is None:
        return calls
    moment = position.started_at
    return calls.filter(Q(started_at__lt=moment) | Q(started_at=moment, pk__lt=position.pk))
