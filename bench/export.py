"""Exports over HTTP from the real server: time to the first byte, speed, and memory.

    python -m bench.export [--store files|database|s3 ...] [--hours 1 4] [--quick]

A call of one hour with two tracks, and one of four hours with four. WAV and FLAC are exported
completely, MP3 and Opus for ten minutes (their encoders are the limit), and also the last megabyte.
Speed is a multiple of real time: seconds of audio per second of the response. Memory is the peak of
the server process during the response, above its level before. The last rows are the libraries
alone, without store, HTTP or database, in one thread: the upper limit on this machine.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench import cores, recordings
from bench.backends import Backends
from bench.installation import TOKEN, Installation, installed
from calls.audio import codec
from tests.object_stores import S3
from tests.servers import Server

STORES = ("files", "database", "s3")
VOICES = ("4:+4915012345678", "8:acs:resource_user", "8:orgid:colleague", "4:+4930555010")
SLOW_SECONDS = 600
"""Exported seconds as MP3 and Opus."""
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Call:
    id: Any
    seconds: int
    tracks: int
    first_track: Any

    @property
    def name(self) -> str:
        return f"{self.seconds / 3600:g} h, {self.tracks} tracks"


@dataclass(frozen=True)
class Question:
    """One request: its name in the table, its query, and the seconds of audio in its response."""

    name: str
    query: str
    seconds: float
    range: str = ""


@dataclass(frozen=True)
class Answer:
    first_ms: float
    seconds: float
    size: int
    memory: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", nargs="+", default=list(STORES), choices=STORES)
    parser.add_argument(
        "--hours",
        nargs="+",
        type=float,
        default=[1, 4],
        help="lengths of calls; those above 1 have four tracks",
    )
    parser.add_argument("--quick", action="store_true", help="without MP3 and Opus")


def run(args: argparse.Namespace, backends: Backends) -> list[dict[str, Any]]:
    os.sched_setaffinity(0, cores.ALL)  # an export may use all cores
    found: list[dict[str, Any]] = []
    with installed(backends.environment()) as installation:
        _print("store", "call", "what", "format", "first byte", "speed", "MB/s", "memory")
        for store in args.store:
            found += _measure_store(installation, store, args)
    return [*found, *_bounds()]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args()
    with Backends() as backends:
        run(args, backends)
    return 0


def _measure_store(
    installation: Installation, store: str, args: argparse.Namespace
) -> list[dict[str, Any]]:
    found = []
    with ExitStack() as stack:
        place = stack.enter_context(S3()) if store == "s3" else None
        stack.enter_context(place.in_use() if place else _in_use(store))
        calls = [_make(round(length * 3600)) for length in args.hours]
        more = place.environment() if place else {"AUDIO_STORE": store}
        environment = {**installation.environment, **more}
        server = stack.enter_context(
            Server("uvicorn", environment=environment, data_dir=installation.data_dir)
        )
        for call in calls:
            ask(
                server, call, Question("", "?end=1", 1)
            )  # one-time work of a process: connections, imports
            for format_, question in questions(call, quick=args.quick):
                answer = ask(server, call, question)
                found.append(_shown(store, call, question, format_, answer))
    return found


def _in_use(store: str) -> Any:
    from django.conf import settings
    from django.test import override_settings

    if store == "files":
        return nullcontext()
    backend = {"BACKEND": "calls.storage.local.DatabaseStorage"}
    return override_settings(STORAGES={**settings.STORAGES, "audio": backend})


def _make(seconds: int) -> Call:
    from calls.models import Participant

    voices = VOICES if seconds > 3600 else VOICES[:2]
    call_id = recordings.make_call(seconds, voices)
    return Call(
        call_id, seconds, len(voices), Participant.objects.get(call=call_id, raw_id=VOICES[0]).pk
    )


def questions(call: Call, *, quick: bool) -> Iterator[tuple[str, Question]]:
    layouts = {
        "track": f"participant={call.first_track}",
        "mix": "layout=mix",
        "tracks": "layout=tracks",
    }
    for name, layout in layouts.items():
        for format_ in ("wav", "flac"):
            yield format_, Question(name, f"?format={format_}&{layout}", call.seconds)
        for format_ in () if quick else ("mp3", "opus"):
            if format_ != "mp3" or name != "tracks" or call.tracks <= 2:
                yield (
                    format_,
                    Question(name, f"?format={format_}&{layout}&end={SLOW_SECONDS}", SLOW_SECONDS),
                )
        last = MEGABYTE / (2 * recordings.RATE * (call.tracks if name == "tracks" else 1))
        yield "wav", Question(f"{name}, last MB", f"?{layout}", last, f"bytes=-{MEGABYTE}")


def ask(server: Server, call: Call, question: Question) -> Answer:
    """Reads the whole response as fast as it comes."""
    before = _forget_peak(server.pid)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    headers = {"Authorization": f"Token {TOKEN}"} | (
        {"Range": question.range} if question.range else {}
    )
    started = time.perf_counter()
    connection.request("GET", f"/api/v1/calls/{call.id}/audio{question.query}", headers=headers)
    response = connection.getresponse()
    size = len(response.read(1))
    first_ms = (time.perf_counter() - started) * 1000
    assert response.status in {200, 206}, response.read()
    while piece := response.read(1 << 18):
        size += len(piece)
    seconds = time.perf_counter() - started
    connection.close()
    return Answer(first_ms, seconds, size, _status(server.pid, "VmHWM") - before)


def _forget_peak(pid: int) -> int:
    """Resets the peak of resident memory (proc(5), clear_refs); returns the current bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def memory_of(pid: int) -> int:
    """Returns the resident bytes of a process."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, f"{name} is in /proc"
    return int(found.group(1)) * 1024


def _shown(
    store: str, call: Call, question: Question, format_: str, answer: Answer
) -> dict[str, Any]:
    speed, rate = question.seconds / answer.seconds, answer.size / answer.seconds / MEGABYTE
    first, memory = f"{answer.first_ms:.0f} ms", f"{answer.memory / MEGABYTE:.0f} MB"
    _print(
        store, call.name, question.name, format_, first, f"{speed:,.0f} x", f"{rate:.0f}", memory
    )
    named = {"store": store, "call": call.name, "what": question.name, "format": format_}
    return {**named, "first_ms": answer.first_ms, "speed": speed, "memory_bytes": answer.memory}


def _bounds() -> list[dict[str, Any]]:
    """Measures the libraries alone, in this thread."""
    found = []
    for channels in (1, 2, 4):
        spoken = [recordings.speech(seed, 6) for seed in range(channels)]
        blocks = [np.stack(parts, axis=1) for parts in zip(*spoken, strict=True)]
        found.append(
            _bound(f"encode {channels}", "flac", _encoding(blocks, "FLAC", "PCM_16"), len(blocks))
        )
    found.append(_bound("encode 1", "mp3", _encoding(blocks[:1], "MP3", "MPEG_LAYER_III", 1), 1))
    found.append(_bound("encode 1", "opus", _encoding(blocks[:1], "OGG", "OPUS", 1), 1))
    stored = [
        codec.encode(samples.tobytes(), recordings.RATE) for samples in recordings.speech(1, 6)
    ]
    count = recordings.SEGMENT_SAMPLES
    found.append(
        _bound(
            "decode 1",
            "flac",
            lambda: [codec.decode(each, sample_count=count) for each in stored],
            6,
        )
    )
    return found


def _encoding(
    blocks: list[Any], kind: str, subtype: str, channels: int | None = None
) -> Callable[[], object]:
    chosen = [block if channels is None else block[:, :channels] for block in blocks]
    samples = np.concatenate(chosen)
    return lambda: soundfile.write(
        BytesIO(), samples, recordings.RATE, format=kind, subtype=subtype
    )


def _bound(what: str, format_: str, work: Callable[[], object], segments: int) -> dict[str, Any]:
    started = time.perf_counter()
    work()
    speed = segments * recordings.SEGMENT_SECONDS / (time.perf_counter() - started)
    _print("library", "", what, format_, "", f"{speed:,.0f} x", "", "")
    return {"store": "library", "what": what, "format": format_, "speed": speed}


def _print(*cells: str) -> None:
    widths = (9, 14, 17, 7, 11, 9, 6, 8)
    print(
        "".join(f"{cell:<{width}}" for cell, width in zip(cells[:4], widths, strict=False))
        + "".join(f"{cell:>{width}}" for cell, width in zip(cells[4:], widths[4:], strict=False)),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
