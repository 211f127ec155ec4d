"""Structured logs: every line is one event with named values.

The modules of this project log through structlog (`log.info("stream opened", stream=…)`). Lines of
Django and of the servers pass through the same formatter, so one parser reads them all.
"""

from __future__ import annotations

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def formatter(*, readable: bool) -> ProcessorFormatter:
    """Returns the formatter for `settings.LOGGING`: JSON, or aligned text if `readable`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=False)
        if readable
        else structlog.processors.JSONRenderer()
    )
    return ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[ProcessorFormatter.remove_processors_meta, last],
    )
