"""The options of the command line; `casting` turns them into a plan."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streams.simulator.scenario.packets import PACKET_MS, SAMPLE_RATES
from streams.simulator.scenario.schedule import Press, presses

DTMF_TONES = frozenset("0123456789*#ABCD")

Settings = dict[str, Any]
"""Keyword arguments of `add_argument`."""


def _number(accept: Callable[[float], bool], expected: str) -> Callable[[str], float]:
    """Returns a parser of numbers; its error names the `expected` ones."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not accept(number) or number == float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return number

    return parse


_positive = _number(lambda number: number > 0, "a number above 0")
_not_negative = _number(lambda number: number >= 0, "a number of 0 or more")
_share = _number(lambda number: 0 <= number <= 1, "a share between 0 and 1")
_spacing = _number(
    lambda number: 0 <= number <= PACKET_MS, "a number of milliseconds between 0 and 20"
)
_natural = _number(lambda number: number >= 1 and number.is_integer(), "a whole number above 0")


def _whole(text: str) -> int:
    return int(_natural(text))


def _period(text: str) -> tuple[int, int | None]:
    """Parses AT[:SECONDS] into microseconds."""
    at, colon, length = text.partition(":")
    return int(_not_negative(at) * 1e6), int(_not_negative(length) * 1e6) if colon else None


def _dtmf(text: str) -> tuple[Press, ...]:
    """Parses [AT:]TONES into one press after the other."""
    at, _, tones = text.rpartition(":")
    if not tones or not set(tones) <= DTMF_TONES:
        raise argparse.ArgumentTypeError("tones are 0 to 9, *, # and A to D")
    return tuple(presses(int(_not_negative(at) * 1e6) if at else 1_000_000, tones))


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError("a header is NAME=VALUE")
    return name, value


def _web_address(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with http:// or https://")
    return text


def _moment(text: str) -> int:
    """Parses ISO 8601 into microseconds since the epoch; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e6)


def _option(**settings: Any) -> Settings:
    return settings


def _flag(text: str) -> Settings:
    return {"action": "store_true", "help": text}


def _repeatable(**settings: Any) -> Settings:
    return {"action": "append", "default": [], **settings}


GROUPS: dict[str, dict[str, Settings]] = {
    "audio": {
        "files": _option(
            nargs="*", type=Path, metavar="FILE", help="audio, one file per participant"
        ),
        "--audio": _repeatable(type=Path, metavar="FILE", help="same as a positional FILE"),
        "--tone": _repeatable(type=_whole, metavar="HZ", help="a tone per participant"),
        "--voices": _flag("the spoken demo calls: call i plays pair i"),
        "--replay": _option(
            nargs="+", type=Path, metavar="FILE", help="journals of one call, sent again"
        ),
        "--seconds": _option(type=_positive, help="cut or repeat the audio to this length"),
        "--rate": _option(
            type=int, choices=SAMPLE_RATES, default=16000, help="Hz (default: %(default)s)"
        ),
        "--dtmf": _repeatable(
            type=_dtmf, metavar="[AT:]TONES", help="tones pressed (default at 1 s)"
        ),
        "--no-silence-flag": _flag("leave the member `silent` out"),
    },
    "calls": {
        "--calls": _option(
            type=_whole, help="number of parallel calls (default: 1; 3 with --voices)"
        ),
        "--participants": _option(
            type=_whole, help="per call (default: one per file or tone, else 2)"
        ),
        "--raw-id": _repeatable(help="participantRawID, one per participant"),
        "--stagger": _option(
            type=_not_negative, default=0.0, help="seconds from one call to the next"
        ),
        "--speed": _option(
            type=_not_negative, default=1.0, help="1 is real time, 0 as fast as possible"
        ),
        "--loop": _flag("repeat the calls until interrupted"),
        "--pause": _option(
            type=_not_negative, default=3.0, help="seconds between two rounds of --loop"
        ),
        "--start-timestamp": _option(
            type=_moment, metavar="ISO", help="timestamps begin here, not now"
        ),
    },
    "faults (the same --seed gives the same faults)": {
        "--seed": _option(type=int, default=1),
        "--jitter": _option(
            type=_not_negative, default=0.0, metavar="MS", help="packets are up to MS late"
        ),
        "--loss": _option(
            type=_share, default=0.0, metavar="SHARE", help="share of packets lost, 0 to 1"
        ),
        "--lose-every": _option(
            type=_whole, default=0, metavar="N", help="lose every N-th packet per voice"
        ),
        "--reorder": _option(
            type=_share, default=0.0, metavar="SHARE", help="share of packets overtaken"
        ),
        "--duplicates": _option(type=_share, default=0.0, metavar="SHARE", help="share sent twice"),
        "--stall": _repeatable(type=_period, metavar="AT:SECONDS", help="silence, then a burst"),
        "--reconnect": _repeatable(
            type=_period,
            metavar="AT[:SECONDS]",
            help="close the socket, reopen it after SECONDS (default 1); audio in between is lost",
        ),
        "--burst-spacing": _option(
            type=_spacing,
            default=1.0,
            metavar="MS",
            help="between timestamps in a burst (default: %(default)s)",
        ),
        "--drop": _flag("break the TCP connection at the end, without a close"),
    },
    "handshake": {
        "--connection-id": _option(
            default="", help="x-ms-call-connection-id (further calls: with -2, -3 …)"
        ),
        "--correlation-id": _option(default="", help="x-ms-call-correlation-id"),
        "--no-headers": _flag("send neither of the two x-ms- headers"),
        "--header": _repeatable(type=_header, metavar="NAME=VALUE", help="an additional header"),
        "--token": _option(help="?token= of the address (default: ACS_STREAM_TOKEN; '' for none)"),
        "--events": _option(
            type=_web_address,
            metavar="URL",
            help="report the calls to this address, as Event Grid does",
        ),
        "--events-token": _option(
            help="?token= of --events (default: ACS_EVENTS_TOKEN; '' for none)"
        ),
        "--jwt-key": _option(
            type=Path, metavar="FILE", help="RSA private key (PEM): send a JWT signed with it"
        ),
        "--jwt-kid": _option(
            default="simulator", help="its key id in the key set (default: %(default)s)"
        ),
        "--jwt-audience": _option(help="audience of the JWT (default: ACS_RESOURCE_ID)"),
        "--wait": _option(
            type=_not_negative, default=0.0, help="seconds to wait for the server to answer"
        ),
        "--restart-wait": _option(
            type=_not_negative,
            default=30.0,
            metavar="S",
            help="seconds to wait for a server that closes a socket with 1012 to restart; then the "
            "call continues on a new socket (default 30; 0: the call fails)",
        ),
    },
    "output": {
        "--ledger": _option(
            type=Path, metavar="FILE", help="write the packets sent, with hashes, as JSON"
        ),
        "--quiet": _flag("no progress bar and no table"),
    },
}
"""Options by the title of their group in the help."""

TRACKS: dict[str, Settings] = {
    "--mixed": _flag("one track with everyone in it, as ACS mixes it"),
    "--unmixed": _option(
        action="store_false", dest="mixed", help="a track per participant (default)"
    ),
}
"""Options of the group "audio" that exclude each other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        default=f"ws://127.0.0.1:{os.environ.get('PORT') or 8000}/ws/acs/media",
        help="media socket (default: %(default)s)",
    )
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for name, settings in options.items():
            group.add_argument(name, **settings)
        if title == "audio":
            tracks = group.add_mutually_exclusive_group()
            for name, settings in TRACKS.items():
                tracks.add_argument(name, **settings)
