"""One worker of ``callhome serve --workers N``: started by the supervisor alone, which is at its stdin."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
from contextlib import suppress
from typing import Final

from ..errors import CallhomeError
from ..settings import TABLE, Settings, SettingsError, check
from ..settings.sources import Collected, Given
from ..workers.orders import READY, Order, Place, last_words
from .serve import run_main

_STDIN: Final = 0

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve as the supervisor orders; the process ends with this."""
    with socket.socket(fileno=os.dup(_STDIN)) as channel, channel.makefile("rb") as lines:
        line = lines.readline()
    if not line.endswith(b"\n"):  # it was killed just now
        return
    order = Order.read(line)
    try:
        settings = _settings(order)
        run_main(_serve(order.place, settings), settings.loop, who=f"worker {order.place.number}")
    except CallhomeError as error:
        with suppress(OSError):
            os.write(_STDIN, last_words(str(error), error.exit_code))
        raise SystemExit(error.exit_code) from None


def _settings(order: Order) -> Settings:
    where = f"worker {order.place.number}"
    given = {name: Given(name, TABLE[name].variable, value, where) for name, value in order.given.items()}
    settings, problems = check(Settings, Collected(given))
    if settings is None:  # a file that the supervisor saw has gone
        raise SettingsError(problems)
    return settings


async def _serve(place: Place, settings: Settings) -> None:
    """Serve until a signal, or until the supervisor is gone. Cancelling it stops in order."""
    from .. import app

    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=os.dup(_STDIN)))
    following = asyncio.create_task(_end_with_supervisor(reader, place))
    try:
        await app.serve(settings, on_ready=lambda _: writer.write(READY), place=place)
    finally:
        following.cancel()


async def _end_with_supervisor(reader: asyncio.StreamReader, place: Place) -> None:
    """Once the supervisor is gone, end as on SIGTERM, wherever the start or the stop is."""
    with suppress(OSError):
        await reader.read()
    logger.warning("the supervisor is gone: stopping")
    # Nobody else will.
    shutil.rmtree(place.folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
