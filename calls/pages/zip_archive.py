"""Zip of several calls, created while it is sent: a folder per call with audio and manifest, then
a table of contents.

Entries are stored uncompressed, because audio does not shrink. Size and CRC follow each entry, so
nothing is buffered to compute them (APPNOTE.TXT, section 4.3.9; Zip64 throughout, because sizes
are not known in advance).

If the audio of a call cannot be exported, its line in the contents gives the reason. A failure
after a file has begun aborts the zip: without the directory at its end no program opens it, so a
truncated file is never taken for a complete one.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, tzinfo
from hashlib import sha256
from itertools import chain
from typing import Any
from uuid import UUID

import structlog
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder
from zipstream import ZipStream

from calls.audit.actors import Actor
from calls.coverage.history import causes
from calls.export import manifest
from calls.export.errors import AuditUnavailable, ExportError, StoreUnavailable
from calls.export.export import Export
from calls.export.file_names import call_file_name, call_folder_name
from calls.export.plan import ExportRequest, Plan, plan_of
from calls.export.queries import axis_if_any, recording_of
from calls.export.segments import read_segment
from calls.http.heard import AudioNote
from calls.models import Action, Call, LedgerEntry, database_now
from calls.models.listening import note_playback
from calls.pages.csv_text import csv_text
from calls.permissions import missing, to_get_audio
from calls.serializers import CallSerializer

log = structlog.get_logger(__name__)

KNOWN_DAMAGE = 20
"""Most segments of a call, damaged according to its ledger, that are read again before its audio
is sent: they may have been restored.
"""

NOT_FOUND = "The call does not exist, or has been deleted."
STILL_LIVE = "The call is live: its audio needs the permission calls.listen_live."


class NotListening(Exception):
    """The call is live, and the user may not hear live calls."""


@dataclass(slots=True)
class Line:
    """Contents of the zip for one call. Paths are relative to the zip, "" for a missing file."""

    call: UUID
    audio: str = ""
    audio_bytes: int = 0
    audio_sha256: str = ""
    manifest: str = ""
    left_out: str = ""
    """Why there is no audio."""


@dataclass(frozen=True, slots=True)
class _Client:
    user: Any
    actor: Actor
    zone: tzinfo


COLUMNS = tuple(field.name for field in fields(Line))


def pieces(
    call_ids: Sequence[UUID], request: ExportRequest, user: Any, actor: Actor, zone: tzinfo = UTC
) -> Generator[bytes, None, None]:
    """Yields the zip for a user who may export; names of files have times in `zone`. Each call has
    its entry in the audit, of `actor`, before its audio.

    Raises `AuditUnavailable`, `StoreUnavailable`, and after the first piece any `ExportError`.
    """
    archive, lines = ZipStream(), []
    for call_id in call_ids:
        line = Line(call_id)
        try:
            yield from _call(archive, line, request, _Client(user, actor, zone))
        except ExportError as fault:
            log.error("zip aborted", call=str(call_id), reason=type(fault).__name__)
            raise
        lines.append(line)
    archive.add(json.dumps(_contents(request, lines), cls=JSONEncoder, indent=2), "manifest.json")
    archive.add(csv_text([COLUMNS, *map(astuple, lines)]), "manifest.csv")
    yield from archive.finalize()
    log.info(
        "zip complete",
        calls=len(lines),
        with_audio=sum(not line.left_out for line in lines),
        audio_bytes=sum(line.audio_bytes for line in lines),
    )


def _contents(request: ExportRequest, lines: list[Line]) -> dict[str, Any]:
    return {
        "generated_at": timezone.now(),
        "format": request.format.name,
        "layout": request.layout,
        "calls": [asdict(line) for line in lines],
    }


def _call(
    archive: ZipStream, line: Line, request: ExportRequest, client: _Client
) -> Generator[bytes, None, None]:
    call = Call.objects.for_rest(database_now()).filter(pk=line.call).first()
    if call is None:
        line.left_out = NOT_FOUND
        return
    folder = call_folder_name(call, client.zone)
    try:
        if call.state == "live":
            _admit_to_live(call, client.user)
        plan = plan_of(recording_of(call), request)
        _read_damaged(call, plan)
        export = Export.of(plan)
        AudioNote(client.actor, call.pk, action=Action.EXPORTED).write(export)
        audio = export.chunks()
        first = next(filter(None, audio))  # reports an error before the entry is created
    except (AuditUnavailable, StoreUnavailable):  # affects all calls, not this one only
        raise
    except (ExportError, NotListening) as fault:
        line.left_out = str(fault)
    else:
        with closing(audio):
            line.audio = f"{folder}/{call_file_name(plan, call.pk, {}, client.zone)}"
            archive.add(_hashed(chain([first], audio), line), line.audio)
            yield from archive.all_files()
    # After the audio: for a live call it then covers everything in the file, perhaps a little more.
    yield from _manifest(archive, line, call, f"{folder}/manifest.json")


def _manifest(
    archive: ZipStream, line: Line, call: Call, name: str
) -> Generator[bytes, None, None]:
    facts, axis = dict(CallSerializer(call).data), axis_if_any(call.pk)
    cause = causes(call.call_connection_id, call.correlation_id)
    archive.add(manifest.chunks(facts, axis, timezone.now(), cause), name)
    line.manifest = name
    yield from archive.all_files()


def _admit_to_live(call: Call, user: Any) -> None:
    """Notes in the ledger who hears a live call. Raises `NotListening`.

    Permissions are read anew: the zip may have been requested an hour ago.
    """
    present = get_user_model().objects.filter(pk=user.pk, is_active=True).first()
    if not present or missing(present, to_get_audio(is_live=True, download=True)):
        raise NotListening(STILL_LIVE)
    note_playback(call.pk, user.get_username())


def _read_damaged(call: Call, plan: Plan) -> None:
    """Reads segments that an integrity check has found damaged, so that a `SegmentDamaged` is
    raised before anything is sent.
    """
    entries = LedgerEntry.objects.filter(call=call).present_audio_faults()
    damaged = {
        UUID(entry.detail["segment"])
        for entry in entries.order_by("-started_at", "-id")[:KNOWN_DAMAGE]
    }
    for track in plan.tracks:
        for segment in track.segments:
            if segment.segment_id in damaged:
                read_segment(segment)


def _hashed(audio: Iterable[bytes], line: Line) -> Generator[bytes, None, None]:
    digest = sha256()
    for piece in audio:
        digest.update(piece)
        line.audio_bytes += len(piece)
        yield piece
    line.audio_sha256 = digest.hexdigest()
