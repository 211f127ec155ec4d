"""`make bench`, or `python -m bench [command] [--json FILE] …`: how much one core takes, and where
it goes.

Without a command everything that needs no night. docs/capacity.md says how to read and repeat it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import cores
from bench.backends import Backends

COMMANDS = {
    "capacity": "bench.capacity",
    "profile": "bench.profile",
    "flatness": "bench.flatness",
    "scale": "bench.scale",
    "export": "bench.export",
    "shelf": "bench.shelf",
    "pages": "bench.dashboard_browser",
    "paint": "bench.first_paint",
}
"""Each is a module with a docstring, `add_arguments(parser)` and `run(wanted, backends) ->
JSON`.
"""


def main() -> int:
    wanted = options().parse_args()
    signal.signal(signal.SIGTERM, _end)
    os.sched_setaffinity(0, cores.OTHERS)
    names = [wanted.command] if wanted.command else list(COMMANDS)
    found: dict[str, Any] = {"machine": machine()}
    try:
        with Backends(sqlite=wanted.sqlite) as backends:
            print(f"{found['machine']}; {backends.description}", flush=True)
            for name in names:
                print(f"\n{name}", flush=True)
                found[name] = import_module(COMMANDS[name]).run(
                    _arguments_of(name, wanted), backends
                )
                write(wanted.json, found)
    except KeyboardInterrupt:
        print("ended; what it started is gone", file=sys.stderr)
        return 130
    return 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    _add_common(parser)
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, module_name in COMMANDS.items():
        module = import_module(module_name)
        command = commands.add_parser(name, help=module.__doc__, description=module.__doc__)
        _add_common(command, default=argparse.SUPPRESS)
        module.add_arguments(command)
    return parser


def machine() -> str:
    """What the figures hold for."""
    named = [
        line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")
    ]
    return (
        f"{named[0] if named else platform.machine()}, {len(cores.ALL)} cores, Python "
        f"{platform.python_version()}"
    )


def write(path: Path | None, found: dict[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(found, indent=1))


def _cpu_lines() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()


def _add_common(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the figures, to be compared", **default
    )
    parser.add_argument(
        "--sqlite", action="store_true", help="SQLite and no Redis, whatever is here", **default
    )


def _arguments_of(name: str, wanted: argparse.Namespace) -> argparse.Namespace:
    """Those of the command line where it names the command, else the command's defaults."""
    return wanted if wanted.command == name else options().parse_args([name])


def _end(_number: int, _frame: Any) -> None:
    """SIGTERM is an end like Ctrl-C: everything is taken away."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
