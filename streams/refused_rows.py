"""Writes refused handshakes into the database, for the sealer and for processes without one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.db import DataError, IntegrityError

from calls.coverage.refusals import store
from calls.models import RefusedHandshake
from streams.refused import RefusedRow, RefusedSource

log = structlog.get_logger(__name__)

MOST = 2**31 - 1
"""Largest count that its column holds."""


def write_refused(source: RefusedSource, process: UUID) -> None:
    """Writes the rows of `source`, and confirms them. Raises `django.db.Error` if the database is
    unreachable: then everything waits.
    """
    rows = source.unwritten()
    if not rows:
        return
    models = [_model_of(row, process) for row in rows]
    try:
        store(models)
    except (DataError, IntegrityError):  # reachable, but it rejects one of them
        _store_each(models)
    source.confirm(max(row.revision for row in rows))


def _store_each(models: Sequence[RefusedHandshake]) -> None:
    for model in models:
        try:
            store([model])
        except (DataError, IntegrityError) as error:
            log.warning("refusal not stored", reason=model.reason, error=type(error).__name__)


def _model_of(row: RefusedRow, process: UUID) -> RefusedHandshake:
    return RefusedHandshake(
        id=row.id,
        process=process,
        first_at=datetime.fromtimestamp(row.first_at, UTC),
        last_at=datetime.fromtimestamp(row.last_at, UTC),
        reason=row.reason,
        from_acs=row.from_acs,
        address=row.origin.address or None,
        call_connection_id=row.origin.call_connection_id,
        correlation_id=row.origin.correlation_id,
        count=min(row.count, MOST),
    )
