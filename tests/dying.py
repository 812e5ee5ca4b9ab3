"""Runs a server that dies at a step of a ping's way to the disk: ``python dying.py STEP TIMES serve …``.

At the step, the ``TIMES``-th time that it is come to, the process sends itself SIGKILL. Where it dies is all that is
changed; what it does until then is what ``callhome`` does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Final

import asyncpg.connection

from callhome.cli import main
from callhome.spool.files import RealFiles
from callhome.spool.spool import Spool

# The way of a batch into the table.
TABLE_STEPS: Final = (
    "before the COPY",
    "COPY begun, no row sent",
    "rows sent, not committed",
    "committed, not answered",
)
# The way of rows that were stored before: a replay, or a client's retry.
REPLAY_STEPS: Final = ("replay written, COMMIT not sent",)
# The way of a batch into the spool, while the database is away.
SPOOL_STEPS: Final = (
    "segment made",
    "room reserved, not synced",
    "segment begun, not in its place",
    "in its place, the folder not synced",
    "folder synced, no record written",
    "half a record written",
    "record written, not synced",
    "record synced, not answered",
)
# The way of what is spooled into the table.
DRAIN_STEPS: Final = (
    "drained, not forgotten",
    "drained and forgotten",
    "drained, its segment not removed",
    "segment removed, not synced",
)
STEPS: Final = TABLE_STEPS + REPLAY_STEPS + SPOOL_STEPS + DRAIN_STEPS


class Death:
    """Comes at the ``times``-th call for ``step``."""

    def __init__(self, step: str, times: int) -> None:
        self._step = step
        self._left = times

    def at(self, step: str) -> None:
        """Die, if this is where and when."""
        if step == self._step:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def around_copy(death: Death) -> None:
    """Put steps into the COPY to the table ``ping``, and around it: what follows its rows is the COMMIT."""
    original: Any = asyncpg.connection.Connection.copy_to_table

    async def copy_to_table(self: Any, table: str, *, source: AsyncIterator[bytes], **named: Any) -> Any:
        if table != "ping":
            return await original(self, table, source=source, **named)

        async def rows() -> AsyncIterator[bytes]:
            death.at("COPY begun, no row sent")
            async for part in source:
                yield part
            death.at("rows sent, not committed")

        death.at("before the COPY")
        done = await original(self, table, source=rows(), **named)
        death.at("committed, not answered")
        return done

    setattr(asyncpg.connection.Connection, "copy_to_table", copy_to_table)  # noqa: B010 - mypy knows better otherwise


def around_execute(death: Death) -> None:
    """Put a step behind the last statement of a replay."""
    original: Any = asyncpg.connection.Connection.execute

    async def execute(self: Any, query: str, *words: Any, **named: Any) -> Any:
        done = await original(self, query, *words, **named)
        if query.startswith("INSERT INTO batch"):
            death.at("replay written, COMMIT not sent")
        return done

    setattr(asyncpg.connection.Connection, "execute", execute)  # noqa: B010


def around_settled(death: Death) -> None:
    """Put steps around the forgetting of what was drained."""
    original: Any = Spool.settled

    async def settled(self: Any, spooled: Any) -> None:
        death.at("drained, not forgotten")
        await original(self, spooled)
        death.at("drained and forgotten")

    setattr(Spool, "settled", settled)  # noqa: B010


class DyingFiles(RealFiles):
    """The real file operations, with steps between them. Records stand behind a segment's first one, of nothing."""

    death: ClassVar[Death]

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def create(self, path: Path) -> int:
        """See `Files`."""
        fd = super().create(path)
        self.death.at("segment made")
        return fd

    def allocate(self, fd: int, offset: int, size: int) -> None:
        """See `Files`."""
        super().allocate(fd, offset, size)
        self.death.at("room reserved, not synced")
        self._last = "allocate"

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """See `Files`."""
        half = len(data) // 2
        super().write(fd, data[:half], offset)
        self._last = "record" if offset else "opening"
        if offset:
            self.death.at("half a record written")
        super().write(fd, data[half:], offset + half)

    def sync(self, fd: int) -> None:
        """See `Files`."""
        if self._last == "record":
            self.death.at("record written, not synced")
        super().sync(fd)
        if self._last == "record":
            self.death.at("record synced, not answered")

    def rename(self, old: Path, new: Path) -> None:
        """See `Files`."""
        self.death.at("segment begun, not in its place")
        super().rename(old, new)
        self._last = "rename"

    def sync_folder(self, folder: Path) -> None:
        """See `Files`."""
        last = self._last
        self.death.at(
            {"rename": "in its place, the folder not synced", "remove": "segment removed, not synced"}.get(
                last, ""
            )
        )
        super().sync_folder(folder)
        if last == "rename":
            self.death.at("folder synced, no record written")

    def remove(self, path: Path) -> None:
        """See `Files`."""
        if is_segment(path):
            self.death.at("drained, its segment not removed")
        super().remove(path)
        self._last = "remove" if is_segment(path) else ""


def is_segment(path: Path) -> bool:
    """Whether a file holds spooled pings."""
    return path.suffix == ".seg"


def around_files(death: Death) -> None:
    """Have every spool use `DyingFiles`."""
    DyingFiles.death = death
    original: Any = Spool.__init__

    def init(self: Any, *words: Any, **named: Any) -> None:
        original(self, *words, **{"files": DyingFiles(), **named})

    setattr(Spool, "__init__", init)  # noqa: B010


if __name__ == "__main__":
    way = Death(sys.argv[1], int(sys.argv[2]))
    for arrange in (around_copy, around_execute, around_files, around_settled):
        arrange(way)
    sys.argv = ["callhome", *sys.argv[3:]]
    main()
