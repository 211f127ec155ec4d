"""The plan of one simulated call: voices, speech and faults, all derived from one seed. PURE.

Times are microseconds of conversation since the first socket was opened. A fault of kind "pause"
inserts time in which nothing happens, so all that follows it moves; `true_us` converts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
PACKET_US = 20_000
MAX_SPURT_DRIFT_US = 40_000
"""Longest spurt of a voice, by the drift of its sound card, unless the kind is "drift"."""


@dataclass(frozen=True, slots=True)
class Spurt:
    """Contiguous speech of `packets` packets."""

    start_us: int
    packets: int


@dataclass(frozen=True, slots=True)
class Voice:
    """One participant; its sound card is `ppm` millionths fast against the service's clock."""

    raw_id: str
    ppm: int
    spurts: tuple[Spurt, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from `at_us` on. `us` is a size or duration, `count` a number of packets or bytes,
    `voice` an index (-1: all); `seed` draws everything else.
    """

    kind: str
    at_us: int = 0
    us: int = 0
    count: int = 0
    voice: int = -1
    seed: int = 0

    def __str__(self) -> str:
        parts = [f"{self.kind} at {self.at_us / SECOND:.3f} s"]
        if self.us:
            parts.append(f"of {self.us / SECOND:+.4f} s")
        if self.count:
            parts.append(f"count {self.count}")
        if self.voice >= 0:
            parts.append(f"of voice {self.voice}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one call. `rotate_us`: age at which a journal file is rotated; `digits` of
    the fraction of a timestamp; `with_rows`: sealed into rows, not only digested.
    """

    seed: int
    rate: int
    digits: int
    length_us: int
    voices: tuple[Voice, ...]
    faults: tuple[Fault, ...]
    rotate_us: int
    segment_seconds: float
    with_rows: bool

    def of(self, *kinds: str) -> list[Fault]:
        """Returns the faults of these kinds in order of time."""
        found = [fault for fault in self.faults if fault.kind in kinds]
        return sorted(found, key=lambda fault: fault.at_us)

    def true_us(self, conversation_us: int) -> int:
        """Returns the true time of a moment of the conversation."""
        pauses = (one.us for one in self.faults if one.kind == "pause")
        starts = (one.at_us for one in self.faults if one.kind == "pause")
        moved = (us for us, at in zip(pauses, starts, strict=True) if at <= conversation_us)
        return conversation_us + sum(moved)

    def __str__(self) -> str:
        depth = "rows" if self.with_rows else "digest"
        head = f"seed {self.seed}: {self.length_us / SECOND:.2f} s at {self.rate} Hz, "
        lines = [f"{head}files of {self.rotate_us / SECOND:g} s, {self.digits} digits, {depth}"]
        for number, voice in enumerate(self.voices):
            spurts = ", ".join(
                f"{one.start_us / SECOND:.3f}+{one.packets * PACKET_US / SECOND:.2f}"
                for one in voice.spurts
            )
            lines.append(f"  voice {number} {voice.raw_id} {voice.ppm:+d} ppm speaks at {spurts}")
        lines += [f"  {fault}" for fault in sorted(self.faults, key=lambda one: one.at_us)]
        return "\n".join(lines)


Draw = Callable[[Random, int, Sequence[Voice]], Iterable[Fault]]
"""Draws the faults of one kind for a conversation of a length, in µs."""

STEPS = (60_000, 100_000, 300_000, SECOND, 2 * SECOND, 2_500_000, 5 * SECOND, 10 * SECOND)
LONG_STEPS = (MINUTE, 5 * MINUTE, HOUR - SECOND, HOUR, HOUR + SECOND, 2 * HOUR, 24 * HOUR)
STRAYS = (200_000, 2 * SECOND, 2_600_000, 30 * SECOND, 10 * MINUTE, 30 * MINUTE, 59 * MINUTE)
LONG_STRAYS = (HOUR - 1000, HOUR, 61 * MINUTE, 26 * HOUR)
PAUSES = (MINUTE, 10 * MINUTE, 59 * MINUTE, HOUR, 61 * MINUTE, 70 * MINUTE, 180 * MINUTE)


def _size(random: Random, *sizes: int) -> int:
    """Returns a typical size, mostly exact, with either sign."""
    size = random.choice(sizes)
    if random.random() < 0.4:
        size = round(size * random.uniform(0.8, 1.2))
    return size * random.choice((-1, 1))


def _moment(random: Random, length_us: int) -> int:
    return random.randrange(SECOND // 2, length_us)


def _voice(random: Random, voices: Sequence[Voice]) -> int:
    return random.randrange(len(voices))


def _pause(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    at_us = _moment(random, length)
    yield Fault("pause", at_us, abs(_size(random, *PAUSES)))
    if random.random() < 0.3:
        yield Fault("reconnect", at_us - 1_000, 1_000 + random.choice((0, 0, SECOND)))


def _stray(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at_us = random.choice((0, _moment(random, length), _moment(random, length)))
        size = _size(random, *STRAYS, *LONG_STRAYS)
        yield Fault("stray", at_us, size, voice=_voice(random, voices))


def _step(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    at_us, size = _moment(random, length), _size(random, *STEPS, *LONG_STEPS)
    yield Fault("step", at_us, size)
    if random.random() < 0.35:
        yield Fault("step", at_us + random.choice((200_000, 2 * SECOND, 6 * SECOND)), -size)


def _seconds(kind: str, *durations: float) -> Draw:
    def draw(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
        size = round(random.choice(durations) * SECOND * random.uniform(0.7, 1.0))
        yield Fault(kind, _moment(random, length), size, seed=random.getrandbits(32))

    return draw


def _packets(kind: str, most: int, us: int = 0) -> Draw:
    def draw(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
        for _ in range(random.choice((1, 1, 2, 4))):
            count = random.choice((1, 1, 2, 3, random.randint(1, most)))
            size = random.randrange(us) if us else 0
            at_us, voice = _moment(random, length), _voice(random, voices)
            yield Fault(kind, at_us, size, count, voice, random.getrandbits(32))

    return draw


def _jitter(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    size = random.choice((20_000, 80_000, 400_000))
    yield Fault("jitter", 0, size, seed=random.getrandbits(32))


def _coarse(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    yield Fault("coarse", 0, random.choice((100_000, SECOND)))


def _rate(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    yield Fault("rate", _moment(random, length), count=random.choice((8_000, 16_000, 24_000)))


def _kill(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    again_us = random.choice((100_000, SECOND, 3 * SECOND))
    torn = random.choice((0, 0, 1, random.randint(1, 3000)))
    yield Fault("kill", _moment(random, length), again_us, torn, seed=random.getrandbits(32))


def _anything(kind: str) -> Draw:
    def draw(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
        yield Fault(kind, seed=random.getrandbits(32))

    return draw


def _host(random: Random, length: int, voices: Sequence[Voice]) -> Iterator[Fault]:
    yield Fault("host", _moment(random, length), _size(random, *STEPS, *LONG_STEPS))


KINDS: dict[str, Draw] = {
    "pause": _pause,
    "stray": _stray,
    "step": _step,
    "lingering": _seconds("lingering", 0.001, 0.2, 2, 6, 20),
    "drift": lambda _random, _length, _voices: (),  # voices with long spurts
    "jitter": _jitter,
    "stall": _seconds("stall", 0.1, 0.5, 1, 2),
    "network": _seconds("network", 0.1, 0.5, 2, 5),
    "loss": _packets("loss", 120),
    "reorder": _packets("reorder", 3, 1_950_000),
    "duplicate": _packets("duplicate", 10, 4 * SECOND),
    "untimed": _packets("untimed", 30),
    "coarse": _coarse,
    "rate": _rate,
    "silence": _packets("silence", 60),
    "reconnect": _seconds("reconnect", 0.001, 0.05, 0.5, 2, 10),
    "split": _seconds("split", 0.1, 1, 5),
    "twin": _seconds("twin", 0.1, 1, 5),
    "kill": _kill,
    "disk": _seconds("disk", 0.05, 0.5, 3),
    "sealing": _anything("sealing"),
    "host": _host,
}
"""Kinds of faults, by the name that the command line uses."""

WITH_ROWS = frozenset({"lingering", "split", "twin", "sealing", "host"})
"""Kinds that only the whole way to the rows can be judged by."""

COSTS = {"drift": 6, **dict.fromkeys(WITH_ROWS - {"sealing"}, 3)}
"""How much longer a call of the kind takes to simulate."""

ROWS_EVERY = 12
"""Other calls are sealed into rows one time in this many."""


def plan_of(seed: int, kinds: Sequence[str] = tuple(KINDS)) -> Plan:
    """Returns the plan of a seed: always the same for the same `kinds`."""
    random = Random(f"call {seed}")
    number = min(len(kinds), random.choice((0, 1, 1, 1, 2, 2, 3, 4)) if len(kinds) > 1 else 1)
    chosen = _chosen(random, kinds, number)
    length = random.randrange(4 * SECOND, 12 * SECOND)
    if "drift" in chosen:
        length = random.randrange(40 * SECOND, 100 * SECOND)
    voices = _voices(random, length, drifting="drift" in chosen)
    faults = [fault for kind in chosen for fault in KINDS[kind](random, length, voices)]
    return Plan(
        seed,
        random.choice((16_000, 16_000, 16_000, 8_000, 24_000)),
        random.choice((3, 3, 3, 6, 7)),
        length,
        voices,
        tuple(faults),
        random.choice((2, 5, 10)) * SECOND,
        random.choice((1.0, 5.0, 10.0)),
        not WITH_ROWS.isdisjoint(chosen) or random.randrange(ROWS_EVERY) == 0,
    )


def _chosen(random: Random, kinds: Sequence[str], number: int) -> list[str]:
    """Draws different kinds; expensive ones come less often."""
    weights = {kind: 1.0 / COSTS.get(kind, 1) for kind in kinds}
    chosen: list[str] = []
    while len(chosen) < number:
        (kind,) = random.choices(list(weights), list(weights.values()))
        chosen.append(kind)
        del weights[kind]
    return chosen


def _voices(random: Random, length: int, *, drifting: bool) -> tuple[Voice, ...]:
    number = random.choice((1, 1, 1, 2, 2, 2, 2, 3, 3, 4))
    voices = []
    for index in range(1 if drifting else number):
        ppm = random.choice((0, 0, random.randint(-500, 500), -500, 500))
        if drifting:
            ppm = random.choice((-500, 500, random.randint(-500, 500)))
        spurts = tuple(_spurts(random, length, continuous=drifting or random.random() < 0.3))
        voices.append(Voice(f"8:acs:{'abcdefgh'[index]}", ppm, spurts))
    return tuple(voices)


def _spurts(random: Random, length: int, *, continuous: bool) -> Iterator[Spurt]:
    at_us = SECOND // 5 + random.choice((0, 0, random.randrange(length // 2)))
    while at_us < length - PACKET_US:
        most = (length - at_us) // PACKET_US
        packets = most if continuous else min(most, random.randint(1, random.choice((8, 150, 400))))
        yield Spurt(at_us, packets)
        pause = random.choice((70_000, 300_000, 2 * SECOND, 6 * SECOND))
        at_us += packets * PACKET_US + round(pause * random.uniform(0.5, 1.5))
