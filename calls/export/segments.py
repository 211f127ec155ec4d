"""Audio store -> samples. What fails its length or its hash is never handed out."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import Error as DatabaseError

from calls.audio.codec import DamagedAudio, Samples, decode
from calls.export.axis import SegmentRef
from calls.export.errors import SegmentDamaged, StoreUnavailable
from calls.storage import read_object

log = structlog.get_logger(__name__)

Reader = Callable[[SegmentRef], Samples]
"""The samples of a stretch, shape (sample_count,). Raises `SegmentDamaged` and
`StoreUnavailable`.
"""


def read_stretch(stretch: SegmentRef) -> Samples:
    """Reads and decodes the object and compares its hash, before any sample of it is used."""
    try:
        content = read_object(stretch.audio_name)
        return decode(content, sample_count=stretch.sample_count, sha256=stretch.sha256)
    except (DamagedAudio, FileNotFoundError) as error:
        log.error(
            "segment damaged",
            segment=str(stretch.segment_id),
            reason=str(error) or "the object is missing",
        )
        raise SegmentDamaged(stretch.segment_id) from error
    except (
        OSError,
        DatabaseError,
    ) as error:  # OSError: also what `calls.storage` says of S3 and Azure
        log.warning(
            "audio store away", segment=str(stretch.segment_id), reason=type(error).__name__
        )
        raise StoreUnavailable from error
