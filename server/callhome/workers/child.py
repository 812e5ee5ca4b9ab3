"""One worker as a process, from its start to its end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from .orders import Order, command

logger = logging.getLogger(__name__)

# Beyond what stopping may take by the settings, for the interpreter's own end, on a machine that is busy.
GRACE_S: Final = 5.0


@dataclass(slots=True)
class Life:
    """How a worker lived: ``end`` in words, and the error that it told before, with its exit code."""

    end: str = "could not be started"
    was_ready: bool = False
    ran_s: float = 0.0
    error: str | None = None
    exit_code: int = 1


async def live(order: Order, stop: asyncio.Event, stop_s: float, on_ready: Callable[[], None]) -> Life:
    """Start a worker and return when it has ended, of itself or because ``stop`` is set: then it stops in order.

    It has ``stop_s`` and `GRACE_S` for that, then it is killed. Cancelling this leaves it to stop by itself.
    """
    life = Life()
    began_s = time.monotonic()
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            # A session of its own: Ctrl-C is for the supervisor, who tells all.
            process = await asyncio.create_subprocess_exec(
                *command("callhome.cli.worker", str(order.place.number)),
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
    except OSError as error:
        ours.close()
        life.end = f"could not be started: {error.strerror or error}"
        return life
    hearing = asyncio.create_task(_hear(reader, life, on_ready))
    try:
        writer.write(order.line())
        status = await _ended(process, stop, stop_s)
        life.end, life.ran_s = _in_words(process, status), time.monotonic() - began_s
        await hearing  # all that it said is there, and its end is closed
    finally:
        hearing.cancel()
        writer.transport.abort()
    return life


async def _hear(reader: asyncio.StreamReader, life: Life, on_ready: Callable[[], None]) -> None:
    with suppress(OSError, ValueError):  # cut in the midst of a line: its end says all
        while line := await reader.readline():
            said = json.loads(line)
            if "error" in said:
                life.error, life.exit_code = said["error"], said["exit_code"]
            elif not life.was_ready:
                life.was_ready = True
                on_ready()


async def _ended(process: Process, stop: asyncio.Event, stop_s: float) -> int:
    """Wait for the end of a process; once it is to stop, bring that about."""
    ending = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            _send(process, signal.SIGTERM)
            await asyncio.wait((ending,), timeout=stop_s + GRACE_S)
        if not ending.done():
            logger.warning("process %d did not stop within %g s: killed", process.pid, stop_s + GRACE_S)
            _send(process, signal.SIGKILL)
        return await ending
    finally:
        stopping.cancel()
        ending.cancel()


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it was quicker
        process.send_signal(number)


def _in_words(process: Process, status: int) -> str:
    if status >= 0:
        return f"(process {process.pid}) ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time one
        name = f"signal {-status}"
    return f"(process {process.pid}) was killed by {name}"
