"""Spools that nobody writes to any more: of workers that there were when there were more of them, or before there were.

Each is drained by ``callhome spool drain`` in a process of its own, beside the server, however long that takes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from ..settings import Settings
from .orders import command

logger = logging.getLogger(__name__)

# While the database is away, or another process drains the same: the first pause, doubled up to the longest.
_PAUSE_S: Final = (1.0, 60.0)
# What a drain says at its end is a few lines.
_SAID_CHARACTERS: Final = 2_000


def left(folder: Path, workers: int) -> Iterator[Path]:
    """Yield the folders below a spool's that hold pings, and that ``workers`` workers don't use; 1: one server."""
    used = {f"worker-{number}" for number in range(1, workers + 1)} if workers > 1 else set()
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if re.fullmatch(r"worker-\d+", path.name) and path.name not in used and _has_segments(path):
                yield path
    if workers > 1 and _has_segments(folder):
        yield folder


def _has_segments(folder: Path) -> bool:
    try:
        return any(path.suffix == ".seg" for path in folder.iterdir())
    except OSError:
        return False


class Leftovers:
    """Drains what is left below the spool of these settings, one after the other, once it is told to `begin`.

    ``config`` is the settings file that the command line named. An async context manager; left, it stops.
    """

    def __init__(self, settings: Settings, config: Path | None = None) -> None:
        self._folder = settings.spool_dir
        self._workers = settings.workers
        self._environment = os.environ | {"CALLHOME_DATABASE_URL": settings.database_url.dsn}
        if config is not None:
            self._environment["CALLHOME_CONFIG"] = str(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Do nothing yet; neither does cancelling it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; what is not drained stays where it is. Cancelling it stops all the same."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def begin(self) -> None:
        """Drain in a task of its own."""
        self._task = asyncio.create_task(self._drain_all(), name="leftovers")

    async def _drain_all(self) -> None:
        if self._folder is None:
            return
        try:
            await self._drain([*left(self._folder, self._workers)])
        except Exception:  # task root: the server goes on; the next start tries again
            logger.exception("left spools are not drained")

    async def _drain(self, folders: list[Path]) -> None:
        """Try each in turn until all are drained: one that can't be stops no other. Cancelling ends the try."""
        pause_s, longest_s = _PAUSE_S
        for folder in folders:
            logger.info("draining the spool %s, which no server uses any more", folder)
        while folders := [folder for folder in folders if not await self._tried(folder)]:
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    async def _tried(self, folder: Path) -> bool:
        process = await asyncio.create_subprocess_exec(
            *command("callhome.cli", "spool", "drain", str(folder)),
            env=self._environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            said, wrong = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        # One line of the log, of what it said at its end: its result, or what stopped it behind how it went on.
        told = (wrong or said) if process.returncode else said
        lines = (line.strip() for line in told.decode(errors="replace").splitlines())
        text = " ".join(line for line in lines if line and not line.startswith(f"draining {folder} ..."))
        text = text[-_SAID_CHARACTERS:]
        level = logging.WARNING if process.returncode else logging.INFO
        logger.log(level, "draining %s: %s", folder, text or f"status {process.returncode}")
        return process.returncode == 0
