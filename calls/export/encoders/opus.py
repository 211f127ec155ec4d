"""Opus packets that are padded so that together they have a size that was announced (RFC 6716,
section 3.2). PURE.

An encoder needs fewer bytes for a pause than for a vowel, so the size of its packets is known only
afterwards. Padding adds bytes that decoders ignore.
"""

from __future__ import annotations

from collections.abc import Sequence

from calls.export.encoders.ogg import cost

_CODE = 3
_PADDED = 0x40
_FRAMES_OF_CODE = {0: 1, 1: 2, 2: 0x82}
"""The count byte of code 3 for packets of the other codes; 0x80: their frames differ in size."""


def padded_sizes(sizes: Sequence[int], total: int, most: int) -> list[int] | None:
    """Returns sizes of the same packets, padded so that they take `total` bytes in pages, none of
    them more than `most`; None if this is impossible.

    The smallest are padded first, up to a common size.
    """
    if sum(map(cost, sizes)) > total or max(sizes) > most:
        return None
    low, high = 0, most
    while low < high:
        level = (low + high + 1) // 2
        if _cost_at(level, sizes) <= total:
            low = level
        else:
            high = level - 1
    if low % 255 == 254 and _cost_at(low, sizes) != total:
        low -= 1  # from there a single byte more takes two, with its segment
    padded = [max(size, low) for size in sizes]
    rest = total - _cost_at(low, sizes)
    for index, size in enumerate(padded):
        bytes_in_page = cost(size) + rest - 1
        padded[index] = min(bytes_in_page - (bytes_in_page + 1) // 256, max(most, size))
        rest -= cost(padded[index]) - cost(size)
    return None if rest else padded


def _cost_at(level: int, sizes: Sequence[int]) -> int:
    """Returns the bytes in pages if no packet has less than `level`."""
    return sum(cost(max(size, level)) for size in sizes)


def padded(packet: bytes, size: int, streams: int = 1) -> bytes:
    """Returns the packet with `size` bytes, at least its own. Of a packet of several streams the
    last one is padded.
    """
    if size == len(packet):
        return packet
    start = _start_of_last_stream(packet, streams)
    toc, code, body = packet[start], packet[start] & _CODE, packet[start + 1 :]
    if code == _CODE:
        count, body = body[0], body[1:]
        assert not count & _PADDED, "an encoder at a variable bit rate does not pad"
        more = size - len(packet)
    else:
        count = _FRAMES_OF_CODE[code]
        more = size - len(packet) - 1
    padding = b""
    if more:
        count |= _PADDED
        # 255 stands for 254 bytes and says that another length follows.
        lengths, last = divmod(more - 1, 255)
        padding = b"\xff" * lengths + bytes([last])
    head = packet[:start] + bytes([toc | _CODE, count]) + padding
    return head + body + bytes(size - len(head) - len(body))


def _start_of_last_stream(packet: bytes, streams: int) -> int:
    """Returns where the last stream begins; those before it state their own size (RFC 6716,
    appendix B).
    """
    start = 0
    for _ in range(streams - 1):
        assert not packet[start] & _CODE, "a packet of 20 ms has one frame"
        length, start = packet[start + 1], start + 2
        if length >= 252:  # two bytes (section 3.2.1)
            length, start = length + 4 * packet[start], start + 1
        start += length
    return start
