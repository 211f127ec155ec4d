"""Reads segments from the audio store. Audio of the wrong length or hash is never returned."""

from __future__ import annotations

import structlog
from django.db import Error as DatabaseError

from calls.audio.codec import DamagedAudio, Samples, decode
from calls.export.axis import SegmentRef
from calls.export.errors import SegmentDamaged, StoreUnavailable
from calls.storage import cause_of, read_object

log = structlog.get_logger(__name__)


def read_segment(segment: SegmentRef) -> Samples:
    """Returns the decoded samples, shape (sample_count,), after checking their hash.

    Raises `SegmentDamaged` and `StoreUnavailable`.
    """
    try:
        content = read_object(segment.audio_name)
        return decode(content, sample_count=segment.sample_count, sha256=segment.sha256)
    except (DamagedAudio, FileNotFoundError) as error:
        reason = str(error) or "the object is missing"
        log.error("segment damaged", segment=str(segment.segment_id), reason=reason)
        raise SegmentDamaged(segment.segment_id) from error
    except (OSError, DatabaseError) as error:  # OSError: what `calls.storage` raises for any store
        reason = cause_of(error)
        log.warning("audio store unreachable", segment=str(segment.segment_id), reason=reason)
        raise StoreUnavailable from error
