"""The origin of a stored segment, as text in its FLAC file: its row can be made again if the
database has lost it. PURE.

It is a comment of the file (RFC 9639, section 8.6) rather than metadata of an object store, so it
is the same in every store, is written together with the audio, and survives a copy to another
store. It holds what neither the name of the object nor its audio tells.
"""

from __future__ import annotations

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """The call, the socket and the voice of a segment. Never rename a field: objects are kept for
    years.

    `subscription`: the index of the AudioMetadata on the socket, with what it announced; `voice`:
    the order of arrival on the socket; `connected_us`: of the AudioMetadata, in µs since the Unix
    epoch.
    """

    call_connection_id: str
    correlation_id: str
    raw_id: str
    voice: int
    stream_id: str
    subscription: int
    connected_us: int
    subscription_id: str = ""
    encoding: str = ""
    sample_rate: int | None = None  # Hz
    channels: int | None = None
    length: float | None = None  # bytes per packet

    def as_comment(self) -> str:
        return PREFIX + msgspec.json.encode(self).decode()


PREFIX = "acsmedia 1 "
"""Beginning of the comment, with the number of its format. A later version may add fields without a
new number.
"""


def origin_in(comment: str) -> Origin | None:
    """Returns the origin in the comment of a file; None if there is none, as in objects of older
    versions.
    """
    if not comment.startswith(PREFIX):
        return None
    try:
        return msgspec.json.decode(comment.removeprefix(PREFIX), type=Origin)
    except msgspec.DecodeError:
        return None
