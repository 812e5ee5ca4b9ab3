"""Parts from viewers whose session or token has ended: a websocket outlives the request that opened it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Self

from ..access.gate import Gate
from .live import LiveRoutes

logger = logging.getLogger(__name__)

# A viewer whose session was ended is gone after so long and an answer of the database; a thousand viewers are five
# queries. It also tells the database that their sessions are in use.
RECHECK_S: Final = 10.0


class Recheck:
    """An async context manager: while entered, it asks every `RECHECK_S` for all viewers who are signed in."""

    def __init__(self, gate: Gate, live: LiveRoutes) -> None:
        self._gate = gate
        self._live = live
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        self._task = asyncio.create_task(self._run(), name="recheck")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once. Cancelling it stops all the same."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                if shown := self._live.shown():
                    self._live.part_from(await self._gate.ended(shown))
            except Exception:  # task root: viewers are asked for again
                logger.exception("viewers could not be checked")
