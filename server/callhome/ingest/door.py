"""Where connections come in: a listener that can be shut for a moment, while the kernel holds those who knock.

Event loops know no pause: a listener that is closed refuses everyone. So the listening sockets are kept here, and the
loop listens on copies of them; a copy can be closed and made again, and the kernel goes on queueing meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable
from math import inf
from typing import Final

from .config import IngestConfig

# For so long it is shut at a time: who is let in after it waits no longer than over a slow line.
SHUT_S: Final = 0.1
# The asyncio loop accepts as many in a row as its backlog; the kernel's own is set behind its back. uvloop accepts one.
_ACCEPT_AT_ONCE: Final = 64
# Once a minute: a storm must not fill the disk.
_LOG_EVERY_S: Final = 60.0

_log: Final = logging.getLogger(__name__)


class Door:
    """The listening sockets of a server, and the loop's listeners on them.

    ``turned_away_s``: connections a second that are let in though there is no room, to be told so. What comes beyond
    them waits in the kernel's backlog, and beyond that is dropped there, which costs this process nothing.
    """

    def __init__(self, make: Callable[[], asyncio.BaseProtocol], config: IngestConfig) -> None:
        self._make = make
        self._config = config
        self._most = max(1, int(config.turned_away_s * SHUT_S))
        self._turned_away = 0
        self._kept: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._worn: list[asyncio.Server] = []  # they listen no more, and are to be closed
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_closed = False
        self._logged_s = -inf
        self.port = config.port

    async def open(self) -> None:
        """Bind and listen; raise ``OSError`` where that can't be. Cancelling it leaves nothing behind."""
        config = self._config
        first = await asyncio.get_running_loop().create_server(
            self._make,
            config.host or None,
            config.port,
            backlog=_ACCEPT_AT_ONCE,
            reuse_port=config.reuse_port or None,
        )
        self._listeners = [first]
        self._kept = [socket.socket(fileno=os.dup(each.fileno())) for each in first.sockets]
        for each in self._kept:  # connections have it of the listener
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, config.receive_bytes)
        self._queue()
        self.port = int(self._kept[0].getsockname()[1])
        self._timer = asyncio.get_running_loop().call_later(SHUT_S, self._go_on)

    def turn_away(self) -> None:
        """Take note of a connection that is told that there is no room; shut the door after too many of them."""
        self._turned_away += 1
        if self._turned_away >= self._most and self._listeners:
            self._shut()
            now_s = asyncio.get_running_loop().time()
            if now_s - self._logged_s >= _LOG_EVERY_S:
                self._logged_s = now_s
                _log.warning(
                    "All %d connections are taken, and more come than can be told so: they wait in the kernel's "
                    "backlog.",
                    self._config.connections,
                )

    def close(self) -> None:
        """Listen no more. Idempotent."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._opening is not None:
            self._opening.cancel()
        self._close_listeners()
        for each in self._kept:
            each.close()
        self._kept = []

    def _shut(self) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.SelectorEventLoop):
            # What it has accepted already, its transports to be made in the next turns, needs the listener.
            for each in self._listeners:
                for sock in each.sockets:
                    loop.remove_reader(sock)
            self._worn += self._listeners
            self._listeners = []
        else:
            self._close_listeners()

    def _go_on(self) -> None:
        """Begin another while; open again if it is shut."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SHUT_S, self._go_on)
        self._turned_away = 0
        _close(self._worn)
        self._worn = []
        if not self._listeners and (self._opening is None or self._opening.done()):
            self._opening = loop.create_task(self._open_again(), name="opening the door")

    async def _open_again(self) -> None:
        loop = asyncio.get_running_loop()
        opened: list[asyncio.Server] = []
        try:
            for each in self._kept:
                # With start_serving, a cancellation would lose a listener that has begun.
                listener = await loop.create_server(
                    self._make, sock=each.dup(), backlog=_ACCEPT_AT_ONCE, start_serving=False
                )
                opened.append(listener)
                await listener.start_serving()
            self._queue()
        except OSError:  # no file descriptor is free; there may be one in a moment
            _log.warning("The listener could not be opened again yet.", exc_info=True)
        finally:
            self._listeners = opened
            if self._is_closed or len(opened) < len(self._kept):
                self._close_listeners()

    def _queue(self) -> None:
        """Have the kernel queue as many as it is to."""
        for each in self._kept:
            each.listen(self._config.backlog)

    def _close_listeners(self) -> None:
        _close(self._listeners + self._worn)
        self._listeners, self._worn = [], []


def _close(listeners: Iterable[asyncio.Server]) -> None:
    for each in listeners:
        each.close()
