"""`callhome.looplag`: how late a timer is."""

from __future__ import annotations

import asyncio
import time

import pytest

from callhome import looplag
from callhome.looplag import LoopLag
from callhome.metrics import Histogram


async def test_what_holds_the_loop_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that takes a fifth of a second makes the timer late by about that; before, it was there in time."""
    monkeypatch.setattr(looplag, "LOOK_S", 0.01)
    lags = Histogram((0.1, 60.0))
    async with LoopLag(lags):
        while not sum(lags.counts):
            await asyncio.sleep(0.01)
        early = lags.counts[1]
        time.sleep(0.2)  # noqa: ASYNC251 - that is the fault
        while lags.counts[1] == early:
            await asyncio.sleep(0.01)
    assert lags.sum >= 0.15


async def test_left_it_looks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its end no timer is left that would add to the histogram."""
    monkeypatch.setattr(looplag, "LOOK_S", 0.01)
    lags = Histogram((60.0,))
    async with LoopLag(lags):
        pass
    await asyncio.sleep(0.05)
    assert sum(lags.counts) == 0
