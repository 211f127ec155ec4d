"""Files that a process has open. Other threads may close them at any moment."""

from __future__ import annotations

import os
from pathlib import Path


def path_of(descriptor: int | str, process: int | str = "self") -> str:
    """Returns the path of the file that is open under this number, "" if there is none."""
    try:
        return os.readlink(f"/proc/{process}/fd/{descriptor}")  # noqa: PTH115 - sockets too
    except FileNotFoundError:
        return ""


def open_paths(process: int | str = "self") -> list[str]:
    """Returns the paths of all open files; others, such as sockets, by the kernel's name."""
    entries = list(Path(f"/proc/{process}/fd").iterdir())
    return [path for entry in entries if (path := path_of(entry.name, process))]
