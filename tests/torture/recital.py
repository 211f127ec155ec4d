"""A call read from a script, as fast as the socket goes: the timeline follows timestamps, so an
hour takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable

from streams.simulator import wire
from tests.torture.caller import METADATA, Caller

Stamps = Callable[[int], int | None]
"""Packet number -> milliseconds after the beginning of the call that its timestamp says; None: it
is never sent.
"""


class Recital(Caller):
    """`packets` packets of one voice with the timestamps of `stamps`."""

    def __init__(self, url: str, seed: int, packets: int, stamps: Stamps) -> None:
        super().__init__(url, seed, voices=1, goes_on=False)
        self._packets = packets
        self._stamps = stamps

    def stamp_ms(self, number: int) -> int:
        stamp = self._stamps(number)
        assert stamp is not None, "only packets with a timestamp are sent"
        return stamp

    async def _talk(self) -> None:
        assert self.socket, "a caller talks over a socket"
        await self.socket.send(wire.audio_metadata(self.connection_id, METADATA))
        for number in range(self._packets):
            if self._stamps(number) is not None:
                await self._say(number)
        self._ending.set()
