"""One journal file on its way to store and rows, and what is told of a file that is still being written.

The order of the steps is what makes a crash between any two of them harmless, and a power cut:

    0. the journal is synced      what is made of it must not outlive it: read again after a power cut, and shorter, it
                                  would be cut into other segments, over those that are rows already
    1. audio -> store             trying again writes the same objects
    2. rows, one transaction      trying again finds them, and stores nothing
    3. state for the next file    or, if the socket is over, the call's axis for its next socket
    4. the journal is deleted     nothing is left to be tried again
    5. the state that it began with is deleted
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from django.utils import timezone
from msgspec import structs

from calls import audio, identity, storage
from calls.storage import StoreAway
from streams import journal, rows, sealing, spool
from streams.journal import Damage, Handshake, Metadata, Record, Voice
from streams.meter import level_of
from streams.rows import StoredSegment
from streams.sealing import Digest, StreamState
from streams.seats import seated
from streams.timeline import Timeline

log = structlog.get_logger(__name__)


class UnreadableJournal(Exception):
    """The file does not say whose it is, and none before it does. It is set aside, and stays on disk."""


def stream_of(path: Path) -> str:
    """The id of the stream whose file this is."""
    return path.name.partition(".")[0]


def seal_file(path: Path, spool_folder: Path, *, last: bool) -> int:
    """Seals one journal file and deletes it; the number of segments. `last`: no other file of its socket follows.

    Raises `StoreAway`, `UnreadableJournal`, `django.db.Error`, `OSError`; trying again is harmless.
    """
    stream_id, sequence = stream_of(path), int(path.name.split(".")[1])
    spool.sync_file(path)
    records = list(journal.read(path))
    state, handshake = _before(path, sequence, records, spool_folder)
    if handshake is None:
        _set_aside(path, records)
        return 0
    digest = sealing.digest(records, handshake, state, last=last)
    stored = _stored(digest, state)
    facts = list(state.subscriptions.values())
    rows.write(digest, facts, stored, state.voices.values(), state.last_us, timezone.now())
    _leave(path, sequence, state, spool_folder)
    log.debug("journal sealed", stream=stream_id, journal=sequence, segments=len(stored))
    return len(stored)


def announce_file(path: Path, told: set[Record], *, at_most: int) -> int:
    """Writes the rows of a stream that is open, as far as the first `at_most` bytes of its file tell and `told` does
    not, and adds to `told`; the number of bytes that were read."""
    try:
        with path.open("rb") as file:
            content = file.read(at_most)
    except FileNotFoundError:  # finished this moment: sealing it writes the rows
        return 0
    records = [record for record in journal.parse(content) if isinstance(record, Handshake | Metadata | Voice)]
    handshake = sealing.handshake_in(records)
    facts = {structs.replace(one, sequence=0) if isinstance(one, Handshake) else one for one in records}
    if handshake is not None and not facts <= told:
        state = StreamState()
        sealing.digest(records, handshake, state, last=False)
        if handshake.sequence > 0 and state.current > 0:  # a later file repeats the metadata in force, not the first
            state.subscriptions.pop(0)
        rows.announce(handshake, state.subscriptions.values(), state.voices.values())
        told |= facts
    return len(content)


def _before(
    path: Path, sequence: int, records: list[Record], spool_folder: Path
) -> tuple[StreamState, Handshake | None]:
    """The state that the files before have left, and the handshake of this one or, damaged, of those."""
    handshake = sealing.handshake_in(records)
    state = _state_left(_state_path(path, sequence))
    if state is not None:
        if handshake is None and state.handshake is not None:
            handshake = structs.replace(state.handshake, sequence=sequence)
        return state, handshake
    if handshake is None:
        return StreamState(), None
    return StreamState(timeline=_axis_before(handshake, spool_folder)), handshake


def _axis_before(handshake: Handshake, spool_folder: Path) -> Timeline:
    """The call's axis as its socket before this one has left it; from the database where no file tells.

    Not as this one has left it: then only its deletion was missing.
    """
    left = _state_left(spool_folder / spool.AXES / handshake.call_id)
    before = left.handshake if left else None
    # A younger socket may be over, and sealed, before this one: its axis begins behind our audio.
    if left and before and handshake.sequence == 0 and before.connected_at_us < handshake.connected_at_us:
        return left.timeline
    return rows.axis_of(handshake)


def _state_left(path: Path) -> StreamState | None:
    try:
        return sealing.load(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:  # written by another version, or damaged: the database knows most of it
        log.error("state unreadable", name=path.name, error=str(error))
        return None


def _set_aside(path: Path, records: list[Record]) -> None:
    if all(isinstance(record, Damage) for record in records):  # its process died before it had written anything
        log.info("empty journal removed", journal=path.name)
        path.unlink()
        return
    path.rename(path.with_suffix(".unreadable"))
    log.error("journal without a handshake set aside", journal=path.name)
    raise UnreadableJournal(path.name)


def _stored(digest: Digest, state: StreamState) -> list[StoredSegment]:
    """The file's segments, in the store; none where their rows are there already."""
    handshake, facts = digest.handshake, state.subscriptions[state.current]
    if rows.is_sealed(handshake.stream_id, handshake.sequence):
        facts.duplicate = rows.duplicates_of(handshake.stream_id, facts.index)
        return []
    segments, duplicate = seated(digest.segments, rows.stored_near(handshake, digest.segments))
    facts.duplicate += duplicate
    return [_store(handshake, segment) for segment in segments]


def _store(handshake: Handshake, segment: sealing.Segment) -> StoredSegment:
    """The name holds the hash: two processes that meet at one place must not write over each other's audio."""
    call_id = handshake.call_id
    participant_id = identity.participant_id_of(UUID(call_id), segment.raw_id)
    sha256 = audio.pcm_hash(segment.pcm)
    name = f"{call_id}/{participant_id}/{segment.start_sample}-{sha256[:16]}.{audio.EXTENSION}"
    content = audio.encode(segment.pcm, segment.sample_rate)
    try:
        storage.write_object(name, content)
    except OSError as error:  # of whatever kind: it is the store's, not the spool's
        raise StoreAway(f"not stored: {error}") from error
    level = level_of(segment.pcm)
    return StoredSegment(segment, sha256, level.peak_dbfs, level.rms_dbfs, name, len(content))


def _leave(path: Path, sequence: int, state: StreamState, spool_folder: Path) -> None:
    """Deletes the journal, once what comes after it can go on without it."""
    assert state.handshake, "a digest has been made"
    if state.is_over:
        axes = spool_folder / spool.AXES
        axes.mkdir(exist_ok=True)
        spool.write_whole(axes / state.handshake.call_id, sealing.dump(state))
    else:
        spool.write_whole(_state_path(path, sequence + 1), sealing.dump(state))
    path.unlink()
    _state_path(path, sequence).unlink(missing_ok=True)


def _state_path(path: Path, sequence: int) -> Path:
    return path.with_name(f"{stream_of(path)}.{sequence:06d}.state")
