"""Encoders of libsndfile, fed block by block, with what they write to the file as it is written.

libsndfile writes a file front to back and returns to the front at the end, to enter values that it
knows only then. Bytes that are sent already cannot be changed, so these values are dropped here;
the modules of the formats enter them in advance.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from io import BytesIO
from typing import Any

import numpy as np
import soundfile

from calls.audio.codec import Samples

_SUBTYPES = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}


def encode(
    name: str, sample_rate: int, channels: int, blocks: Iterable[Samples], **options: Any
) -> Generator[list[bytes], None, None]:
    """Yields what the encoder of the format `name` writes for each block of shape (samples,
    channels), which may be nothing, and at last what it writes at the end.
    """
    output = _Output()
    with closing(_open(output, name, sample_rate, channels, options)) as encoder:
        for samples in blocks:
            if name == "mp3":
                # As floats: of 16-bit samples in two channels libsndfile 1.2.2 loses half and
                # sends stale memory instead (libsndfile pull request 1106).
                encoder.write(np.divide(samples, 32_768, dtype=np.float32))
            else:
                encoder.write(samples)
            yield output.take()
    yield output.take()


def whole_file(
    name: str, sample_rate: int, channels: int, samples: Samples, **options: Any
) -> bytes:
    """Returns a short file as libsndfile leaves it, with the values that it enters at the end."""
    file = BytesIO()
    with closing(_open(file, name, sample_rate, channels, options)) as encoder:
        encoder.write(samples)
    return file.getvalue()


def _open(
    file: _Output | BytesIO, name: str, sample_rate: int, channels: int, options: dict[str, Any]
) -> soundfile.SoundFile:
    container, subtype = _SUBTYPES[name]
    return soundfile.SoundFile(
        file, "w", sample_rate, channels, subtype, format=container, **options
    )


class _Output:
    """The file that libsndfile writes to: keeps appended bytes until they are taken, and ignores
    bytes that replace earlier ones.
    """

    def __init__(self) -> None:
        self._position = self._end = 0
        self._appended: list[bytes] = []

    def take(self) -> list[bytes]:
        taken, self._appended = self._appended, []
        return taken

    def write(self, content: bytes) -> int:
        if self._position == self._end:
            self._appended.append(bytes(content))
            self._end += len(content)
        self._position += len(content)
        assert self._position <= self._end, (
            "an encoder either appends or replaces earlier bytes, never both in one write"
        )
        return len(content)

    def read(self, _size: int = -1) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._end)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position
