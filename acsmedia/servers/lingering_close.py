"""Closing of a connection whose client is still sending.

The kernel resets a connection that is closed with unread bytes, and a client may lose our close
frame in a reset. So the rest of its message is read, for a limited time, and discarded.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress

LINGER_SECONDS = 5.0
READ_BYTES = 64 * 1024


def discard_rest(transport: asyncio.BaseTransport) -> None:
    """Call it when `transport` has sent its last byte and is about to close its socket: the
    connection stays open until the client ends it, or for `LINGER_SECONDS`.
    """
    with suppress(OSError):  # the client has reset the connection
        connection = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        try:
            connection.setblocking(False)  # noqa: FBT003 - no keyword in the socket module
            connection.shutdown(socket.SHUT_WR)  # the client sees the end after our close frame
        except BaseException:
            connection.close()
            raise
        _Discarding(connection)


class _Discarding:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)
        self._timer = self._loop.call_later(LINGER_SECONDS, self._end)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            try:
                is_over = not self._connection.recv(READ_BYTES)
            except ConnectionError:
                is_over = True
            if is_over:
                self._end()

    def _end(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._connection)
        self._connection.close()
