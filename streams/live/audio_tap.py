"""Who listens in on calls of this process, and what they get: packets as they came, gathered for a
tick.

Wishes come through the channel layer, from any process, and hold for `LEASE_SECONDS`: who stops
repeating has died. Audio for ears may be lost, recording never waits for it: what is not taken in
time is dropped, the newest wins.
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
"""Of one stream between two ticks, and after a stall: 2.5 s of four speakers. The newest stay."""
PUBLISH_SECONDS = 0.3
MAX_REQUESTS = 1_000
"""Leases in force; further ones are ignored."""
REPEAT_SECONDS = 1.0
"""Dashboards are told again so often who is listened to: one that is opened late is to know within
a second.
"""


class AudioTap:
    """`accept` wishes as they come; `news` and `publish` in each tick."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], float] = {}  # by call and listener: until when
        self._said: dict[str, int] = {}
        self._said_at = float("-inf")

    def accept(self, wish: ListenRequest, now: float) -> None:
        lease = (wish["call"], wish["listener"])
        if not wish["listens"]:
            self._leases.pop(lease, None)
        elif lease in self._leases or len(self._leases) < MAX_REQUESTS:
            self._leases[lease] = now + messages.LEASE_SECONDS

    def repeat(self) -> None:
        """The next news say who is listened to, if anybody is."""
        self._said_at = float("-inf")

    def news(self, calls: Container[str], now: float) -> dict[str, int] | None:
        """How many listen in on which of `calls`; None where there is nothing to say."""
        if not self._leases and not self._said:
            return None
        listeners = Counter(
            call
            for (call, _listener), until in self._leases.items()
            if until > now and call in calls
        )
        if listeners == self._said and (not listeners or now - self._said_at < REPEAT_SECONDS):
            return None
        self._said, self._said_at = dict(listeners), now
        return self._said

    async def publish(self, streams: Collection[Stream], now: float) -> None:
        """Publishes what was heard since the last time. Without a wish it looks at nothing."""
        if not self._leases and not any(stream.tapped is not None for stream in streams):
            return
        collected = self.collect(streams, now)
        try:
            async with asyncio.timeout(
                PUBLISH_SECONDS
            ):  # for all: the ticker also rotates journals
                for call, parts in collected.items():
                    await channel.send(
                        messages.group_of(call), {"type": "listen.heard", "parts": parts}
                    )
        except channel.LAYER_ERRORS:
            pass  # lost for ears; the recorder's own news say that the layer is away
        except Exception as error:
            log.error("nothing for ears", exc_info=error)

    def collect(self, streams: Iterable[Stream], now: float) -> dict[str, list[AudioChunk]]:
        """Parts by call, of calls that somebody listens to; begins and ends the copying of
        packets.
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
    """Packets of a speaker that follow each other without a pause are one part."""
    parts: list[AudioChunk] = []
    last: dict[str, AudioChunk] = {}
    for speaker, audio in packets:
        at_us = audio.arrived_us if audio.timestamp_us is None else audio.timestamp_us
        rate = speaker.meter.sample_rate
        part = last.get(speaker.participant_id)
        if (
            part
            and part["rate"] == rate
            and abs(messages.end_us(part) - at_us) < messages.CONTIGUOUS_US
        ):
            part["pcm"] += audio.pcm
            continue
        part = AudioChunk(
            participant=speaker.participant_id,
            raw_id=speaker.raw_id,
            rate=rate,
            at_us=at_us,
            arrived_us=audio.arrived_us,
            pcm=bytes(audio.pcm),
        )
        parts.append(part)
        last[speaker.participant_id] = part
    return parts
