"""Comparison of a day with its plan: rows and sums of REST, the metrics, and the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from calls.times import length_text
from tests.end_to_end.day.acs import Outcome
from tests.end_to_end.day.day import Site, metrics_of, range_of
from tests.end_to_end.day.plan import INTERRUPTED, NEVER, Kind

TOLERANCE_SECONDS = 0.25
"""Of missing time per call: the clocks are the same, but a socket is noticed some packets later."""

MOST_REASONS = 2
"""Reasons that the sentence names."""

WORDS = {
    INTERRUPTED: "ACS lost its connection",
    NEVER: "ACS could not open the media socket, 8581",
    "refused_wrong_audience": "refused: token for another resource: check ACS_RESOURCE_ID",
    "never_streamed": "ACS never opened a media socket",
}
"""Reasons in words, as the page has them."""


def compare(site: Site, outcomes: Sequence[Outcome]) -> list[str]:
    """Returns a line for each difference between what was planted and what REST, the page and the
    metrics say.
    """
    begin, end = range_of(outcomes)
    rows = {row["call_connection_id"]: row for row in site.rows(begin, end)}
    problems = [
        problem
        for outcome in outcomes
        for problem in differences(outcome, rows.get(outcome.call.connection_id))
    ]
    problems += _rest(site, outcomes, begin, end)
    for server in (site.web, site.ingest):
        problems += metric_differences(outcomes, metrics_of(server))
    days = {"since": f"{begin:%Y-%m-%d}", "until": f"{end:%Y-%m-%d}"}
    problems += sentence_differences(outcomes, site.get("/coverage/", **days).decode())
    unknown = set(rows) - {outcome.call.connection_id for outcome in outcomes}
    return problems + [f"{name} was not planted" for name in sorted(unknown)]


def differences(outcome: Outcome, row: Mapping[str, Any] | None) -> Iterator[str]:
    """Yields what is wrong with the coverage of one call."""
    call = outcome.call
    name = f"{call.connection_id} ({call.kind})"
    if row is None:
        yield f"{name}: unknown"
        return
    if row["verdict"] != call.verdict:
        yield f"{name}: {row['verdict']} instead of {call.verdict}"
    if abs(row["missing_seconds"] - outcome.missing_seconds) > TOLERANCE_SECONDS:
        yield f"{name}: {row['missing_seconds']} s missing, not {outcome.missing_seconds:.2f}"
    expected = outcome.disconnected_at - outcome.connected_at
    if call.kind is not Kind.UNREPORTED and abs(row["expected_seconds"] - expected) > 0.1:
        yield f"{name}: {row['expected_seconds']} s expected, not {expected:.2f}"
    reasons = {one["reason"] for one in row["missing"]}
    if reasons != {reason for _, _, reason in outcome.missing}:
        yield f"{name}: missing because of {sorted(reasons)}"
    for one, (began, ended, _) in zip(row["missing"], outcome.missing, strict=False):
        for text, moment in ((one["started_at"], began), (one["ended_at"], ended)):
            if abs(datetime.fromisoformat(text).timestamp() - moment) > TOLERANCE_SECONDS:
                yield f"{name}: missing at {text}, not at {moment}"


def _rest(site: Site, outcomes: Sequence[Outcome], begin: datetime, end: datetime) -> Iterator[str]:
    verdicts = Counter(outcome.call.verdict for outcome in outcomes)
    report = site.json("/api/v1/coverage/", **{"from": begin.isoformat(), "to": end.isoformat()})
    for verdict in ("complete", "partial", "missing", "unexpected"):
        if report["calls"][verdict] != verdicts[verdict]:
            yield f"REST: {report['calls'][verdict]} {verdict}, not {verdicts[verdict]}"
    yield from sum_differences("REST", outcomes, report["seconds"]["missing"])


def missing_sums(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Returns the planned missing seconds by reason."""
    sums: dict[str, float] = {}
    for outcome in outcomes:
        for began, ended, reason in outcome.missing:
            sums[reason] = sums.get(reason, 0.0) + ended - began
    return sums


def sum_differences(
    where: str, outcomes: Sequence[Outcome], found: Mapping[str, float]
) -> Iterator[str]:
    """Yields the reasons of which the missing seconds are not as planned."""
    sums = missing_sums(outcomes)
    for reason in sorted({*sums, *found}):
        count = sum(reason in {one[2] for one in outcome.missing} for outcome in outcomes)
        planned = sums.get(reason, 0.0)
        if abs(found.get(reason, 0.0) - planned) > TOLERANCE_SECONDS * max(1, count):
            yield f"{where}: {found.get(reason, 0.0)} s {reason}, not {planned:.2f}"


def metric_differences(outcomes: Sequence[Outcome], metrics: str) -> Iterator[str]:
    """Yields what is wrong with the metrics of coverage in the text of `/metrics`."""
    line = r'^acsmedia_missing_seconds_total\{reason="(\w+)"\} (\S+)$'
    found = {reason: float(value) for reason, value in re.findall(line, metrics, re.MULTILINE)}
    yield from sum_differences("metrics", outcomes, found)
    counted = [one for one in outcomes if one.call.verdict != "unexpected"]
    expected = sum(one.disconnected_at - one.connected_at for one in counted)
    planned = 1 - sum(one.missing_seconds for one in counted) / expected
    ratio = re.search(r"^acsmedia_captured_ratio (\S+)$", metrics, re.MULTILINE)
    tolerance = TOLERANCE_SECONDS * len(counted) / expected
    if ratio is None or abs(float(ratio[1]) - planned) > tolerance:
        yield f"metrics: {ratio and ratio[1]} captured, not {planned:.4f}"


def sentence_differences(outcomes: Sequence[Outcome], page: str) -> Iterator[str]:
    """Yields what is wrong with the sentence of the page `/coverage/`."""
    found = re.search(r'<p class="cover-sentence">(.*?)</p>', page, re.DOTALL)
    sentence = " ".join(re.sub(r"<[^>]+>", " ", found[1] if found else "").split())
    sentence = sentence.replace(" ,", ",")
    verdicts = Counter(outcome.call.verdict for outcome in outcomes)
    parts = [rf"{len(outcomes)} calls?", f"{verdicts['complete']} complete"]
    if verdicts["partial"]:
        parts.append(rf"{verdicts['partial']} with (?P<length>.+?) missing \((?P<partial>.+?)\)")
    if verdicts["missing"]:
        parts.append(rf"{verdicts['missing']} not recorded \((?P<missing>.+?)\)")
    if verdicts["unexpected"]:
        parts.append(f"{verdicts['unexpected']} recorded but not expected")
    said = re.fullmatch(", ".join(parts), sentence)
    if said is None:
        yield f"the page says: {sentence}"
        return
    for verdict in ("partial", "missing"):
        own = [one for one in outcomes if one.call.verdict == verdict]
        if own and not _are_named(said[verdict], own):
            yield f"the page says of {verdict} calls: {said[verdict]}"
        if own and verdict == "partial" and not _is_length(said["length"], own):
            yield f"the page says {said['length']} of partial calls"


def _are_named(text: str, outcomes: Sequence[Outcome]) -> bool:
    """Whether the two reasons with the most missing time are named, and the number of others."""
    sums = missing_sums(outcomes)
    texts = text.split("; ")
    named = [reason for reason in sums if WORDS[reason] in texts[:MOST_REASONS]]
    others = sorted({*sums} - {*named})
    rest = [f"{len(others)} other reason{'s' if len(others) > 1 else ''}"] if others else []
    least = min((sums[reason] for reason in named), default=0.0)
    most = max((sums[reason] for reason in others), default=0.0)
    tolerance = TOLERANCE_SECONDS * len(outcomes)
    is_whole = len(named) == min(MOST_REASONS, len(sums)) and texts[len(named) :] == rest
    return is_whole and most <= least + tolerance


def _is_length(text: str, outcomes: Sequence[Outcome]) -> bool:
    """Whether the text is the planned missing time, within the tolerance."""
    planned, steps = sum(one.missing_seconds for one in outcomes), 10 * len(outcomes)
    step = TOLERANCE_SECONDS * len(outcomes) / steps
    return text in {length_text(planned + number * step) for number in range(-steps, steps + 1)}
