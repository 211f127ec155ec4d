"""The recorder under simulation: the real decoder, streams and journals, in folders of its
processes, with the clock and the disk as arguments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from msgspec import structs

from calls import identity
from streams.acs.messages import ACS
from streams.ingest.stream import Stream
from streams.journal import files as journal_files
from streams.journal.files import Journal, JournalUnwritable
from streams.journal.records import Handshake, Record
from streams.sealing.digest import (
    StreamState,
    SubscriptionFacts,
    continue_axis,
    digest_of,
    dump_state,
    handshake_in,
    load_state,
)
from streams.timeline.timeline import Gap
from tests.simulation.hosts import ProcessClocks
from tests.simulation.world import Event, Packet, Socket, World

CONNECTION = "connection"


@dataclass(slots=True)
class Disk:
    """The disk of all processes; `full`: nothing can be written."""

    full: bool = False


class SimulatedJournal(Journal):
    """A journal on a simulated disk."""

    def __init__(self, folder: Path, handshake: Handshake, disk: Disk) -> None:
        self._disk = disk
        super().__init__(folder, handshake)

    def _write(self, content: bytes) -> None:
        if self._disk.full:
            raise JournalUnwritable("cannot append to a journal: No space left on device")
        super()._write(content)

    def _open_next(self) -> int:
        if self._disk.full:
            raise JournalUnwritable("cannot create a journal: No space left on device")
        return super()._open_next()


@dataclass(slots=True)
class Recording:
    """One open socket in its process."""

    socket: Socket
    stream: Stream
    folder: Path
    closed_on_disk: bool = True
    sizes: list[tuple[int, int, Packet]] = field(default_factory=list)
    """File, its size after the packet, and the packet."""


@dataclass(slots=True)
class Stored:
    """Stored parts of a call: audio as (start sample, rate, PCM) and gaps, by raw id."""

    tracks: dict[str, list[tuple[int, int, bytes]]] = field(default_factory=dict)
    gaps: dict[str, list[Gap]] = field(default_factory=dict)
    facts: list[SubscriptionFacts] = field(default_factory=list)
    others: list[object] = field(default_factory=list)
    """Jumps, rate changes and damage."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Broken laws that only the rows show, by law."""

    def add_audio(self, raw_id: str, start: int, rate: int, pcm: bytes) -> None:
        """Adds audio, joined with the audio before it if that is contiguous."""
        track = self.tracks.setdefault(raw_id, [])
        if track and track[-1][1] == rate and track[-1][0] + len(track[-1][2]) // 2 == start:
            track[-1] = (track[-1][0], rate, track[-1][2] + pcm)
        else:
            track.append((start, rate, pcm))


class Recorder:
    """Plays the events of a world to the recorder; afterwards its journals are in `spool`."""

    def __init__(self, world: World, spool: Path) -> None:
        self.world = world
        self.spool = spool
        self.disk = Disk()
        self.now_us = 0
        self.recordings: dict[int, Recording] = {}
        self.dead: set[int] = set()
        """Processes that died."""
        self._true_us = 0
        self._clocks: dict[int, ProcessClocks] = {}  # by process
        self.ended: list[Socket] = []
        """Sockets in the order of their ends."""

    def run(self) -> Iterator[Event]:
        """Plays all events; yields after each one that opens a socket or finishes a file."""
        for event in self.world.events:
            self.now_us = self.world.host_us(event.arrival_us)
            self._true_us = event.arrival_us
            match event.kind:
                case "text":
                    self._receive(event)
                case "open":
                    self._open(event)
                    yield event
                case "step":
                    self._note_step()
                case "full" | "free":
                    self.disk.full = event.kind == "full"
                case _:
                    self._end_file(event)
                    yield event

    def folder(self, process: int) -> Path:
        """Returns the folder of a process."""
        return self.spool / str(UUID(int=process + 1))

    def _open(self, event: Event) -> None:
        socket = self.world.sockets[event.socket]
        folder = self.folder(socket.process)
        folder.mkdir(exist_ok=True)
        stream_id = UUID(int=socket.stream_id, version=4)
        call_id = str(identity.call_id_of(connection_of(self.world), stream_id))
        if socket.process not in self._clocks:
            self._clocks[socket.process] = ProcessClocks(lambda: self.now_us, lambda: self._true_us)
        clock, stepped_us = self._clocks[socket.process].open(call_id, {call_id})
        opening = Handshake(
            stream_id=str(stream_id),
            call_id=call_id,
            call_connection_id=connection_of(self.world),
            correlation_id="correlation",
            connected_at_us=clock(),
            segment_seconds=self.world.plan.segment_seconds,
        )
        full, self.disk.full = self.disk.full, False  # a handshake is refused while it is full
        journal = SimulatedJournal(folder, opening, self.disk)
        self.disk.full = full
        stream = Stream(journal, opening, ACS, clock)
        if stepped_us:
            _note(stream, stepped_us)
        self.recordings[event.socket] = Recording(socket, stream, folder)

    def _note_step(self) -> None:
        """Notes a step of the host's clock in the journals of all open sockets."""
        for process, clocks in self._clocks.items():
            by_us = clocks.step_us()
            for recording in self.recordings.values():
                is_open = recording.socket not in self.ended
                if by_us and recording.socket.process == process and is_open:
                    _note(recording.stream, by_us)

    def _receive(self, event: Event) -> None:
        recording = self.recordings[event.socket]
        stream, packet = recording.stream, event.packet
        before = stream.tally.unwritten
        stream.receive(event.text)
        if packet is None:
            return
        if stream.tally.unwritten > before:
            packet.unwritten = True
        else:
            packet.arrivals.append(event.arrival_us)
            recording.sizes.append((stream.journal.sequence, stream.journal.size, packet))

    def _end_file(self, event: Event) -> None:
        recording = self.recordings.get(event.socket)
        if recording is None or recording.stream.closed:  # a rotation outside of its life
            return
        stream = recording.stream
        name = f"{stream.handshake.stream_id}.{stream.journal.sequence:06d}"
        path = recording.folder / f"{name}.journal"
        if event.kind == "die":
            self.dead.add(recording.socket.process)
            os.close(stream.journal.descriptor)
            path = path.with_suffix(".open")
            self._tear(recording, path)
        elif event.kind == "close":
            recording.closed_on_disk = not self.disk.full
            os.close(stream.close(recording.socket.code))
        else:
            try:
                finished = stream.rotate()
            except JournalUnwritable:
                return
            if finished is None:
                return
            os.close(finished)
        if event.kind != "rotate":
            recording.socket.lost_end = bool(stream._deferred)
            self.ended.append(recording.socket)
        os.utime(path, ns=(self.now_us * 1000, self.now_us * 1000))

    def _tear(self, recording: Recording, path: Path) -> None:
        """Cuts the tail of the file, as a power cut does: packets in it were not received."""
        torn, sequence = recording.socket.torn_bytes, recording.stream.journal.sequence
        size = max(recording.stream.journal.size - torn, 0)
        content = path.read_bytes()[:size]
        if torn % 2:  # the blocks were allocated, but not written
            content += Random(torn).randbytes(torn // 2)
        path.write_bytes(content)
        for file, end, packet in recording.sizes:
            if file == sequence and end > size:
                packet.arrivals.pop()


def _note(stream: Any, by_us: int) -> None:
    stream.note_step(by_us)


def connection_of(world: World) -> str:
    """Returns the connection id of the call: one of its own, because rows outlive a seed."""
    return f"{CONNECTION}-{world.plan.seed}"


def digested(recorder: Recorder, *, at_once: bool) -> Stored:
    """Digests the journals of all sockets in the order in which they ended, file by file or with
    all records of a socket at once.
    """
    stored = Stored()
    axis: StreamState | None = None
    for socket in sorted(recorder.world.sockets, key=lambda one: one.close_us):
        if socket.number not in recorder.recordings:
            continue
        recording = recorder.recordings[socket.number]
        files = _files_of(recording)
        if at_once:
            files = [[record for file in files for record in file]]
        opening = recording.stream.handshake
        state = StreamState()
        if axis and axis.handshake and axis.handshake.connected_at_us < opening.connected_at_us:
            continue_axis(state, axis)
        for number, records in enumerate(files):
            state = load_state(dump_state(state))
            handshake = handshake_in(records) or structs.replace(opening, sequence=number)
            digest = digest_of(records, handshake, state, last=number == len(files) - 1)
            for segment in digest.segments:
                stored.add_audio(
                    segment.raw_id, segment.start_sample, segment.sample_rate, segment.pcm
                )
            for raw_id, gap in digest.gaps:
                stored.gaps.setdefault(raw_id, []).append(gap)
            stored.others += [*digest.jumps, *digest.rate_changes]
        stored.facts += state.subscriptions.values()
        axis = load_state(dump_state(state))
    stored.others.sort(key=lambda one: type(one).__name__)  # files interleave the types
    return stored


def _files_of(recording: Recording) -> list[list[Record]]:
    paths = sorted(recording.folder.glob(f"{recording.stream.handshake.stream_id}.*"))
    return [list(journal_files.read(path)) for path in paths if path.suffix != ".state"]
