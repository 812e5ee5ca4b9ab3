"""Work that goes on over one connection for as long as the server runs: begun again whenever it is lost.

For `store`, `live` and `jobs`, which may not know one another.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

import asyncpg

from .errors import CallhomeError

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # generic in the stubs only
    Connection = asyncpg.Connection

logger = logging.getLogger(__name__)

# The last is what asyncpg raises where the server has said goodbye, but its end of the line is not noticed yet.
_LOST: Final = (
    *(CallhomeError, OSError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
# Jitter (AWS, "Exponential Backoff and Jitter"), so that replicas don't come back in step.
_BACKOFF_S: Final = (0.1, 5.0)


@contextmanager
def cut_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Cut the connection if the block takes longer: a frozen server answers neither a cancel nor a rollback."""
    timer = asyncio.get_running_loop().call_later(seconds, connection.terminate)
    try:
        yield
    finally:
        timer.cancel()


class Persistent:
    """Runs ``work(await connect())``, which goes on until it raises, on one connection after the other.

    ``purpose`` is what log and metrics call it. ``succeeded_s`` is the Unix time at which it went well last, 0 where it
    never did; ``interruptions`` counts how often it failed or lost its connection.

    An async context manager: entered, it works in a task of its own; left, it cuts the connection at once. ``work``
    calls `went_well` from time to time, so that an outage is logged once and the next one begins with a short pause.
    """

    def __init__(
        self,
        purpose: str,
        connect: Callable[[], Awaitable[Connection]],
        work: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self.purpose = purpose
        self.succeeded_s = 0.0
        self.interruptions = 0
        self._connect = connect
        self._work = work
        self._connection: Connection | None = None
        self._failures = 0
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it has its connection."""
        return self._connection is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it was left: what is lost now is lost on purpose."""
        return self._stopped

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        self._task = asyncio.create_task(self._run(), name=self.purpose)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, without a word to the database. Cancelling it stops all the same."""
        self._stopped = True
        self.cut()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def cut(self) -> None:
        """Cut the connection, if there is one: its work begins again on another."""
        if self._connection is not None:
            self._connection.terminate()

    def went_well(self) -> None:
        """Tell that the database answers: what fails from now on is a new outage."""
        if self._failures:
            logger.info("%s: the database answers again", self.purpose)
        self._failures = 0
        self.succeeded_s = time.time()

    async def _run(self) -> None:
        while True:
            try:
                await self._once()
            except _LOST as error:
                level = logging.DEBUG if self._failures or self._stopped else logging.WARNING
                logger.log(level, "%s: interrupted, trying again: %s", self.purpose, error)
            except Exception:  # task root: whatever it is, the next try begins with a new connection
                if not self._stopped:  # a connection that is cut raises what it likes
                    logger.exception("%s: interrupted, trying again", self.purpose)
            if self._stopped:  # cut under a transaction, whose rollback then hides the cancellation
                return
            self._failures += 1
            self.interruptions += 1
            shortest_s, longest_s = _BACKOFF_S
            await asyncio.sleep(
                random.uniform(shortest_s / 2, min(longest_s, shortest_s * 2.0 ** min(self._failures, 10)))
            )

    async def _once(self) -> None:
        self._connection = connection = await self._connect()
        try:
            await self._work(connection)
        finally:
            self._connection = None
            connection.terminate()
