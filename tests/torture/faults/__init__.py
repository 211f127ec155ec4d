"""All faults by name, in the order of the table."""

from __future__ import annotations

from tests.torture.faults import (
    bits,
    browsers,
    clients,
    database,
    disk,
    endurance,
    layer,
    messages,
    pairs,
    process,
    store,
    timestamps,
)
from tests.torture.trial import Fault

FAMILIES = (
    process,
    pairs,
    database,
    store,
    layer,
    disk,
    bits,
    clients,
    messages,
    browsers,
    timestamps,
    endurance,
)
FAULTS: dict[str, Fault] = {fault.name: fault for family in FAMILIES for fault in family.FAULTS}
