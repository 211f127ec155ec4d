"""The report of a run: the packets sent, and the end of each call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from streams.simulator.scenario.schedule import ScriptedVoice

GOOD_CLOSE = 1000
_HASH_PACKETS = 512  # hashed at once: large enough that hashing releases the GIL


@dataclass
class VoiceReport:
    """One participant of one call. `packets` counts each packet once; `sha256` is that of their PCM
    in the order spoken, "" until the call is closed.
    """

    voice: ScriptedVoice
    packets: int = 0
    duplicates: int = 0
    samples: int = 0
    sha256: str = ""
    _sent: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def lost(self) -> int:
        """Number of packets of the script that were not sent."""
        return self.voice.sound.packet_count - self.packets

    def add(self, number: int, pcm: bytes, *, copy: bool) -> None:
        if copy:
            self.duplicates += 1
            return
        self.packets += 1
        self.samples += len(pcm) // 2
        if number >= len(self._sent):
            self._sent.extend(bytes(number + 1 - len(self._sent)))
        self._sent[number] = 1

    def numbers(self) -> Iterator[int]:
        """Yields the numbers of the packets that were sent, in ascending order."""
        return (number for number, sent in enumerate(self._sent) if sent)

    def finalize(self, *, hashed: bool) -> None:
        """Computes the hash if `hashed`, and frees the memory of the closed call."""
        if hashed:
            digest = sha256()
            batch: list[bytes] = []
            for number in self.numbers():
                batch.append(self.voice.sound.packet(number))
                if len(batch) == _HASH_PACKETS:
                    digest.update(b"".join(batch))
                    batch.clear()
            digest.update(b"".join(batch))
            self.sha256 = digest.hexdigest()
        self._sent = bytearray()

    def ledger(self) -> dict[str, Any]:
        return {
            "raw_id": self.voice.raw_id,
            "packets": self.packets,
            "samples": self.samples,
            "duplicates": self.duplicates,
            "lost": self.lost,
            "sha256": self.sha256,
        }


@dataclass
class CallReport:
    """One call, filled while it is played.

    `refused` counts handshakes that were not accepted, `restarts` sockets that the server closed to
    restart, and that were followed by another; `problem` describes a failure, "" without
    one. `close_code` is that of the last socket, None if it was broken on purpose or never opened.
    """

    connection_id: str
    correlation_id: str
    subscription_id: str
    sample_rate: int
    voices: list[VoiceReport]
    started_us: int | None = None
    sockets: int = 0
    restarts: int = 0
    dtmf: int = 0
    refused: int = 0
    close_code: int | None = None
    close_reason: str = ""
    dropped: bool = False
    ended_by_restart: bool = False
    playing: bool = True
    interrupted: bool = False
    problem: str = ""
    seconds: float = 0.0
    latest_seconds: float = 0.0
    finished: bool = False

    @property
    def packets(self) -> int:
        """Number of audio messages sent, including duplicates."""
        return sum(voice.packets + voice.duplicates for voice in self.voices)

    @property
    def lost(self) -> int:
        return sum(voice.lost for voice in self.voices)

    @property
    def complete(self) -> bool:
        """Whether everything was sent and accepted."""
        has_ended = self.dropped or self.ended_by_restart or self.close_code == GOOD_CLOSE
        return self.finished and not self.problem and has_ended

    def finalize(self, *, hashed: bool) -> None:
        """Computes the hashes if `hashed`, and frees the memory of the closed call."""
        for voice in self.voices:
            voice.finalize(hashed=hashed)

    def ledger(self) -> dict[str, Any]:
        return {
            "connection_id": self.connection_id,
            "correlation_id": self.correlation_id,
            "subscription_id": self.subscription_id,
            "sample_rate": self.sample_rate,
            "started_us": self.started_us,
            "sockets": self.sockets,
            "restarts": self.restarts,
            "dtmf": self.dtmf,
            "refused": self.refused,
            "close_code": self.close_code,
            "problem": self.problem,
            "complete": self.complete,
            "participants": [voice.ledger() for voice in self.voices],
        }


@dataclass
class Report:
    """A run: one entry for each call played, in the order of their start."""

    calls: list[CallReport] = field(default_factory=list)
    planned_packets: int = 0
    interrupted: bool = False

    @property
    def packets(self) -> int:
        return sum(call.packets for call in self.calls)

    @property
    def refused(self) -> int:
        return sum(call.refused for call in self.calls)

    @property
    def complete(self) -> bool:
        """Whether everything was sent and accepted, in every call."""
        return bool(self.calls) and all(call.complete for call in self.calls)

    @property
    def failed(self) -> list[CallReport]:
        """Calls that failed: neither complete nor interrupted."""
        return [call for call in self.calls if not call.complete and not call.interrupted]

    def ledger(self) -> dict[str, Any]:
        """Returns the content of `--ledger`: the packets sent by call and participant, with
        hashes.
        """
        return {"complete": self.complete, "calls": [call.ledger() for call in self.calls]}
