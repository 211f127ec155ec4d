"""Journal files on their way to store and rows: a few at a time, each of another call.

The order of the steps is what makes a crash between any two of them harmless, and a power cut:

    0. the journals are synced     segments must not outlive their journal: read again after a power
                                   cut, and shorter, it would be cut into other segments
    1. audio -> store              trying again writes the same objects
    2. rows, one transaction       trying again finds them, and stores nothing
    3. state for the next files    or, where a socket is over, the call's axis for its next socket
    4. the journals are deleted    nothing is left to be tried again
    5. the states that they began with are deleted

Every step is done for all files before the next one begins, because what it costs is paid once for
all: one sync of the folder, one question to the database, one transaction. Where a step fails, any
of the files can go on without the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from django.utils import timezone
from msgspec import structs

from calls import identity, storage
from calls.audio import codec, waveform
from calls.audio.levels import level_of
from calls.storage import StoreUnreachable
from streams.journal import files as journal_files
from streams.journal import records as journal
from streams.journal import spool
from streams.journal.backlog import stream_of
from streams.journal.records import Damage, Handshake, Record
from streams.sealing import digest as sealing
from streams.sealing import queries, rows
from streams.sealing.digest import Digest, StreamState
from streams.sealing.overlaps import Stored, without_overlaps
from streams.sealing.rows import Addition, StoredSegment

log = structlog.get_logger(__name__)

HEAD_BYTES = 8192
"""Where every file says whose it is: magic word and handshake, whose ids are bounded."""


class UnreadableJournal(Exception):
    """The file does not say whose it is, and none before it does. It is set aside, and stays on
    disk.
    """


@dataclass(slots=True, eq=False)
class SealJob:
    """One journal file, and what the steps so far have made of it. `is_last`: no other file of its
    socket follows.
    """

    path: Path
    is_last: bool
    handshake: Handshake | None = None
    state: StreamState = field(default_factory=StreamState)
    is_sealed: bool = False  # its segments are rows
    has_company: bool = False  # its call has other sockets
    addition: Addition | None = None

    @property
    def stream_id(self) -> str:
        return stream_of(self.path.name)

    @property
    def sequence(self) -> int:
        return int(self.path.name.split(".")[1])

    @property
    def segments(self) -> int:
        return len(self.addition.segments) if self.addition else 0


def call_of(path: Path) -> str:
    """The call whose file this is; of one that does not say so, its stream."""
    try:
        handshake = _handshake_at(path) or _handshake_left(_state_left(_state_path(path)))
    except OSError:  # said and counted when it is this file's turn
        return stream_of(path.name)
    return handshake.call_id if handshake else stream_of(path.name)


def prepare(files: Sequence[SealJob], spool_folder: Path) -> None:
    """Step 0, and what was known before: the states that the files before have left, and what the
    rows say.
    """
    spool.sync_files(file.path for file in files)
    without_axis = []
    for file in files:
        left = _state_left(_state_path(file.path))
        file.state, file.handshake = left or StreamState(), _handshake_at(file.path)
        if file.handshake is None and left and left.handshake:
            file.handshake = structs.replace(left.handshake, sequence=file.sequence)
        if left is None and file.handshake and not _takes_axis_left(file, spool_folder):
            without_axis.append((file, file.handshake))
    for (file, _), axis in zip(
        without_axis, queries.axes_of([one for _, one in without_axis]), strict=True
    ):
        file.state.timeline = axis
    handshakes = [file.handshake for file in files if file.handshake]
    sealed = queries.sealed_among([(one.stream_id, one.sequence) for one in handshakes])
    others = queries.other_sockets(handshakes)
    for file in files:
        if file.handshake:
            file.is_sealed = (file.handshake.stream_id, file.handshake.sequence) in sealed
            file.has_company = file.handshake.call_id in others


def store_audio(file: SealJob) -> None:
    """Step 1: the file's segments are in the store. One that was never begun is removed, and adds
    nothing.

    Raises, as the others do, `StoreUnreachable`, `UnreadableJournal`, `django.db.Error`, `OSError`;
    all of it can be begun again.
    """
    records = list(journal_files.read(file.path))
    if file.handshake is None:
        _set_aside(file.path, records)
        return
    digest = sealing.digest(records, file.handshake, file.state, last=file.is_last)
    stored = _stored(digest, file)
    state = file.state
    file.addition = Addition(
        digest,
        list(state.subscriptions.values()),
        stored,
        list(state.voices.values()),
        state.last_us,
    )


def write_rows(files: Iterable[SealJob]) -> None:
    """Step 2."""
    rows.write([file.addition for file in files if file.addition], timezone.now())


def finish(files: Sequence[SealJob], spool_folder: Path) -> None:
    """Steps 3 to 5: the journals are deleted, once what comes after them can go on without them."""
    spool.write_whole(
        {_place_of_state(file, spool_folder): sealing.dump(file.state) for file in files}
    )
    for file in files:
        file.path.unlink(missing_ok=True)
    for file in files:
        _state_path(file.path).unlink(missing_ok=True)
        log.debug(
            "journal sealed", stream=file.stream_id, journal=file.sequence, segments=file.segments
        )


def _handshake_at(path: Path) -> Handshake | None:
    """None where it is damaged."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return sealing.handshake_in(journal.parse(head)) or sealing.handshake_in(
        journal_files.read(path)
    )


def _handshake_left(state: StreamState | None) -> Handshake | None:
    return state.handshake if state else None


def _takes_axis_left(file: SealJob, spool_folder: Path) -> bool:
    """Goes on with the call's axis as its socket before this one has left it, where a file tells.

    Not as this one has left it: then only its deletion was missing.
    """
    assert file.handshake, "the caller has looked"
    left = _state_left(spool_folder / spool.AXES / file.handshake.call_id)
    before = _handshake_left(left)
    # A younger socket may be over, and sealed, before this one: its axis begins behind our audio.
    if left is None or before is None or file.handshake.sequence > 0:
        return False
    if before.connected_at_us >= file.handshake.connected_at_us:
        return False
    file.state.timeline = left.timeline
    return True


def _state_left(path: Path) -> StreamState | None:
    try:
        return sealing.load(path.read_bytes())
    except FileNotFoundError:
        return None
    except (
        msgspec.DecodeError
    ) as error:  # written by another version, or damaged: the database knows most of it
        log.error("state unreadable", name=path.name, error=str(error))
        return None


def _set_aside(path: Path, records: list[Record]) -> None:
    if all(
        isinstance(record, Damage) for record in records
    ):  # its process died before it had written anything
        log.info("empty journal removed", journal=path.name)
        path.unlink()
        return
    path.rename(path.with_suffix(spool.SET_ASIDE))
    log.error("journal without a handshake set aside", journal=path.name)
    raise UnreadableJournal(path.name)


def _stored(digest: Digest, file: SealJob) -> list[StoredSegment]:
    """The file's segments, in the store; none where their rows are there already."""
    handshake, facts = digest.handshake, file.state.subscriptions[file.state.current]
    if file.is_sealed:
        facts.duplicate = queries.duplicates_of(handshake.stream_id, facts.index)
        return []
    near = _stored_near(digest) if file.has_company else {}
    segments, duplicate = without_overlaps(digest.segments, near)
    facts.duplicate += duplicate
    return [_store(handshake, segment) for segment in segments]


def _stored_near(digest: Digest) -> dict[str, list[Stored]]:
    """Per raw id."""
    near = queries.stored_near([(digest.handshake, digest.segments)])
    call_id = UUID(digest.handshake.call_id)
    voices = {segment.raw_id for segment in digest.segments}
    return {raw_id: near.get(identity.participant_id_of(call_id, raw_id), []) for raw_id in voices}


def _store(handshake: Handshake, segment: sealing.SealedSegment) -> StoredSegment:
    """The name holds the hash: two processes that meet at one place must not write over each
    other's audio.
    """
    call_id = handshake.call_id
    participant_id = identity.participant_id_of(UUID(call_id), segment.raw_id)
    sha256 = codec.pcm_hash(segment.pcm)
    name = f"{call_id}/{participant_id}/{segment.start_sample}-{sha256[:16]}.{codec.EXTENSION}"
    content = codec.encode(segment.pcm, segment.sample_rate)
    try:
        storage.write_object(name, content)
    except OSError as error:  # of whatever kind: it is the store's, not the spool's
        raise StoreUnreachable(f"not stored: {error}") from error
    level = level_of(segment.pcm)
    peaks = waveform.peaks_of(segment.pcm, segment.sample_rate)
    return StoredSegment(
        segment, sha256, level.peak_dbfs, level.rms_dbfs, name, len(content), peaks
    )


def _place_of_state(file: SealJob, spool_folder: Path) -> Path:
    assert file.state.handshake, "a digest has been made"
    if not file.state.is_over:
        return _state_path(file.path, file.sequence + 1)
    axes = spool_folder / spool.AXES
    axes.mkdir(exist_ok=True)
    return axes / file.state.handshake.call_id


def _state_path(path: Path, sequence: int | None = None) -> Path:
    """The state that a journal begins with, or that another file of its stream does."""
    stream_id, own = path.name.split(".")[:2]
    return path.with_name(f"{stream_id}.{int(own) if sequence is None else sequence:06d}.state")
