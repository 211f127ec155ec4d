"""The four formats: what each can hold, and which rate an export takes in it. PURE."""

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
    content_type: str
    most_channels: int
    rates: tuple[int, ...] = ()
    """Sample rates in Hz that the format knows, ascending; empty: any."""
    spoiled: range = range(0)
    """Numbers of channels of which its encoder spoils one."""

    def holds(self, channels: int) -> bool:
        return channels <= self.most_channels and channels not in self.spoiled

    def rate_for(self, highest: int) -> int:
        """The rate of an export whose highest track has `highest` Hz: that one, or the next that
        the format knows.
        """
        if not self.rates:
            return highest
        return next((rate for rate in self.rates if rate >= highest), self.rates[-1])

    def check_channels(self, channels: int) -> None:
        """Raises `WrongParameter` where the format cannot hold so many."""
        if self.holds(channels):
            return
        limit = f"at most {self.most_channels} channels"
        if self.spoiled:
            limit += f", and not {self.spoiled[0]} to {self.spoiled[-1]}"
        raise WrongParameter(
            "format",
            f"{self.name} holds {limit}, layout=tracks of this call has {channels}: "
            "ask for format=wav, layout=mix, or one participant.",
        )


_MPEG_RATES = (8_000, 12_000, 16_000, 24_000, 32_000, 48_000)  # those with frames of one size
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)

FORMATS = {
    format_.name: format_
    for format_ in (
        Format("wav", "audio/wav", 65_535),
        Format("flac", "audio/flac", 8),
        Format("mp3", "audio/mpeg", 2, _MPEG_RATES),
        # 5.1, 6.1 and 7.1 are surround sound to libsndfile (channel mapping family 1, RFC 7845,
        # section 5.1.1.2): the last channel is a subwoofer's, and speech in it is gone (correlation
        # 0.46 with its track).
        Format("opus", "audio/ogg; codecs=opus", 255, _OPUS_RATES, spoiled=range(6, 9)),
    )
}
