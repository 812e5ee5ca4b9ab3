"""How far an import is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Elsewhere than on a terminal: often enough to see that it goes on, seldom enough for a log.
_LINE_S: Final = 10.0
_DOING: Final = {"reading": "Reading", "storing": "Storing", "counting": "Counting"}
_UNITS: Final = {"reading": "bytes", "storing": "rows", "counting": "rows left"}


class Lines:
    """Tells it as lines on stderr."""

    def __init__(self) -> None:
        self._stage = ""
        self._told_s = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total``; 0 ``total``: nobody knows how many."""
        now_s = time.monotonic()
        if stage == self._stage and now_s < self._told_s + _LINE_S:
            return
        self._stage, self._told_s = stage, now_s
        of = f" of {total:,} ({done * 100 // total} %)" if total else ""
        click.echo(f"{_DOING[stage]}: {done:,}{of} {_UNITS[stage]}", err=True)


class Bars:
    """Tells it as a bar for each stage, with the time that is left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """As `Lines`."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(
                f"{_DOING[stage]} ({_UNITS[stage]})", total=total or None
            )
        self._progress.update(self._tasks[stage], completed=done, total=total or None)


@contextmanager
def shown() -> Iterator[Lines | Bars]:
    """What shows the progress, as long as this lasts."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bars(progress)
