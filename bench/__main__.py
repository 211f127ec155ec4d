"""`make bench`, or `python -m bench [command] [--json FILE] …`: the capacity of one core, and a
profile of its time.

Without a command it runs everything that does not take a night. docs/capacity.md explains how to
read and repeat the results.
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
    "rolling": "bench.rolling",
    "export": "bench.export",
    "downloads": "bench.downloads",
    "shelf": "bench.shelf",
    "pages": "bench.dashboard_browser",
    "openings": "bench.openings",
    "paint": "bench.first_paint",
}
"""Each command is a module with a docstring, `add_arguments(parser)` and
`run(args, backends) -> JSON`.
"""


def main() -> int:
    args = options().parse_args()
    signal.signal(signal.SIGTERM, _end)
    os.sched_setaffinity(0, cores.OTHERS)
    names = [args.command] if args.command else list(COMMANDS)
    found: dict[str, Any] = {"machine": machine()}
    try:
        with Backends(sqlite=args.sqlite) as backends:
            print(f"{found['machine']}; {backends.description}", flush=True)
            for name in names:
                print(f"\n{name}", flush=True)
                found[name] = import_module(COMMANDS[name]).run(_arguments_of(name, args), backends)
                write(args.json, found)
    except KeyboardInterrupt:
        print("ended; everything it started is removed", file=sys.stderr)
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
    """Describes the machine that the results are valid for."""
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
        "--json", type=Path, metavar="FILE", help="write the results, to compare runs", **default
    )
    parser.add_argument(
        "--sqlite", action="store_true", help="SQLite without Redis, even if installed", **default
    )


def _arguments_of(name: str, args: argparse.Namespace) -> argparse.Namespace:
    """Returns the arguments of the command line for its command, or the command's defaults."""
    return args if args.command == name else options().parse_args([name])


def _end(_number: int, _frame: Any) -> None:
    """Treats SIGTERM like Ctrl-C: everything is removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
