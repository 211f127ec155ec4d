"""Every fault that can be tried, by name, in the order of the table."""

from __future__ import annotations

from tests.torture.faults import database, layer, process, store
from tests.torture.trial import Fault

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (*process.FAULTS, *database.FAULTS, *store.FAULTS, *layer.FAULTS)
}
