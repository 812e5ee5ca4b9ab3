"""Whether a file may be imported: not twice, and no row of it twice."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ..errors import UsageError
from ..store import imports
from ..store.connection import Connection
from ..store.imports import Overlap, Run, utc
from .preparing import Prepared


class AlreadyImported(UsageError):
    """The same file was imported before."""


def midnight_ms(day: date) -> int:
    """Return the begin of a UTC day as Unix time in milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


async def check(connection: Connection, prepared: Prepared, keep: date, *, overlapping: bool) -> Run | None:
    """Return the import to go on with, None for a new one. Cancelling it changes nothing.

    Raises `AlreadyImported`, and `UsageError` where rows might be counted twice.
    """
    run = await imports.known(connection, prepared.fingerprint)
    if run is not None:
        if run.finished_at is not None:
            raise AlreadyImported(
                f"this file was imported on {run.finished_at:%Y-%m-%d} as {run.name!r}, {run.rows:,} rows: "
                "nothing is left to do"
            )
        if run.rows != prepared.rows:
            raise UsageError(
                f"the import {run.name!r} was begun with {run.rows:,} rows, and now the file has {prepared.rows:,}: "
                "go on with the version of callhome, and the clock, that it was begun with"
            )
    if not overlapping:  # also on the way: what was kept when it was begun may be old by now
        await _check_overlaps(connection, prepared, midnight_ms(keep))
    return run


async def _check_overlaps(connection: Connection, prepared: Prepared, keep_ms: int) -> None:
    old = {
        product: (utc(reach.first_ms), utc(min(reach.last_ms, keep_ms)))
        for product, reach in prepared.reach.items()
        if reach.first_ms < keep_ms
    }
    if found := await imports.overlaps(connection, prepared.fingerprint, old):
        lines = map(_told, found)
        raise UsageError(
            "\n".join(
                (
                    f"the file has rows older than {utc(keep_ms):%Y-%m-%d}, of times that were imported before:",
                    *lines,
                    "Of rows that old only the sums are kept, so those in both files would count twice. Leave out what "
                    "is there with --from and --until (UTC), or say --overlapping if no row is in both.",
                )
            )
        )


def _told(one: Overlap) -> str:
    state = "imported" if one.finished_at else "not finished, begun"
    span = f"from {one.first_at:%Y-%m-%d %H:%M} to {one.last_at:%Y-%m-%d %H:%M}"
    return f"  {one.product} {span}: {one.name!r}, {state} on {one.finished_at or one.begun_at:%Y-%m-%d}"
