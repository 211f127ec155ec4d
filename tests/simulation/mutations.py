"""`python -m tests.simulation.mutations`: does the simulation find deliberate faults, and how fast?

Each mutation changes one line of the timeline or of sealing, in a temporary copy of the repository.
Seeds that fail without a mutation do not count. A mutation whose text is not in the code is an
error: adapt it when the code changes. Prints a table; the exit code is 1 if one is not found.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache"
)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault: `old` in a file becomes `new`."""

    meaning: str
    file: str
    old: str
    new: str


TRACK, TIMELINE = "streams/timeline/track.py", "streams/timeline/timeline.py"
CLOCK = "streams/timeline/call_clock.py"
DIGEST, STEPS = "streams/sealing/digest.py", "streams/sealing/steps.py"

MUTATIONS = (
    Mutation(
        "a gap needs 120 ms",
        TRACK,
        "missing > self.reach and packet.timed:",
        "missing > 2 * self.reach and packet.timed:",
    ),
    Mutation(
        "late packets are not sorted",
        TRACK,
        "self.waiting.insert(bisect_right(self.waiting, place_us, key=place_of), packet)",
        "self.waiting.append(packet)",
    ),
    Mutation(
        "a queue of only 1 s",
        "streams/timeline/waiting.py",
        "LOOK_AHEAD_US = 2_500_000",
        "LOOK_AHEAD_US = 1_000_000",
    ),
    Mutation(
        "duplicates are kept",
        "streams/timeline/duplicates.py",
        "repeats = self.again[packet] = self.again.get(packet, 0) + 1",
        "repeats = self.again[packet] = self.again.get(packet, 0)",
    ),
    Mutation(
        "the fast path passes over gaps of up to 240 ms",
        "streams/timeline/fast_path.py",
        "(track.end + track.reach + 1)",
        "(track.end + 4 * track.reach + 1)",
    ),
    Mutation(
        "a new rate keeps the old count of samples",
        TRACK,
        "self.end = -(-self.end * sample_rate // self.sample_rate)  # the next whole sample",
        "self.end = self.end + 0 * sample_rate",
    ),
    Mutation(
        "a gap after a socket has the reason of one within it",
        DIGEST,
        'state.timeline.finish(next_gap=digest.ending or "")',
        'state.timeline.finish(next_gap="not_received")',
    ),
    Mutation(
        "a cut of a run is counted in bytes",
        DIGEST,
        "run.start_sample + start // 2,",
        "run.start_sample + start,",
    ),
    Mutation(
        "the state for the next file has the wrong name",
        STEPS,
        "path = _state_path(file.path, file.sequence + 1)",
        "path = _state_path(file.path, file.sequence)",
    ),
    Mutation(
        "a retry forgets that rows exist",
        STEPS,
        "file.is_sealed = (file.handshake.stream_id, file.handshake.sequence) in sealed",
        "file.is_sealed = (file.handshake.stream_id, file.handshake.sequence + 1) in sealed",
    ),
    Mutation(
        "a socket that broke off is not finished",
        DIGEST,
        "if digest.closed or last:",
        "if digest.closed:",
    ),
    Mutation(
        "timestamps in the future are believed",
        "streams/timeline/arrival.py",
        "audio_us >= SURE_US and",
        "audio_us < 0 and",
    ),
    Mutation(
        "each track has a clock of its own",
        CLOCK,
        "candidates = [track.shift_us, self.epochs[-1]]",
        "candidates = [track.shift_us]",
    ),
    Mutation(
        "any time between two sockets is a gap",
        "streams/sealing/gaps.py",
        "if missing * 1_000_000 > TOLERANCE_US * rate",
        "if missing * 1_000_000 > 0 * rate",
    ),
)


def main() -> int:
    args = options().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="acsmedia-mutations-"))
    try:
        known = folder / "known"
        print(f"{args.seeds} seeds without a mutation ...", flush=True)
        run(ROOT, args.seeds, "--failed", str(known))
        failed = known.read_text().split()
        print(f"{len(failed)} of them fail already and do not count", flush=True)
        copy = folder / "copy"
        shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        missed = sum(not try_mutation(one, copy, args.seeds, known) for one in MUTATIONS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{missed} mutations not found" if missed else f"all {len(MUTATIONS)} mutations found")
    return min(missed, 1)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.mutations", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=3_000, help="most seeds for each mutation")
    return parser


def try_mutation(mutation: Mutation, copy: Path, seeds: int, known: Path) -> bool:
    """Prints whether the mutation is found, and when."""
    path = copy / mutation.file
    original = path.read_text(encoding="utf-8")
    path.write_text(mutated(original, mutation), encoding="utf-8")
    began = time.monotonic()
    try:
        output = run(copy, seeds, "--stop", "--except", str(known))
    finally:
        path.write_text(original, encoding="utf-8")
    found = next((line for line in output.splitlines() if line.startswith("seed ")), "")
    law = next((line.strip() for line in output.splitlines() if "BROKEN" in line), "")
    seconds = time.monotonic() - began
    print(f"{mutation.meaning}: {found or 'NOT FOUND'} ({seconds:.0f} s) {law[:120]}", flush=True)
    return bool(found)


def mutated(content: str, mutation: Mutation) -> str:
    """Returns the content with the mutation. Raises `ValueError` if its text is not there once."""
    if content.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} does not contain once: {mutation.old}")
    return content.replace(mutation.old, mutation.new)


def run(folder: Path, seeds: int, *arguments: str) -> str:
    """Runs the simulation of a copy of the repository and returns its output."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1} or "calls" not in done.stdout:
        raise RuntimeError(f"the simulation did not run: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
