"""The four file formats, and the channels and sample rates that each supports. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from calls.export.errors import WrongParameter


class Layout(StrEnum):
    MIX = "mix"
    TRACKS = "tracks"


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    """The value of `format=`, and the extension of the file."""
    label: str
    """The name shown to users."""
    content_type: str
    max_channels: int
    rates: tuple[int, ...] = ()
    """Supported sample rates in Hz, ascending; empty: any."""
    surround_channels: range = range(0)
    """Channel counts that the encoder treats as surround sound, which damages one channel."""

    def holds(self, channels: int) -> bool:
        """Whether a file can have this number of channels."""
        return channels <= self.max_channels and channels not in self.surround_channels

    def rate_for(self, highest: int) -> int:
        """Returns the rate of an export whose highest track has `highest` Hz: the same, or the next
        higher one that is supported.
        """
        if not self.rates:
            return highest
        return next((rate for rate in self.rates if rate >= highest), self.rates[-1])

    def check_channels(self, channels: int) -> None:
        """Raises `WrongParameter` if the format cannot hold this number of channels."""
        if self.holds(channels):
            return
        limit = f"at most {self.max_channels} channels"
        if surround := self.surround_channels:
            limit += f", but not {surround[0]} to {surround[-1]}"
        raise WrongParameter(
            "format",
            f"{self.name} holds {limit}; this call has {channels} tracks. "
            "Use format=wav, layout=mix or one participant.",
        )


_MPEG_RATES = (8_000, 12_000, 16_000, 24_000, 32_000, 48_000)  # those with frames of one size
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)

FORMATS = {
    format_.name: format_
    for format_ in (
        Format("wav", "WAV", "audio/wav", 65_535),
        Format("flac", "FLAC", "audio/flac", 8),
        Format("mp3", "MP3", "audio/mpeg", 2, _MPEG_RATES),
        # 5.1, 6.1 and 7.1 are surround sound to libsndfile (channel mapping family 1, RFC 7845,
        # section 5.1.1.2): the last channel is a subwoofer's, and speech in it is gone (correlation
        # 0.46 with its track).
        Format(
            "opus",
            "Opus",
            "audio/ogg; codecs=opus",
            255,
            _OPUS_RATES,
            surround_channels=range(6, 9),
        ),
    )
}
