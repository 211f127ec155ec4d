"""The audio store refuses, hangs, breaks off, or lies: no row before whole audio, journals wait, all is caught up."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.torture import stores
from tests.torture.trial import Fault, Trial

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.torture.settings"}


async def disobedient(trial: Trial, order: str) -> None:
    """The store follows an order for some seconds, several times, then is well again."""
    site = await trial.install()
    trial.call(3)
    for _ in range(trial.rounds):
        await trial.some_time(1.0, 2.5)
        obey(site.data_dir, order)
        await trial.some_time(2.0, 4.0)
        trial.findings.broken += [sentence for sentence in site.misfits() if not sentence.startswith("audio without")]
        obey(site.data_dir, "")
    await trial.some_time(0.5, 1.5)
    await trial.end_calls()


def obey(data_dir: Path, order: str) -> None:
    (data_dir / "store-orders").write_text(order)


PROMISED = "0 ms, no row before its whole audio"
FAULTS = tuple(
    Fault(name, PROMISED, partial(disobedient, order=order), environment=SETTINGS, rounds_long=5)
    for name, order in (
        ("store-refuses", stores.REFUSE),
        ("store-hangs", stores.HANG),
        ("store-breaks-off", stores.BREAK_OFF),
        ("store-keeps-half", stores.KEEP_HALF),
    )
)
