"""The steps that move journal files into the store and the rows: a few files at a time, each of
another call.

Their order makes a crash between any two of them harmless, and a power cut too:

    0. the journals are synced     segments must not outlive their journal: read again after a power
                                   cut, and shorter, it would be cut into other segments
    1. audio -> store              a retry writes the same objects
    2. rows, one transaction       a retry finds them, and stores nothing
    3. state for the next files    or, when the socket is over, the call's axis for its next socket
    4. the journals are deleted    nothing is left to retry
    5. the states that they began with are deleted

Each step is done for all files before the next one begins, because its cost is paid once for all:
one sync of the folder, one query, one transaction. When a step fails, any of the files can continue
without the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from django.utils import timezone
from msgspec import structs

from calls import identity, storage
from calls.audio import codec, waveform
from calls.audio.levels import level_of
from calls.audio.origin import Origin
from calls.models import Call
from calls.search import uuid_in
from calls.storage import StoreUnreachable
from streams.journal import files as journal_files
from streams.journal import spool
from streams.journal.backlog import stream_of
from streams.journal.records import Damage, Handshake, parse
from streams.sealing import queries, rows
from streams.sealing.digest import (
    Digest,
    SealedSegment,
    StreamState,
    continue_axis,
    digest_of,
    dump_state,
    handshake_in,
    load_state,
)
from streams.sealing.overlaps.changes import read_pcm
from streams.sealing.overlaps.open_time import TOUCH_US
from streams.sealing.overlaps.other_clock import place_again, rows_off
from streams.sealing.overlaps.placement import Move, Placement, Stored, without_overlaps
from streams.sealing.overlaps.rates import separate_rates
from streams.sealing.overlaps.stamps import Stamps
from streams.sealing.rows import Addition, StoredCut, StoredSegment
from streams.timeline.socket_clock import SocketClock
from streams.timeline.track import Track

log = structlog.get_logger(__name__)

HEAD_BYTES = 8192
"""Bytes read to identify a file: magic word and handshake, whose ids have a maximum length."""


class UnreadableJournal(Exception):
    """Neither the file nor the one before it names its stream: it is set aside and stays on
    disk.
    """


@dataclass(slots=True, eq=False)
class SealJob:
    """One journal file, and the results of the steps so far. `is_last`: no other file of its socket
    follows. `follows_unsealed`: it is the first one of its socket, and should continue the axis of
    an earlier socket that has ended, but is not sealed.
    """

    path: Path
    is_last: bool
    handshake: Handshake | None = None
    state: StreamState = field(default_factory=StreamState)
    is_sealed: bool = False  # its segments are rows
    has_company: bool = False  # its call has other sockets
    follows_unsealed: bool = False
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
    """Returns the call that a file belongs to, or its stream if the call is unknown."""
    try:
        handshake = _handshake_at(path)
        if handshake is None and (state := _read_state(_state_path(path))):
            handshake = state.handshake
    except OSError:  # logged and counted when it is this file's turn
        return stream_of(path.name)
    return handshake.call_id if handshake else stream_of(path.name)


def prepare(files: Sequence[SealJob], spool_folder: Path) -> None:
    """Syncs the files (step 0) and loads the states left by earlier files and the facts already in
    rows.
    """
    spool.sync_files(file.path for file in files)
    without_axis = []
    found = [(file, _handshake_at(file.path)) for file in files]
    decided = iter(queries.decided([handshake for _, handshake in found if handshake]))
    for file, handshake in found:
        left = _read_state(_state_path(file.path))
        file.state, file.handshake = left or StreamState(), next(decided) if handshake else None
        if file.handshake is None and left and left.handshake:
            file.handshake = structs.replace(left.handshake, sequence=file.sequence)
        if left is None and file.handshake and not _continue_axis(file, spool_folder):
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
    _note_unsealed((file for file in files if file.has_company), spool_folder)


def _note_unsealed(files: Iterable[SealJob], spool_folder: Path) -> None:
    """Notes which files follow a socket of their call that has ended, but is not sealed."""
    known = [(file, file.handshake) for file in files if file.handshake and not file.is_sealed]
    first = [(file, opening) for file, opening in known if opening.sequence == 0]
    sockets = queries.sockets_of({opening.call_id for _, opening in first}) if first else ()
    for file, opening in first:
        earlier = queries.unended_before(opening, sockets)
        file.follows_unsealed = any(_waits_to_be_sealed(one, spool_folder) for one in earlier)


def store_audio(file: SealJob) -> None:
    """Writes the file's segments to the store (step 1). An empty file is removed and adds nothing.

    Raises, like the other steps, `StoreUnreachable`, `UnreadableJournal`, `django.db.Error` and
    `OSError`; after any of them the step can be repeated.
    """
    records = list(journal_files.read(file.path))
    if file.handshake is None:
        if not all(isinstance(record, Damage) for record in records):
            file.path.rename(file.path.with_suffix(spool.SET_ASIDE))
            log.error("journal set aside", journal=file.path.name)
            raise UnreadableJournal(file.path.name)
        # Its process died before it had written anything.
        log.info("empty journal removed", journal=file.path.name)
        file.path.unlink()
        return
    stamps = Stamps(records)
    if file.has_company:
        stamps.note_waiting(file.state)
    digest = digest_of(records, file.handshake, file.state, last=file.is_last)
    file.addition = _addition(digest, file, stamps)


def write_rows(files: Iterable[SealJob]) -> None:
    """Writes the rows of all files in one transaction (step 2)."""
    rows.write([file.addition for file in files if file.addition], timezone.now())


def remove_axes(spool_folder: Path, older_than_seconds: float) -> None:
    """Removes the axes that are old, and those of deleted calls: they hold the numbers of people
    who were erased.
    """
    spool.remove_old_axes(spool_folder, older_than_seconds)
    paths = {
        call_id: path
        for path in spool.axes_in(spool_folder)
        if (call_id := uuid_in(path.name))  # else a partial file
    }
    kept = set(Call.objects.filter(id__in=paths).values_list("id", flat=True))
    for call_id in paths.keys() - kept:
        paths[call_id].unlink(missing_ok=True)


def finish(files: Sequence[SealJob], spool_folder: Path) -> None:
    """Writes the states for later files, then deletes the journals and the old states (steps 3 to
    5).
    """
    states = {}
    for file in files:
        assert file.state.handshake, "a digest has been made"
        path = _state_path(file.path, file.sequence + 1)
        if file.state.is_over:  # the state is then for the next socket of the call
            axes = spool_folder / spool.AXES
            axes.mkdir(0o700, exist_ok=True)
            path = axes / file.state.handshake.call_id
        states[path] = dump_state(file.state)
    spool.replace_files(states)
    for file in files:
        file.path.unlink(missing_ok=True)
    for file in files:
        _state_path(file.path).unlink(missing_ok=True)
        log.debug(
            "journal sealed", stream=file.stream_id, journal=file.sequence, segments=file.segments
        )


def _handshake_at(path: Path) -> Handshake | None:
    """Returns the handshake of a file; None if it is damaged."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return handshake_in(parse(head)) or handshake_in(journal_files.read(path))


def _continue_axis(file: SealJob, spool_folder: Path) -> bool:
    """Continues the call's axis from the file that its previous socket left; False without one.

    Ignores an axis that this socket left itself: the crash came before the journal was deleted. Of
    a socket that was still open, or touches this one, only the clocks are continued: packets of
    this one may belong before its end.
    """
    assert file.handshake, "the caller has checked it"
    left = _read_state(spool_folder / spool.AXES / file.handshake.call_id)
    # A younger socket may be over, and sealed, before this one: its axis begins after our audio.
    if left is None or left.handshake is None or file.handshake.sequence > 0:
        return False
    if not queries.connected_before(left.handshake, file.handshake):
        return False
    continue_axis(file.state, left)
    if (left.ended_us or 0) >= file.handshake.connected_at_us - TOUCH_US:
        left.timeline.tracks = {
            raw_id: Track(track.sample_rate, shift_us=track.shift_us)
            for raw_id, track in left.timeline.tracks.items()
        }
    return True


def _waits_to_be_sealed(stream_id: str, spool_folder: Path) -> bool:
    """Whether files of a socket that has ended are in the spool. A file that is being written shows
    that it is open, unless another process has taken it over from a dead one.
    """
    paths = [
        path for path in spool_folder.glob(f"*/{stream_id}.*") if path.suffix in spool.JOURNALS
    ]
    is_open = any(path.suffix == ".open" and spool.is_written(path.parent) for path in paths)
    return bool(paths) and not is_open


def _read_state(path: Path) -> StreamState | None:
    try:
        return load_state(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        # Written by another version, or damaged: most of it can be read from the database.
        log.error("state unreadable", name=path.name, error=str(error))
        return None


def _addition(digest: Digest, file: SealJob, stamps: Stamps) -> Addition:
    """Stores the file's segments; returns everything that it adds."""
    placement, state = _placement(digest, file, stamps), file.state
    stored = [_store(file, segment) for segment in placement.segments]
    cuts = [
        StoredCut(cut.stored, [_store(file, piece) for piece in cut.pieces])
        for cut in placement.cuts
    ]
    _note_clock(file)
    subscriptions, voices = list(state.subscriptions.values()), state.raw_ids
    changes = placement.moves, cuts, placement.vacated
    return Addition(digest, subscriptions, stored, voices, state.last_us, *changes)


def _note_clock(file: SealJob) -> None:
    """Notes what the socket knows of the call's clocks, for a socket that finds no axis."""
    state, timeline = file.state, file.state.timeline
    state.subscriptions[state.current].clock = SocketClock(
        file.path.parent.name,
        timeline.epochs,
        timeline.arrival.lead_us,
        timeline.arrival.latest_arrived_us,
    )


def _placement(digest: Digest, file: SealJob, stamps: Stamps) -> Placement:
    """Returns the file's segments at free positions; none if their rows exist already."""
    handshake, facts = digest.handshake, file.state.subscriptions[file.state.current]
    if file.is_sealed:
        facts.duplicate = queries.duplicates_of(handshake.stream_id, facts.index)
        return Placement()
    near: dict[str, list[Stored]] = {}  # by raw id
    beside: dict[str, int | None] = {}
    segments: Sequence[SealedSegment] = digest.segments
    if file.has_company:
        beside = queries.open_beside(handshake, file.state.ended_us)
        call_id = UUID(handshake.call_id)
        stored = queries.stored_near([(handshake, digest.segments)])
        for raw_id in {segment.raw_id for segment in digest.segments}:
            near[raw_id] = stored.get(identity.participant_id_of(call_id, raw_id), [])
    if beside:
        segments = stamps.added_to(segments, file.state, beside.values())
    placement = _by_other_clocks(segments, file, near, beside)
    if placement is None:
        placement = without_overlaps(segments, near, handshake.stream_id, read_pcm, beside)
        separate_rates(placement, near)
    facts.duplicate += placement.duplicate
    return placement


def _by_other_clocks(
    segments: Sequence[SealedSegment],
    file: SealJob,
    near: Mapping[str, Sequence[Stored]],
    beside: Collection[str],
) -> Placement | None:
    """Returns the placement if equal packets show that another socket, open at the same time, has
    stored audio by another clock of the call; else None.
    """
    epochs_us = file.state.timeline.epochs
    if len(epochs_us) == 1 or not beside:
        return None
    assert file.handshake, "a digest has been made"
    read, handshake = cache(read_pcm), file.handshake
    off = rows_off(segments, queries.stored_by(beside), epochs_us, read)
    if not off:
        return None
    near, call_id = {**near}, UUID(handshake.call_id)
    moved = [Move(one.raw_id, one.stored, one.stored.start_sample + by) for one, by in off]
    placed: list[SealedSegment | Move] = [*segments, *moved]
    stored = queries.stored_near([(handshake, placed)])
    for raw_id in {one.raw_id for one in placed}:
        near[raw_id] = stored.get(identity.participant_id_of(call_id, raw_id), [])
    log.info("audio moved to the clock of the call", call=handshake.call_id, segments=len(off))
    return place_again(segments, near, off, (handshake.stream_id, beside), read)


def _store(file: SealJob, segment: SealedSegment) -> StoredSegment:
    """Stores one segment. Its name contains its hash, because two processes that seal audio for the
    same position must not overwrite each other's.
    """
    assert file.handshake, "a digest has been made"
    call_id = file.handshake.call_id
    participant_id = identity.participant_id_of(UUID(call_id), segment.raw_id)
    sha256 = codec.pcm_hash(segment.pcm)
    name = f"{call_id}/{participant_id}/{segment.start_sample}-{sha256[:16]}.{codec.EXTENSION}"
    comment = _origin(file, file.handshake, segment).as_comment()
    content = codec.encode(segment.pcm, segment.sample_rate, comment)
    try:
        storage.write_object(name, content)
    except OSError as error:  # of any kind: it concerns the store, not the spool
        raise StoreUnreachable(f"not stored: {error}") from error
    level = level_of(segment.pcm)
    peaks = waveform.peaks_of(segment.pcm, segment.sample_rate)
    return StoredSegment(
        segment, sha256, level.peak_dbfs, level.rms_dbfs, name, len(content), peaks
    )


def _origin(file: SealJob, handshake: Handshake, segment: SealedSegment) -> Origin:
    """Returns what a new row of the segment would need. Pieces of another socket's audio get the
    origin of the socket that has cut it.
    """
    state = file.state
    facts = state.subscriptions.get(segment.subscription, state.subscriptions[state.current])
    voices = state.raw_ids
    return Origin(
        call_connection_id=handshake.call_connection_id,
        correlation_id=handshake.correlation_id,
        raw_id=segment.raw_id,
        voice=voices.index(segment.raw_id) if segment.raw_id in voices else len(voices),
        stream_id=handshake.stream_id,
        subscription=facts.index,
        connected_us=facts.connected_us,
        subscription_id=facts.subscription_id,
        encoding=facts.encoding,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        length=facts.length,
    )


def _state_path(path: Path, sequence: int | None = None) -> Path:
    """Returns the path of the state that a journal, or another file of its stream, begins with."""
    stream_id, own = path.name.split(".")[:2]
    return path.with_name(f"{stream_id}.{int(own) if sequence is None else sequence:06d}.state")
