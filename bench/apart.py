"""Loads in processes of their own: they get ready, are told when to begin, and hand back what they found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Protocol, TypeVar

from callhome.errors import CallhomeError

# From the word to begin until all have heard it and are awake.
_BEGIN_S: Final = 0.1
# Connections and requests that are made before; and beyond the duration of a load, the answers that are waited for.
_READY_S: Final = 60.0
_STOP_S: Final = 5.0

_Found = TypeVar("_Found", covariant=True)
_Result = TypeVar("_Result")
_Order = TypeVar("_Order")


class Load(Protocol[_Found]):
    """A load; each method raises `CallhomeError` where it can't be made."""

    def prepare(self) -> None:
        """Connect, and make what is sent."""

    def run(self, begins_s: float) -> _Found:
        """Send from then (monotonic) on; return what became of it."""

    def close(self) -> None:
        """Cut all connections."""


class Loads:
    """Loads that are ready, each in its process."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def begin(self) -> float:
        """Begin; return when that is (monotonic)."""
        begins_s = time.monotonic() + _BEGIN_S
        for pipe in self._pipes:
            pipe.send(begins_s)
        return begins_s

    async def found(self, within_s: float) -> list[object]:
        """What each has found, once they are through; raises `CallhomeError`. Cancelling it is harmless."""
        return [await _told(pipe, within_s) for pipe in self._pipes]


@asynccontextmanager
async def ready(load: Callable[[_Order], Load[object]], orders: Sequence[_Order]) -> AsyncIterator[Loads]:
    """A process for each order, on the cores of this one, ready to begin. Raises `CallhomeError`.

    ``load`` is a class, and an order something, that another process can import. Cancelling it ends them.
    """
    context, pipes, processes = get_context("spawn"), list[Connection](), []
    try:
        for order in orders:
            ours, theirs = context.Pipe()
            process = context.Process(target=_carry_out, args=(theirs, load, order), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            await _told(pipe, _READY_S)
        yield Loads(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.terminate()
            process.join(_STOP_S)


async def _told(pipe: Connection, within_s: float) -> object:
    """What the other side says; raises what it says that is an error, and `CallhomeError` where it is gone."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), heard.set)
    try:
        async with asyncio.timeout(within_s):
            await heard.wait()
        told = pipe.recv()
    except TimeoutError:
        raise CallhomeError(f"a process that makes the load said nothing for {within_s:g} s") from None
    except (EOFError, OSError):
        raise CallhomeError("a process that makes the load has ended before its time") from None
    finally:
        loop.remove_reader(pipe.fileno())
    if isinstance(told, CallhomeError):
        raise told
    return told


def _carry_out(pipe: Connection, load: Callable[[_Order], Load[object]], order: _Order) -> None:
    """Carry out an order, in the other process."""
    try:
        made = load(order)
        try:
            made.prepare()
            pipe.send(None)
            pipe.send(made.run(pipe.recv()))
        finally:
            made.close()
    except CallhomeError as error:
        pipe.send(error)
    except EOFError:
        pass  # the bench is over before it began
