"""The options of the command line; `casting` turns them into a plan."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.simulator.scenario.packets import PACKET_MS, SAMPLE_RATES
from streams.simulator.scenario.schedule import Press, presses

DTMF_TONES = frozenset("0123456789*#ABCD")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        default="ws://127.0.0.1:8000/ws/acs/media",
        help="media socket (default: %(default)s)",
    )
    audio = parser.add_argument_group("audio")
    _add_sources(audio)
    _add_audio_form(audio)
    _add_calls(parser.add_argument_group("calls"))
    faults = parser.add_argument_group("faults (the same --seed gives the same faults)")
    _add_packet_faults(faults)
    _add_socket_faults(faults)
    handshake = parser.add_argument_group("handshake")
    _add_headers(handshake)
    _add_tokens(handshake)
    _add_output(parser.add_argument_group("output"))


def _add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="audio, one file per participant"
    )
    _add_repeatable(group, "--audio", type=Path, metavar="FILE", help="same as a positional FILE")
    _add_repeatable(group, "--tone", type=_whole, metavar="HZ", help="a tone per participant")
    group.add_argument(
        "--voices", action="store_true", help="the spoken demo calls: call i plays pair i"
    )
    group.add_argument(
        "--replay", nargs="+", type=Path, metavar="FILE", help="journals of one call, sent again"
    )


def _add_audio_form(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seconds", type=_positive, help="cut or repeat the audio to this length")
    group.add_argument(
        "--rate", type=int, choices=SAMPLE_RATES, default=16000, help="Hz (default: %(default)s)"
    )
    channel = group.add_mutually_exclusive_group()
    channel.add_argument(
        "--mixed", action="store_true", help="one track with everyone in it, as ACS mixes it"
    )
    channel.add_argument(
        "--unmixed", action="store_false", dest="mixed", help="a track per participant (default)"
    )
    _add_repeatable(
        group, "--dtmf", type=_dtmf, metavar="[AT:]TONES", help="tones pressed (default at 1 s)"
    )
    group.add_argument(
        "--no-silence-flag", action="store_true", help="leave the member `silent` out"
    )


def _add_calls(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--calls", type=_whole, help="number of parallel calls (default: 1; 3 with --voices)"
    )
    group.add_argument(
        "--participants", type=_whole, help="per call (default: one per file or tone, else 2)"
    )
    _add_repeatable(group, "--raw-id", help="participantRawID, one per participant")
    group.add_argument(
        "--stagger", type=_not_negative, default=0.0, help="seconds from one call to the next"
    )
    group.add_argument(
        "--speed", type=_not_negative, default=1.0, help="1 is real time, 0 as fast as possible"
    )
    group.add_argument("--loop", action="store_true", help="repeat the calls until interrupted")
    group.add_argument(
        "--pause", type=_not_negative, default=3.0, help="seconds between two rounds of --loop"
    )
    group.add_argument(
        "--start-timestamp", type=_moment, metavar="ISO", help="timestamps begin here, not now"
    )


def _add_packet_faults(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seed", type=int, default=1)
    group.add_argument(
        "--jitter", type=_not_negative, default=0.0, metavar="MS", help="packets are up to MS late"
    )
    group.add_argument(
        "--loss", type=_share, default=0.0, metavar="SHARE", help="share of packets lost, 0 to 1"
    )
    group.add_argument(
        "--lose-every", type=_whole, default=0, metavar="N", help="lose every N-th packet per voice"
    )
    group.add_argument(
        "--reorder", type=_share, default=0.0, metavar="SHARE", help="share of packets overtaken"
    )
    group.add_argument(
        "--duplicates", type=_share, default=0.0, metavar="SHARE", help="share sent twice"
    )


def _add_socket_faults(group: argparse._ArgumentGroup) -> None:
    _add_repeatable(
        group, "--stall", type=_period, metavar="AT:SECONDS", help="silence, then a burst"
    )
    _add_repeatable(
        group,
        "--reconnect",
        type=_period,
        metavar="AT[:SECONDS]",
        help="close the socket, reopen it after SECONDS (default 1); audio in between is lost",
    )
    group.add_argument(
        "--burst-spacing",
        type=_spacing,
        default=1.0,
        metavar="MS",
        help="between timestamps in a burst (default: %(default)s)",
    )
    group.add_argument(
        "--drop", action="store_true", help="break the TCP connection at the end, without a close"
    )


def _add_headers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--connection-id", default="", help="x-ms-call-connection-id (further calls: with -2, -3 …)"
    )
    group.add_argument("--correlation-id", default="", help="x-ms-call-correlation-id")
    group.add_argument(
        "--no-headers", action="store_true", help="send neither of the two x-ms- headers"
    )
    _add_repeatable(
        group, "--header", type=_header, metavar="NAME=VALUE", help="an additional header"
    )


def _add_tokens(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--token", help="?token= of the address (default: ACS_STREAM_TOKEN; '' for none)"
    )
    group.add_argument(
        "--jwt-key",
        type=Path,
        metavar="FILE",
        help="RSA private key (PEM): send a JWT signed with it",
    )
    group.add_argument(
        "--jwt-kid", default="simulator", help="its key id in the key set (default: %(default)s)"
    )
    group.add_argument("--jwt-audience", help="audience of the JWT (default: ACS_RESOURCE_ID)")
    group.add_argument(
        "--wait", type=_not_negative, default=0.0, help="seconds to wait for the server to answer"
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ledger", type=Path, metavar="FILE", help="write the packets sent, with hashes, as JSON"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar and no table")


def _add_repeatable(group: argparse._ArgumentGroup, name: str, **settings: Any) -> None:
    group.add_argument(name, action="append", default=[], **settings)


def _number(text: str, accept: Callable[[float], bool], expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not accept(number) or number == float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
    return number


def _positive(text: str) -> float:
    return _number(text, lambda number: number > 0, "a number above 0")


def _not_negative(text: str) -> float:
    return _number(text, lambda number: number >= 0, "a number of 0 or more")


def _spacing(text: str) -> float:
    return _number(
        text, lambda number: 0 <= number <= PACKET_MS, "a number of milliseconds between 0 and 20"
    )


def _share(text: str) -> float:
    return _number(text, lambda number: 0 <= number <= 1, "a share between 0 and 1")


def _whole(text: str) -> int:
    return int(
        _number(text, lambda number: number >= 1 and number.is_integer(), "a whole number above 0")
    )


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


def _moment(text: str) -> int:
    """Parses ISO 8601 into microseconds since the epoch; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e6)
