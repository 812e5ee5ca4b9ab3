"""How busy the event loop is: a timer is late by what else the loop has to do."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Self

from .metrics import Histogram

# Twice a second costs nothing, and shows what holds up the loop for longer than that in one place at least.
LOOK_S: Final = 0.5


class LoopLag:
    """An async context manager: entered, it adds to ``lags``, in seconds, how late its timer is."""

    def __init__(self, lags: Histogram) -> None:
        self._lags = lags
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        self._wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop. There is nothing to cancel."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._due_s = time.monotonic() + LOOK_S
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._lags.observe(max(0.0, time.monotonic() - self._due_s))
        self._wait()
