"""The command line as a plan."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from streams.simulator.errors import BadPlan
from streams.simulator.plan import Plan, PlannedCall, new_id
from streams.simulator.scenario import identities
from streams.simulator.scenario.audio import (
    PACKET_MS,
    PACKET_US,
    SAMPLE_RATES,
    Clip,
    Samples,
    mixed,
    read_file,
    tone,
)
from streams.simulator.scenario.capture import read_capture
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.schedule import (
    Absence,
    Conversation,
    Press,
    Script,
    ScriptedVoice,
    presses,
)
from streams.simulator.token import Signer, read_key

VOICES = Path(__file__).resolve().parent / "voices"
DEMO_CALLS = ("order", "router", "appointment")
TONES = (440, 554, 659, 880)  # Hz, of participants for whom nothing else is said
TONE_SECONDS = 30.0
AWAY_US = 1_000_000  # of a --reconnect that does not say
DTMF_TONES = frozenset("0123456789*#ABCD")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--url",
        default="ws://127.0.0.1:8000/ws/acs/media",
        help="media socket (default: %(default)s)",
    )
    _add_audio(parser.add_argument_group("what is said"))
    _add_calls(parser.add_argument_group("calls"))
    _add_faults(parser.add_argument_group("faults (the same --seed gives the same faults)"))
    _add_handshake(parser.add_argument_group("handshake"))
    _add_account(parser.add_argument_group("account"))


def plan_of(options: dict[str, Any], *, stream_token: str = "", resource_id: str = "") -> Plan:
    """The plan that the parsed options ask for; `stream_token` and `resource_id` where no option
    says otherwise.

    Raises `BadPlan`.
    """
    token = stream_token if options["token"] is None else options["token"]
    return Plan(
        url=options["url"],
        calls=_replayed(options) if options["replay"] else _calls(options),
        speed=options["speed"],
        headers=tuple(options["header"]),
        name_calls=not options["no_headers"],
        token=token,
        signer=_signer(options, resource_id),
        drop=options["drop"],
        loop=options["loop"],
        pause_seconds=options["pause"],
        wait_seconds=options["wait"],
        silent_flag=not options["no_silence_flag"],
        started_us=options["start_timestamp"],
        hashes=options["ledger"] is not None,
    )


def _add_audio(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="audio, one file per participant"
    )
    group.add_argument(
        "--audio",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the same as a positional FILE",
    )
    group.add_argument(
        "--tone",
        action="append",
        default=[],
        type=_whole,
        metavar="HZ",
        help="a tone per participant",
    )
    group.add_argument(
        "--voices", action="store_true", help="the spoken demo calls: call i plays pair i"
    )
    group.add_argument(
        "--replay", nargs="+", type=Path, metavar="FILE", help="journals of one call, sent again"
    )
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
    group.add_argument(
        "--dtmf",
        action="append",
        default=[],
        type=_dtmf,
        metavar="[AT:]TONES",
        help="tones pressed (default at 1 s)",
    )
    group.add_argument(
        "--no-silence-flag", action="store_true", help="leave the member `silent` out"
    )


def _add_calls(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--calls", type=_whole, help="calls at once (default: 1; 3 with --voices)")
    group.add_argument(
        "--participants", type=_whole, help="per call (default: one per file or tone, else 2)"
    )
    group.add_argument(
        "--raw-id", action="append", default=[], help="participantRawID, one per participant"
    )
    group.add_argument(
        "--stagger", type=_not_negative, default=0.0, help="seconds from one call to the next"
    )
    group.add_argument(
        "--speed", type=_not_negative, default=1.0, help="1 is real time, 0 as fast as it goes"
    )
    group.add_argument(
        "--loop", action="store_true", help="play the calls again and again until interrupted"
    )
    group.add_argument(
        "--pause", type=_not_negative, default=3.0, help="seconds between two rounds of --loop"
    )
    group.add_argument(
        "--start-timestamp", type=_moment, metavar="ISO", help="timestamps begin here, not now"
    )


def _add_faults(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--seed", type=int, default=1)
    group.add_argument(
        "--jitter", type=_not_negative, default=0.0, metavar="MS", help="packets come up to MS late"
    )
    group.add_argument(
        "--loss", type=_share, default=0.0, metavar="SHARE", help="share of packets lost, 0 to 1"
    )
    group.add_argument(
        "--lose-every",
        type=_whole,
        default=0,
        metavar="N",
        help="lose every n-th packet of a voice",
    )
    group.add_argument(
        "--reorder", type=_share, default=0.0, metavar="SHARE", help="share of packets overtaken"
    )
    group.add_argument(
        "--duplicates",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="share of packets sent twice",
    )
    group.add_argument(
        "--stall",
        action="append",
        default=[],
        type=_stretch,
        metavar="AT:SECONDS",
        help="silence, then a burst",
    )
    group.add_argument(
        "--reconnect",
        action="append",
        default=[],
        type=_stretch,
        metavar="AT[:SECONDS]",
        help="close the socket, come back after SECONDS (default 1); what falls between is lost",
    )
    group.add_argument(
        "--burst-spacing",
        type=_spacing,
        default=1.0,
        metavar="MS",
        help="between stamps in a burst (default: %(default)s)",
    )
    group.add_argument(
        "--drop", action="store_true", help="break the TCP connection at the end, without a close"
    )


def _add_handshake(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--connection-id", default="", help="x-ms-call-connection-id (further calls: with -2, -3 …)"
    )
    group.add_argument("--correlation-id", default="", help="x-ms-call-correlation-id")
    group.add_argument(
        "--no-headers", action="store_true", help="send neither of the two x-ms- headers"
    )
    group.add_argument(
        "--header",
        action="append",
        default=[],
        type=_header,
        metavar="NAME=VALUE",
        help="another one",
    )
    group.add_argument(
        "--token", help="?token= of the address (default: ACS_STREAM_TOKEN; '' for none)"
    )
    group.add_argument(
        "--jwt-key",
        type=Path,
        metavar="FILE",
        help="RSA private key (PEM): show a JWT signed with it",
    )
    group.add_argument(
        "--jwt-kid", default="simulator", help="its key id in the key set (default: %(default)s)"
    )
    group.add_argument("--jwt-audience", help="audience of the JWT (default: ACS_RESOURCE_ID)")
    group.add_argument(
        "--wait", type=_not_negative, default=0.0, help="seconds to wait for the server to answer"
    )


def _add_account(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ledger", type=Path, metavar="FILE", help="write what was sent, with hashes, as JSON"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar and no table")


@dataclass(frozen=True)
class _Cast:
    """Who speaks in one call: raw ids and what they say."""

    raw_ids: tuple[str, ...]
    samples: tuple[Samples, ...]
    seconds: float | None


def _calls(options: dict[str, Any]) -> tuple[PlannedCall, ...]:
    casts = _demo_casts(options) if options["voices"] else _casts(options)
    return tuple(_call(options, cast, index, len(casts)) for index, cast in enumerate(casts))


def _call(options: dict[str, Any], cast: _Cast, index: int, count: int) -> PlannedCall:
    rate = options["rate"]
    clips = [Clip(samples, rate, cast.seconds) for samples in cast.samples]
    if options["mixed"]:
        voices: tuple[ScriptedVoice, ...] = (ScriptedVoice("", mixed(clips, rate)),)
    else:
        voices = tuple(
            ScriptedVoice(raw_id, clip) for raw_id, clip in zip(cast.raw_ids, clips, strict=True)
        )
    script = Conversation(
        voices,
        rate,
        _faults(options, index),
        tuple(press for presses_of_one in options["dtmf"] for press in presses_of_one),
        _absences(options),
    )
    _check_absences(script)
    return _named(options, script, index, count)


def _named(options: dict[str, Any], script: Script, index: int, count: int) -> PlannedCall:
    begin_us = (
        int(index * options["stagger"] * 1e6) + index * PACKET_US // count
    )  # spread over the 20 ms

    def name(option: str) -> str:
        given: str = options[option]
        return f"{given}-{index + 1}" if given and index else given or new_id()

    return PlannedCall(script, name("connection_id"), name("correlation_id"), begin_us=begin_us)


def _casts(options: dict[str, Any]) -> list[_Cast]:
    rate = options["rate"]
    files = options["files"] + options["audio"]
    said = [read_file(path, rate) for path in files] + [
        tone(hertz, rate) for hertz in options["tone"]
    ]
    participants = options["participants"] or len(options["raw_id"]) or len(said) or 2
    if not said:
        said = [tone(hertz, rate) for hertz in TONES]
    seconds = options["seconds"] or (
        None if files and not options["tone"] else _longest(said, rate, files)
    )
    return [
        _Cast(
            tuple(_raw_id(options, call, participant) for participant in range(participants)),
            tuple(
                said[(call * participants + participant) % len(said)]
                for participant in range(participants)
            ),
            seconds,
        )
        for call in range(options["calls"] or 1)
    ]


def _longest(said: list[Samples], rate: int, files: list[Path]) -> float:
    """Tones last as long as the longest file beside them, or their own time."""
    return max(len(samples) for samples in said[: len(files)]) / rate if files else TONE_SECONDS


def _raw_id(options: dict[str, Any], call: int, participant: int) -> str:
    given: list[str] = options["raw_id"]
    return given[participant] if participant < len(given) else identities.raw_id(call, participant)


def _demo_casts(options: dict[str, Any]) -> list[_Cast]:
    if (
        options["files"]
        or options["audio"]
        or options["tone"]
        or options["participants"] not in (None, 2)
    ):
        raise BadPlan(
            "--voices brings its own two participants per call; leave FILE, --tone and "
            "--participants out"
        )
    rate = options["rate"]
    said = {
        (name, who): read_file(VOICES / f"{name}-{who}.flac", rate)
        for name in DEMO_CALLS
        for who in ("caller", "agent")
    }
    casts = []
    for call in range(options["calls"] or len(DEMO_CALLS)):
        name = DEMO_CALLS[call % len(DEMO_CALLS)]
        agent = identities.teams_user(call) if name == "router" else identities.acs_user(call)
        samples = (said[name, "caller"], said[name, "agent"])
        casts.append(_Cast((identities.phone(call), agent), samples, options["seconds"]))
    return casts


def _replayed(options: dict[str, Any]) -> tuple[PlannedCall, ...]:
    beside = (
        "files",
        "audio",
        "tone",
        "voices",
        "seconds",
        "mixed",
        "dtmf",
        "calls",
        "participants",
        "raw_id",
    )
    for option in (
        *beside,
        "jitter",
        "loss",
        "lose_every",
        "reorder",
        "duplicates",
        "stall",
        "reconnect",
    ):
        if options[option]:
            raise BadPlan(
                f"--replay sends what was captured as it came; leave {option.replace('_', '-')} out"
            )
    return (_named(options, read_capture(options["replay"], options["start_timestamp"]), 0, 1),)


def _faults(options: dict[str, Any], index: int) -> Faults:
    for _at_us, length_us in options["stall"]:
        if length_us is None:
            raise BadPlan("--stall needs AT:SECONDS")
    return Faults(
        jitter_us=int(options["jitter"] * 1000),
        loss=options["loss"],
        lose_every=options["lose_every"],
        stalls=tuple(Stall(at_us, length_us) for at_us, length_us in options["stall"]),
        reorder=options["reorder"],
        duplicates=options["duplicates"],
        spacing_us=int(options["burst_spacing"] * 1000),
        seed=options["seed"] + index,
    )


def _absences(options: dict[str, Any]) -> tuple[Absence, ...]:
    absences = (
        Absence(at, AWAY_US if length is None else length) for at, length in options["reconnect"]
    )
    return tuple(sorted(absences, key=lambda absence: absence.at_us))


def _check_absences(script: Conversation) -> None:
    ends = [absence.at_us + absence.length_us for absence in script.absences]
    if any(
        end > after.at_us for end, (_, after) in zip(ends, pairwise(script.absences), strict=False)
    ):
        raise BadPlan("--reconnect: one begins before the one before it is over")
    if any(absence.at_us >= script.length_us for absence in script.absences):
        raise BadPlan(
            f"--reconnect: lies after the end of the call ({script.length_us / 1e6:.1f} s)"
        )


def _signer(options: dict[str, Any], resource_id: str) -> Signer | None:
    if options["jwt_key"] is None:
        return None
    audience = options["jwt_audience"] or resource_id
    if not audience:
        raise BadPlan(
            "--jwt-key needs --jwt-audience (or ACS_RESOURCE_ID): the token is for one resource"
        )
    return Signer(read_key(options["jwt_key"]), options["jwt_kid"], audience)


def _number(text: str, accept: Callable[[float], bool], what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not accept(number) or number == float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
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


def _stretch(text: str) -> tuple[int, int | None]:
    """AT[:SECONDS] in microseconds."""
    at, colon, length = text.partition(":")
    return int(_not_negative(at) * 1e6), int(_not_negative(length) * 1e6) if colon else None


def _dtmf(text: str) -> tuple[Press, ...]:
    """[AT:]TONES, one press after the other."""
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
    """ISO 8601 in microseconds since the epoch; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in ISO 8601") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e6)
