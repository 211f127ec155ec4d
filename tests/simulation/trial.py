"""One simulated call from its seed to the verdict."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.judge import judged
from tests.simulation.plan import PACKET_US, Plan
from tests.simulation.recorder import Recorder, Stored, digested
from tests.simulation.verdict import Verdict, Violation
from tests.simulation.world import World, world_of

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, if the system has one


@dataclass(slots=True)
class Outcome:
    """The result of one call."""

    plan: Plan
    verdict: Verdict = field(default_factory=Verdict)
    packets: int = 0

    @property
    def violations(self) -> Sequence[Violation]:
        return self.verdict.violations

    @property
    def spoken_us(self) -> int:
        return self.packets * PACKET_US


def tried(plan: Plan) -> Outcome:
    """Simulates the call; an exception of the recorder is a violation too."""
    outcome = Outcome(plan)
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        world = world_of(plan)
        outcome.packets = sum(len(voice) for voice in world.packets)
        if plan.with_rows:
            from tests.simulation import sealing  # needs Django's models

            stored = sealing.sealed(Recorder(world, _new(folder, "rows")))
            outcome.verdict = judged(world, stored)
            if len(world.sockets) > 1:  # sealed in any order: within the laws, but not the same
                return outcome
            again = digested(_played(world_of(plan), _new(folder, "digest")), at_once=True)
            _compare(stored, again, outcome.verdict, "tracks", "gaps")
        else:
            recorder = _played(world, folder)
            stored = digested(recorder, at_once=False)
            again = digested(recorder, at_once=True)
            outcome.verdict = judged(world, stored)
            _compare(stored, again, outcome.verdict, "tracks", "gaps", "facts", "others")
    except Exception as error:  # noqa: BLE001 - whatever the recorder raises is a finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        outcome.verdict.note("crash", f"{type(error).__name__}: {error} ({place})")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _played(world: World, spool: Path) -> Recorder:
    recorder = Recorder(world, spool)
    for _ in recorder.run():
        pass
    return recorder


def _compare(pieces: Stored, at_once: Stored, verdict: Verdict, *names: str) -> None:
    """Sealing in pieces, also after kills, gives the same as sealing at once."""
    for name in names:
        if getattr(pieces, name) != getattr(at_once, name):
            verdict.note("pieces", f"{name} differ when sealed in pieces and at once")
