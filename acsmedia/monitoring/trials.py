"""Trials of everything that a process needs, for `/readyz`. Each returns, or raises the reason.

The text of `Unavailable` is public; of other errors only the type is shown.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from calls.live import channel
from calls.live.stored import recorder_state
from calls.storage import StoreUnreachable, audio_store, cause_of
from streams.acs.jwks import KeysUnavailable
from streams.ingest.disk_quota import DiskQuota
from streams.journal.backlog import backlog_of


class Unavailable(Exception):
    """A dependency cannot be used. Its message is public."""


class KeysTrial:
    """Checks that there are keys to verify the token of the next call with, once the process has
    its authentication.
    """

    def __init__(self) -> None:
        self._check: Callable[[], Awaitable[None]] | None = None

    def install(self, check: Callable[[], Awaitable[None]]) -> None:
        """Sets what raises `KeysUnavailable`, with the reason."""
        self._check = check

    async def __call__(self) -> None:
        if self._check is None:
            return
        try:
            await self._check()
        except KeysUnavailable as error:
            raise Unavailable(f"no keys of ACS: {error}") from error


keys = KeysTrial()  # one per process, like its authentication


def try_journal() -> None:
    """Checks the free space of the spool's disk, and writes and syncs an unnamed file there."""
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(0o700, parents=True, exist_ok=True)
    free_megabytes = shutil.disk_usage(folder).free // 1_000_000
    if free_megabytes < settings.MIN_FREE_DISK_MB:
        raise Unavailable(f"{free_megabytes} MB free, {settings.MIN_FREE_DISK_MB} required")
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(b"ready?")
        os.fsync(file.fileno())


def try_disk_quota() -> None:
    """Checks that a new call would be accepted: see `streams.ingest.disk_quota`."""
    folder = Path(settings.SPOOL_DIR)
    folder.mkdir(0o700, parents=True, exist_ok=True)
    quota = DiskQuota.from_settings()
    used_bytes = backlog_of(folder, time.time()).size_bytes if quota.limit_bytes else 0
    if reason := quota.refusal_reason(folder, used_bytes):
        raise Unavailable(reason)


def try_database() -> None:
    """Queries the database over this thread's own connection."""
    connection = connections["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


async def try_layer() -> None:
    """Sends a message that nobody receives."""
    await channel.probe()


def try_processes() -> None:
    """Checks that this process has a channel layer in common with all recorders."""
    try:
        unseen = recorder_state(timezone.now())["unseen"]
    except DatabaseError:  # reported by its own check
        return
    finally:
        connections["default"].close()
    if unseen:
        raise Unavailable(f"other recorders: {unseen}, but no REDIS_URL")


def try_migrations() -> None:
    """Checks that the database has all tables and columns of this version."""
    connection = connections["default"]
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
    if plan:
        raise Unavailable(f"migrations to apply: {len(plan)}")


def try_store() -> None:
    """Asks the audio store whether it lets us in."""
    try:
        audio_store().check_access()
    except StoreUnreachable as error:
        raise Unavailable(cause_of(error)) from error
    finally:
        connections.close_all()  # a store in the database uses this thread's own connection
