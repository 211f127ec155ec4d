"""Several calls as one zip, made while it is sent: audio and manifest of each in a folder, and at
last what is in it.

Entries are stored as they are, for audio does not shrink, and each is followed by its size and CRC:
nothing is held back to know them (APPNOTE.TXT, section 4.3.9; Zip64 throughout, for sizes are not
known beforehand).

A call whose audio cannot be had is a line in the contents that says why. What fails once a file has
begun breaks the zip: without the directory at its end it opens nowhere, so no file is ever shorter
than it looks.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from io import StringIO
from itertools import chain
from uuid import UUID

import structlog
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder
from zipstream import ZipStream

from calls.export import manifest
from calls.export.errors import ExportError, StoreUnavailable
from calls.export.export import Export
from calls.export.file_names import call_file_name, call_folder_name
from calls.export.plan import ExportRequest, Plan, plan_of
from calls.export.queries import axis_if_any, recording_of
from calls.export.segments import read_segment
from calls.models import Call, LedgerEntry
from calls.serializers import CallSerializer
from calls.storage.integrity import IN_THE_LEDGER

log = structlog.get_logger(__name__)

KNOWN_DAMAGE = 20
"""Segments of a call that the ledger calls damaged and that are read before: some, for they may
have been restored.
"""

GONE = "There is no such call, or no more."


@dataclass(slots=True)
class Line:
    """What the zip holds of one call. Paths are within the zip, "" for what is not there."""

    call: UUID
    audio: str = ""
    audio_bytes: int = 0
    audio_sha256: str = ""
    manifest: str = ""
    left_out: str = ""
    """Why there is no audio."""


COLUMNS = tuple(field.name for field in fields(Line))


def pieces(call_ids: Sequence[UUID], wish: ExportRequest) -> Generator[bytes, None, None]:
    """The zip. Raises `StoreUnavailable`, and after the first piece all that an export raises."""
    archive, lines = ZipStream(), []
    for call_id in call_ids:
        line = Line(call_id)
        try:
            yield from _call(archive, line, wish)
        except ExportError as fault:
            log.error("zip aborted", call=str(call_id), reason=type(fault).__name__)
            raise
        lines.append(line)
    archive.add(_json(lines, wish), "manifest.json")
    archive.add(_csv(lines), "manifest.csv")
    yield from archive.finalize()
    whole = sum(not line.left_out for line in lines)
    log.info(
        "zip complete",
        calls=len(lines),
        with_audio=whole,
        audio_bytes=sum(line.audio_bytes for line in lines),
    )


def _call(archive: ZipStream, line: Line, wish: ExportRequest) -> Generator[bytes, None, None]:
    now = timezone.now()
    call = Call.objects.for_rest(now).filter(pk=line.call).first()
    if call is None:
        line.left_out = GONE
        return
    yield from _audio(archive, line, call, wish)
    # After the audio: of a live call it says what the file holds, and perhaps a little more.
    line.manifest = f"{call_folder_name(call)}/manifest.json"
    archive.add(
        manifest.chunks(dict(CallSerializer(call).data), axis_if_any(call.pk), now), line.manifest
    )
    yield from archive.all_files()


def _audio(
    archive: ZipStream, line: Line, call: Call, wish: ExportRequest
) -> Generator[bytes, None, None]:
    try:
        plan = plan_of(recording_of(call), wish)
        _read_damaged(call, plan)
        audio = Export.of(plan).chunks()
        first = next(audio)  # what is wrong at the beginning shows before the file has one
    except StoreUnavailable:  # not of this call: it would be said of all of them
        raise
    except ExportError as fault:
        line.left_out = str(fault)
        return
    with closing(audio):
        line.audio = f"{call_folder_name(call)}/{call_file_name(plan, call.pk, {})}"
        archive.add(_summed(chain([first], audio), line), line.audio)
        yield from archive.all_files()


def _read_damaged(call: Call, plan: Plan) -> None:
    """Raises `SegmentDamaged` where a check has found so and it still is: known before anything is
    sent.
    """
    found = LedgerEntry.objects.filter(
        call=call, kind=LedgerEntry.Kind.DAMAGE, reason__in=IN_THE_LEDGER
    )
    damaged = {
        UUID(entry.detail["segment"])
        for entry in found.order_by("-started_at", "-id")[:KNOWN_DAMAGE]
    }
    for track in plan.tracks:
        for segment in track.segments:
            if segment.segment_id in damaged:
                read_segment(segment)


def _summed(audio: Iterable[bytes], line: Line) -> Generator[bytes, None, None]:
    digest = sha256()
    for piece in audio:
        digest.update(piece)
        line.audio_bytes += len(piece)
        yield piece
    line.audio_sha256 = digest.hexdigest()


def _json(lines: Sequence[Line], wish: ExportRequest) -> str:
    document = {
        "generated_at": timezone.now(),
        "format": wish.format.name,
        "layout": wish.layout,
        "calls": [asdict(line) for line in lines],
    }
    return json.dumps(document, cls=JSONEncoder, indent=2)


def _csv(lines: Sequence[Line]) -> str:
    """RFC 4180. All text in it is ours: no cell can be a formula."""
    text = StringIO()
    rows = csv.DictWriter(text, COLUMNS)
    rows.writeheader()
    rows.writerows(asdict(line) for line in lines)
    return text.getvalue()
