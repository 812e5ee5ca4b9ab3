"""A line to PostgreSQL that can be cut, at any time or at a COMMIT, and that can swallow what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from callhome.settings import Listen

# Behind CopyDone the server commits: what is sent with a COPY is one transaction. The slow path says COMMIT itself.
COMMITS: Final = (b"c\x00\x00\x00\x04", b"COMMIT;\x00")
# The startup message tells who it is.
_WRITER: Final = b"callhome writer\x00"
_READ_BYTES: Final = 2**16

Moment = Literal["before", "after"]


@dataclass(eq=False)
class _Line:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_writer: bool = False
    is_doomed: bool = False
    is_stranded: bool = False

    def cut(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()


@dataclass
class CutLine:
    """Forwards a free port of this machine to ``target``; an async context manager.

    ``cuts`` counts the lines of writers that were cut at a COMMIT. While it is a `hole`, nothing that is said on a line
    arrives, and new lines are taken as if all was well. While the database is `away`, new lines are cut at once.
    """

    target: Listen
    cuts: int = 0
    closed: bool = False
    _moment: Moment | None = None
    _flows: asyncio.Event = field(default_factory=asyncio.Event)
    _lines: set[_Line] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._flows.set()
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.closed = True
        self._flows.set()
        self.cut()
        # Not cancelled: one that is just connecting would leave its socket open.
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # in which the last one's transport is closed

    def cut(self) -> None:
        """Cut all lines, now."""
        for line in self._lines:
            line.cut()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While this is entered no line can be made, and there is none."""
        self.closed = True
        self.cut()
        try:
            yield
        finally:
            self.closed = False

    def strand(self) -> None:
        """Swallow from now on what is said on the lines that there are, as if the database had moved elsewhere."""
        for line in self._lines:
            line.is_stranded = True

    def cut_at_commit(self, moment: Moment) -> None:
        """Cut the next line of a writer whose COMMIT passes: before the server has it, or before its answer is back."""
        self._moment = moment

    @contextmanager
    def hole(self) -> Iterator[None]:
        """While this is entered everything is swallowed; what was held then flows on."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def _take(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError):
                if not self.closed:
                    await self._flows.wait()
                    await self._forward(reader, near)
        finally:
            near.transport.abort()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection(self.target.host, self.target.port)
        line = _Line(near, far)
        if self.closed:
            line.cut()
            return
        self._lines.add(line)
        ways = [
            asyncio.ensure_future(self._pass(line, reader, far, is_up=True)),
            asyncio.ensure_future(self._pass(line, far_reader, near, is_up=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lines.discard(line)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            line.cut()

    async def _pass(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_READ_BYTES):
                await self._flows.wait()
                if line.is_stranded:
                    continue
                if not self._may_pass(line, data, is_up=is_up):
                    return
                writer.write(data)
                await writer.drain()

    def _may_pass(self, line: _Line, data: bytes, *, is_up: bool) -> bool:
        if line.is_doomed:  # the server has its COMMIT; this is the answer
            return False
        if is_up:
            line.is_writer = line.is_writer or _WRITER in data
            if self._moment and line.is_writer and any(mark in data for mark in COMMITS):
                moment, self._moment = self._moment, None
                self.cuts += 1
                line.is_doomed = True
                return moment == "after"
        return True
