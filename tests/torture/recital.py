"""A call with scripted timestamps at full speed: the timeline follows timestamps, so an hour takes
a minute.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.simulator import wire
from tests.torture.caller import METADATA, Caller

Stamps = Callable[[int], int | None]
"""Maps a packet number to its timestamp in ms after the start of the call; None: never sent."""


class Recital(Caller):
    """`packets` packets of one voice with the timestamps of `stamps`."""

    def __init__(self, url: str, seed: int, packets: int, stamps: Stamps) -> None:
        super().__init__(url, seed, voices=1, reconnects=False)
        self._packets = packets
        self._stamps = stamps

    def stamp_ms(self, number: int) -> int:
        stamp = self._stamps(number)
        assert stamp is not None, "only packets with a timestamp are sent"
        return stamp

    async def _send_packets(self) -> None:
        assert self.socket, "a caller sends over a socket"
        await self.socket.send(wire.audio_metadata(self.connection_id, METADATA))
        for number in range(self._packets):
            if self._stamps(number) is not None:
                await self._send_packet(number)
        self._ending.set()
