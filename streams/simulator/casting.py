"""Builds a plan from parsed options: the participants of each call, their audio and their
faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from streams.simulator.errors import BadPlan
from streams.simulator.plan import Plan, PlannedCall, new_id
from streams.simulator.scenario.audio import Clip, Samples, mixed, read_file, tone
from streams.simulator.scenario.capture import read_capture
from streams.simulator.scenario.faults import Faults, Stall
from streams.simulator.scenario.identities import acs_user, phone, raw_id, teams_user
from streams.simulator.scenario.packets import PACKET_US
from streams.simulator.scenario.schedule import Absence, Conversation, Script, ScriptedVoice
from streams.simulator.token import Signer, read_key

VOICES = Path(__file__).resolve().parent / "voices"
DEMO_CALLS = ("order", "router", "appointment")
TONES = (440, 554, 659, 880)  # Hz, of participants without other audio
TONE_SECONDS = 30.0
ABSENCE_US = 1_000_000  # of a --reconnect without SECONDS

NOT_WITH_REPLAY = (
    *("files", "audio", "tone", "voices", "seconds", "mixed", "dtmf"),
    *("calls", "participants", "raw_id"),
    *("jitter", "loss", "lose_every", "reorder", "duplicates", "stall", "reconnect"),
)


@dataclass(frozen=True)
class _Cast:
    """The participants of one call: raw ids and audio."""

    raw_ids: tuple[str, ...]
    samples: tuple[Samples, ...]
    seconds: float | None


def plan_of(
    options: dict[str, Any],
    *,
    stream_token: str = "",
    events_token: str = "",
    resource_id: str = "",
) -> Plan:
    """Returns the plan for the parsed options; the other arguments are defaults of options. Raises
    `BadPlan`.
    """
    return Plan(
        url=options["url"],
        calls=_calls(options),
        speed=options["speed"],
        headers=tuple(options["header"]),
        name_calls=not options["no_headers"],
        token=stream_token if options["token"] is None else options["token"],
        events_url=options["events"] or "",
        events_token=events_token if options["events_token"] is None else options["events_token"],
        signer=_signer(options, resource_id),
        drop=options["drop"],
        loop=options["loop"],
        pause_seconds=options["pause"],
        wait_seconds=options["wait"],
        restart_seconds=options["restart_wait"],
        silent_flag=not options["no_silence_flag"],
        started_us=options["start_timestamp"],
        hashes=options["ledger"] is not None,
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


def _calls(options: dict[str, Any]) -> tuple[PlannedCall, ...]:
    """Returns the captured call with `--replay`, else a call for each cast."""
    if not options["replay"]:
        casts = _demo_casts(options) if options["voices"] else _casts(options)
        return tuple(_call(options, cast, index, len(casts)) for index, cast in enumerate(casts))
    for option in NOT_WITH_REPLAY:
        if options[option]:
            raise BadPlan(
                f"--replay sends what was captured as it came; leave {option.replace('_', '-')} out"
            )
    return (_named(options, read_capture(options["replay"], options["start_timestamp"]), 0, 1),)


def _call(options: dict[str, Any], cast: _Cast, index: int, count: int) -> PlannedCall:
    rate = options["rate"]
    clips = [Clip(samples, rate, cast.seconds) for samples in cast.samples]
    if options["mixed"]:
        voices: tuple[ScriptedVoice, ...] = (ScriptedVoice("", mixed(clips, rate)),)
    else:
        voices = tuple(
            ScriptedVoice(raw_id, clip) for raw_id, clip in zip(cast.raw_ids, clips, strict=True)
        )
    absences = (
        Absence(at, ABSENCE_US if length is None else length) for at, length in options["reconnect"]
    )
    script = Conversation(
        voices,
        rate,
        _faults(options, index),
        tuple(press for tones in options["dtmf"] for press in tones),
        tuple(sorted(absences, key=lambda absence: absence.at_us)),
    )
    for before, after in pairwise(script.absences):
        if before.at_us + before.length_us > after.at_us:
            raise BadPlan("--reconnect: one begins before the one before it is over")
    if any(absence.at_us >= script.length_us for absence in script.absences):
        raise BadPlan(
            f"--reconnect: lies after the end of the call ({script.length_us / 1e6:.1f} s)"
        )
    return _named(options, script, index, count)


def _named(options: dict[str, Any], script: Script, index: int, count: int) -> PlannedCall:
    """Returns the script as a call; parallel calls are spread over the 20 ms of a packet."""
    begin_us = int(index * options["stagger"] * 1e6) + index * PACKET_US // count

    def name(option: str) -> str:
        given: str = options[option]
        return f"{given}-{index + 1}" if given and index else given or new_id()

    return PlannedCall(script, name("connection_id"), name("correlation_id"), begin_us=begin_us)


def _casts(options: dict[str, Any]) -> list[_Cast]:
    rate, given = options["rate"], options["raw_id"]
    files = options["files"] + options["audio"]
    sources = [read_file(path, rate) for path in files]
    # Tones last as long as the longest file beside them, or their own time.
    longest = max((len(samples) for samples in sources), default=0) / rate
    sources += [tone(hertz, rate) for hertz in options["tone"]]
    participants = options["participants"] or len(given) or len(sources) or 2
    if not sources:
        sources = [tone(hertz, rate) for hertz in TONES]
    seconds = options["seconds"]
    if not seconds and (options["tone"] or not files):
        seconds = longest if files else TONE_SECONDS
    return [
        _Cast(
            tuple(
                given[participant] if participant < len(given) else raw_id(call, participant)
                for participant in range(participants)
            ),
            tuple(
                sources[(call * participants + participant) % len(sources)]
                for participant in range(participants)
            ),
            seconds,
        )
        for call in range(options["calls"] or 1)
    ]


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
    speech = {
        (name, role): read_file(VOICES / f"{name}-{role}.flac", rate)
        for name in DEMO_CALLS
        for role in ("caller", "agent")
    }
    casts = []
    for call in range(options["calls"] or len(DEMO_CALLS)):
        name = DEMO_CALLS[call % len(DEMO_CALLS)]
        agent = teams_user(call) if name == "router" else acs_user(call)
        samples = (speech[name, "caller"], speech[name, "agent"])
        casts.append(_Cast((phone(call), agent), samples, options["seconds"]))
    return casts


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
