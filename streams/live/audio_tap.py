"""Copies packets of monitored calls to listeners, once per tick.

Requests come through the channel layer, from any process, and are leases of `LEASE_SECONDS`: a
lease that is not renewed expires. Audio for listeners may be lost, because recording never waits
for it: packets that are not sent in time are dropped, the oldest first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Container, Iterable

import structlog

from calls.listen import messages
from calls.listen.messages import AudioChunk, ListenRequest
from calls.live import channel
from streams.ingest.stream import Speaker, Stream
from streams.journal.records import Audio

log = structlog.get_logger(__name__)

MAX_PACKETS = 500
"""Packets of a stream between two ticks, and after a stall: 2.5 s of four speakers. The newest
stay.
"""
PUBLISH_SECONDS = 0.3
MAX_REQUESTS = 1_000
"""Leases in force; further ones are ignored."""
REPEAT_SECONDS = 1.0
"""Interval at which listeners are repeated: a dashboard that opens later shows them within a
second.
"""


class AudioTap:
    """`accept` requests as they come; call `news` and `publish` in each tick."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], float] = {}  # by call and listener: expiry
        self._sent: dict[str, int] = {}
        self._sent_at = float("-inf")

    def accept(self, request: ListenRequest, now: float) -> None:
        lease = (request["call"], request["listener"])
        if not request["listens"]:
            self._leases.pop(lease, None)
        elif lease in self._leases or len(self._leases) < MAX_REQUESTS:
            self._leases[lease] = now + messages.LEASE_SECONDS

    def repeat(self) -> None:
        """Makes the next news include the listeners, if there are any."""
        self._sent_at = float("-inf")

    def news(self, calls: Container[str], now: float) -> dict[str, int] | None:
        """Returns the number of listeners by call, for `calls`; None if it need not be sent."""
        if not self._leases and not self._sent:
            return None
        listeners = Counter(
            call
            for (call, _listener), until in self._leases.items()
            if until > now and call in calls
        )
        if listeners == self._sent and (not listeners or now - self._sent_at < REPEAT_SECONDS):
            return None
        self._sent, self._sent_at = dict(listeners), now
        return self._sent

    async def publish(self, streams: Collection[Stream], now: float) -> None:
        """Publishes the audio copied since the last call; returns at once when no call is
        tapped.
        """
        if not self._leases and not any(stream.tapped is not None for stream in streams):
            return
        collected = self.collect(streams, now)
        try:
            # One timeout for all calls: the ticker also rotates journals.
            async with asyncio.timeout(PUBLISH_SECONDS):
                for call, chunks in collected.items():
                    await channel.send(
                        messages.group_of(call), {"type": messages.AUDIO, "parts": chunks}
                    )
        except channel.LAYER_ERRORS:
            pass  # lost for listeners; the recorder's own news report that the layer is unreachable
        except Exception as error:
            log.error("audio tap not published", exc_info=error)

    def collect(self, streams: Iterable[Stream], now: float) -> dict[str, list[AudioChunk]]:
        """Returns the copied audio by call; starts copying for calls with listeners, and stops it
        for all others.
        """
        self._leases = {lease: until for lease, until in self._leases.items() if until > now}
        wanted = {call for call, _listener in self._leases}
        collected: dict[str, list[AudioChunk]] = {}
        for stream in streams:
            call = stream.handshake.call_id
            if call not in wanted:
                stream.tapped = None
                continue
            if stream.tapped:
                collected.setdefault(call, []).extend(_chunks_of(stream.tapped))
            stream.tapped = deque(maxlen=MAX_PACKETS)
        return collected


def _chunks_of(packets: Iterable[tuple[Speaker, Audio]]) -> list[AudioChunk]:
    """Joins packets of a speaker that follow each other without a pause."""
    chunks: list[AudioChunk] = []
    last: dict[str, AudioChunk] = {}
    for speaker, audio in packets:
        at_us = audio.arrived_us if audio.timestamp_us is None else audio.timestamp_us
        rate = speaker.meter.sample_rate
        chunk = last.get(speaker.participant_id)
        if (
            chunk
            and chunk["rate"] == rate
            and abs(messages.end_us(chunk) - at_us) < messages.CONTIGUOUS_US
        ):
            chunk["pcm"] += audio.pcm
            continue
        chunk = AudioChunk(
            participant=speaker.participant_id,
            raw_id=speaker.raw_id,
            rate=rate,
            at_us=at_us,
            arrived_us=audio.arrived_us,
            pcm=bytes(audio.pcm),
        )
        chunks.append(chunk)
        last[speaker.participant_id] = chunk
    return chunks
