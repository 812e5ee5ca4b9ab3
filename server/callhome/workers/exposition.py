"""Metrics over workers: each tells its own on a socket of the machine, and whichever is asked answers for all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Self

from .merge import merged
from .orders import Place

logger = logging.getLogger(__name__)

# Prometheus gives a scrape 10 s; a worker that needs one for this is not well.
ANSWER_S: Final = 1.0
# A merge may be this old, so that many who ask cost one.
KEPT_S: Final = 1.0
# Bound: so much for each worker. A thousand products take 0.1 MiB.
TEXT_BYTES: Final = 16 * 2**20
# The end of a whole text: one that a kill cut short is no text.
_END: Final = b"# EOF\n"


class Exposition:
    """The metrics of a server: its own alone, or where it has a ``place`` among workers, those of all.

    ``own`` returns its own text. An async context manager: entered, it tells the others.
    """

    def __init__(self, place: Place | None, own: Callable[[], bytes]) -> None:
        self._place = place
        self._own = own
        self._stack = AsyncExitStack()
        self._merge: asyncio.Task[bytes] | None = None
        self._kept_until_s = 0.0

    async def __aenter__(self) -> Self:
        """Begin to tell. Raises ``OSError``. Cancelling it begins nothing."""
        if self._place is not None:
            path = self._place.socket_of(self._place.number)
            await self._stack.enter_async_context(telling(path, self._own))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Tell no more. Cancelling it tells no more either."""
        merge = self._merge
        if merge is not None:
            merge.cancel()
        await self._stack.aclose()
        if merge is not None:
            await asyncio.wait([merge])

    async def text(self) -> bytes:
        """Return the text, no older than `KEPT_S`; within `ANSWER_S`, whoever doesn't answer.

        Cancelling it changes nothing: whoever else waits for the same text gets it.
        """
        if self._place is None:
            return self._own()
        merge = self._merge
        if merge is None or (merge.done() and time.monotonic() >= self._kept_until_s):
            merge = self._merge = asyncio.create_task(self._of_all(self._place), name="metrics of all")
        return await asyncio.shield(merge)

    async def _of_all(self, place: Place) -> bytes:
        """Ask the others, and merge. Cancelling it asks no more; a merge under way ends unheard."""
        others = [number for number in range(place.workers + 1) if number != place.number]
        told = dict(
            zip(others, await asyncio.gather(*(ask(place.socket_of(one)) for one in others)), strict=True)
        )
        supervisor = told.pop(0)
        # Beside the loop, which has pings to take meanwhile.
        text = await asyncio.to_thread(merged, {**told, place.number: self._own()}, supervisor)
        self._kept_until_s = time.monotonic() + KEPT_S
        return text


@asynccontextmanager
async def telling(path: Path, text: Callable[[], bytes]) -> AsyncIterator[None]:
    """Tell a text to whoever connects to a socket, while this is entered. Cancelling the leaving ends it too."""

    async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                writer.write(text() + _END)
                await writer.drain()
                writer.close()
        except (OSError, TimeoutError):  # who asked has gone
            writer.transport.abort()
        except Exception:  # task root: a scrape less is no reason to end
            logger.exception("the metrics can't be told")
            writer.transport.abort()

    _remove(path)  # that of one who was killed
    server = await asyncio.start_unix_server(tell, path)
    try:
        yield
    finally:
        server.close()
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def ask(path: Path) -> bytes | None:
    """Return what is told there; ``None`` where it isn't, or not whole, or not soon. Cancelling it asks no more."""
    told = bytearray()
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                while len(told) < TEXT_BYTES and (some := await reader.read(2**16)):
                    told += some
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return None
    return bytes(told).removesuffix(_END) if told.endswith(_END) else None
