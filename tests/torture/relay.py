"""A slow connection: a Unix socket in front of another, which delays its answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

POSTGRES_SOCKET = ".s.PGSQL.5432"


class SlowRelay:
    """An async context manager; clients connect to `folder` instead of Postgres's own."""

    def __init__(self, behind: Path, seconds: float) -> None:
        self._behind = behind / POSTGRES_SOCKET
        self._seconds = seconds
        self._folder = TemporaryDirectory(prefix="acsmedia-relay-")
        self.folder = Path(self._folder.name)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._relay, self.folder / POSTGRES_SOCKET)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        self._folder.cleanup()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(reader, behind_writer, 0))
            both.create_task(_pass_on(behind_reader, writer, self._seconds))


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    with suppress(OSError):
        while content := await reader.read(65_536):
            await asyncio.sleep(seconds)
            writer.write(content)
            await writer.drain()
    writer.close()
