"""Temporary file systems, as root: one small enough to fill, one with a simulated power cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

IMAGE_MB = 48
BUSY_SECONDS = 10.0
"""How long an unmount may wait: a killed process counts as ended when its first thread has, while
others still hold its files.
"""


def missing() -> str:
    """Returns why file systems cannot be mounted here; "" if they can."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    return "" if shutil.which("mkfs.ext4") else "mkfs.ext4 is not installed"


class SmallDisk:
    """A tmpfs of a few megabytes."""

    def __init__(self, megabytes: int) -> None:
        self.path = Path(mkdtemp(prefix="acsmedia-small-"))
        mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(self.path))
        self._filler = self.path / "filler"

    def fill(self) -> None:
        """Writes until not one more byte fits."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65_536))
            except OSError:
                pass

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def read_only(self, *, on: bool) -> None:
        mount("-o", "remount,ro" if on else "remount,rw", str(self.path))

    def close(self) -> None:
        unmount(self.path)


class PowerCutDisk:
    """An ext4 in an image file. Unsynced data is only in memory, so a copy of the image is the disk
    after a power cut.
    """

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="acsmedia-power-"))
        self._images = 0
        self.path = self._folder / "disk"
        self.path.mkdir()
        image = self._image()
        with image.open("wb") as file:
            file.truncate(IMAGE_MB * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        mount("-o", "loop", str(image), str(self.path))

    def cut(self) -> None:
        """Copies the disk as it is now; all processes that use it must be stopped."""
        before = self._image()
        self._images += 1
        shutil.copyfile(before, self._image())

    def power_on(self) -> None:
        """Mounts the copy at the same path; its own journal is replayed."""
        unmount(self.path, keep=True)
        mount("-o", "loop", str(self._image()), str(self.path))

    def close(self) -> None:
        unmount(self.path)
        shutil.rmtree(self._folder)

    def _image(self) -> Path:
        return self._folder / f"image-{self._images}"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def unmount(path: Path, *, keep: bool = False) -> None:
    """Raises `OSError` if it stays busy; even then it is detached, and unmounted once unused."""
    deadline = time.monotonic() + BUSY_SECONDS
    busy = False
    while path.is_mount() and not busy:
        done = subprocess.run(["umount", str(path)], check=False, capture_output=True, text=True)
        busy = done.returncode != 0 and time.monotonic() > deadline
        time.sleep(0.05 if done.returncode else 0)
    if busy:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
    if not keep:
        path.rmdir()
    if busy:
        raise OSError(f"still busy after {BUSY_SECONDS:.0f} s: {done.stderr.strip()}")
