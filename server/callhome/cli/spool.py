"""``callhome spool``: what is kept on disk while the database is away, and what a server has left there."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..errors import CallhomeError
from .listing import as_json, show, show_json
from .options import config, database_url
from .progress import step

if TYPE_CHECKING:
    from ..spool.drain import Drained
    from ..spool.inspection import Inspected

# What is drained is never appended to.
_NO_LIMIT: Final = 2**63


@click.group()
def spool() -> None:
    """Pings that wait on disk: look at them, drain what was left.

    A server drains its own spool. These are for a folder that no server uses any more: a disk that was moved, a
    machine that is gone, fewer workers than before.
    """


@spool.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@as_json
def inspect(folder: Path, as_json: bool) -> None:
    """Show what is in the spool DIR, and in the folders of workers in it.

    It changes nothing, and a server may be using the folder. It ends with 1 where something is damaged.

    \b
    Example:
      callhome spool inspect /var/lib/callhome/spool
    """
    from ..spool import inspection
    from ..spool.files import RealFiles

    files = RealFiles()
    places = inspection.folders(files, folder)
    found = [one for place in places for one in inspection.inspect(files, place)]
    if as_json:
        show_json([_record(one) for one in found])
    else:
        now_s = time.time()
        heads = ("segment", "records", "pings", "bytes", "oldest", "state")
        rows = [_row(one, folder, now_s) for one in found]
        show(heads, rows, f"{folder} is empty")
    for place in places:
        if parts := inspection.kept(files, place):
            click.echo(f"{place / 'damaged'} keeps {parts} damaged parts of earlier segments", err=True)
    if any(one.damaged or one.problem for one in found):
        sys.exit(1)


@spool.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@config
@database_url
def drain(folder: Path, config: Path | None, database_url: str | None) -> None:
    """Store all pings of the spool DIR in the database, and empty it.

    Where DIR itself has none, those of the folders of workers in it. The database must be the one that they were taken
    in for. Pings that are stored already stay as they are: it may be stopped at any time, and run again.

    \b
    Example:
      callhome spool drain /mnt/old-server/spool
    """
    from ..settings import DatabaseSettings, load
    from ..spool import inspection
    from ..spool.files import RealFiles
    from ..store import products
    from .database import run

    files = RealFiles()
    places = [place for place in inspection.folders(files, folder) if inspection.has_segments(files, place)]
    if not places:
        click.echo(f"{folder} has no pings")
        return
    run(products.list_all, config, database_url)  # an error now rather than after a minute of trying
    dsn = load(DatabaseSettings, {"database_url": database_url}, config=config).database_url.dsn
    for place in [folder] if folder in places else places:
        with step(f"draining {place}"):
            asyncio.run(_drain(place, dsn))
    for place in places[1:] if folder in places else []:
        click.echo(f"{place} has pings, too: callhome spool drain {place}", err=True)


async def _drain(folder: Path, dsn: str) -> None:
    """Drain one folder. Cancelling it leaves the rest."""
    from ..spool.drain import Drained, drain
    from ..spool.spool import Spool
    from ..store.writer import BatchWriter

    drained, writer = Drained(), BatchWriter(dsn)
    async with Spool(folder, limit_bytes=_NO_LIMIT, disk_percent=100) as spool:
        try:
            await drain(spool, writer, drained)
        except CallhomeError as error:
            raise CallhomeError(
                f"{_said(folder, drained)}, {spool.pings} left: {error}; run it again to go on"
            ) from error
        finally:
            await writer.close()
        damaged, lost = spool.damaged + spool.torn, spool.lost_pings
        if spool.problem:
            raise CallhomeError(f"{_said(folder, drained)}, but it could not be emptied: {spool.problem}")
    kept = f", {damaged} damaged parts (see {folder / 'damaged'})" if damaged else ""
    gone = f", {lost} pings of them can't be read" if lost else ""
    click.echo(f"{_said(folder, drained)}{kept}{gone}; it is empty now")


def _said(folder: Path, drained: Drained) -> str:
    quarantined = f", {drained.quarantined} quarantined" if drained.quarantined else ""
    return f"{folder}: {drained.stored} pings stored, {drained.duplicates} were there already{quarantined}"


def _record(one: Inspected) -> dict[str, object]:
    return {
        "path": str(one.path),
        "bytes": one.size_bytes,
        "records": one.records,
        "pings": one.pings,
        "oldest_s": one.oldest_s,
        "damaged": one.damaged,
        "torn_bytes": one.torn_bytes,
        "sealed": one.is_sealed,
        "problem": one.problem or None,
    }


def _row(one: Inspected, folder: Path, now_s: float) -> list[str]:
    age = "" if one.oldest_s is None else f"{max(0.0, now_s - one.oldest_s):.0f} s"
    name = one.path.relative_to(folder)
    return [str(name), str(one.records), str(one.pings), str(one.size_bytes), age, _state(one)]


def _state(one: Inspected) -> str:
    if one.problem:
        return one.problem
    if one.damaged:
        return f"{one.damaged} records or parts damaged"
    if one.torn_bytes:
        return f"its last {one.torn_bytes} bytes are being written, or were cut short"
    return "complete" if one.is_sealed else "open"
