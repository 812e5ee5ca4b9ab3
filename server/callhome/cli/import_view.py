"""What ``callhome import`` says: what a file has, what of it is wrong, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from .text import printable, printable_lines

if TYPE_CHECKING:
    from ..imports.preparing import Prepared
    from ..imports.records import Converter
    from ..imports.rejects import Rejects
    from ..imports.wanted import Outcome

_SHOWN: Final = ("product", "version", "build", "os", "users", "event")


def tell(file: str, prepared: Prepared, rejects: Rejects, keys: Mapping[int, str]) -> None:
    """Say what the file has, by product (``keys`` are by their numbers), and on stderr what of it is wrong."""
    from ..store.imports import utc

    left_out = f", {prepared.left_out:,} left out" if prepared.left_out else ""
    click.echo(f"{printable(file)}: {prepared.rows:,} rows, {rejects.count:,} rejected{left_out}")
    for product, reach in sorted(prepared.reach.items(), key=lambda each: keys[each[0]]):
        span = f"{utc(reach.first_ms):%Y-%m-%d %H:%M:%S} to {utc(reach.last_ms):%Y-%m-%d %H:%M:%S} UTC"
        click.echo(f"  {keys[product]}: {reach.rows:,} rows, {span}")
    if rejects.count:
        for one in rejects.told:
            click.echo(f"  {printable_lines(str(one))}", err=True)
        more = rejects.count - len(rejects.told)
        said = f"and {more:,} more; " if more else ""
        click.echo(f"  {said}all rejected records are in {printable_lines(str(rejects.path))}", err=True)


def tell_first(converter: Converter, prepared: Prepared) -> None:
    """Show the first rows as they are understood, without what is private."""
    from ..imports.picking import BadRow
    from ..imports.records import LeftOut
    from ..store.imports import utc

    for record in prepared.first:
        try:
            read = converter.read(record)
        except (BadRow, LeftOut):
            continue
        ping = {name: getattr(read.ping, name) for name in _SHOWN}
        said = " ".join(
            f"{name}={printable(str(value))}" for name, value in ping.items() if value is not None
        )
        who = "an install" if read.ping.install else "no install id"
        click.echo(f"  such as {utc(read.at_ms):%Y-%m-%dT%H:%M:%S.%fZ} {said} country={read.country}, {who}")


def tell_outcome(outcome: Outcome, read_s: float) -> None:
    """Say what was imported, and how fast."""
    old = f", {outcome.old:,} of them straight into the summaries" if outcome.old else ""
    twice = f", {outcome.duplicates:,} were there before" if outcome.duplicates else ""
    refused = (
        f", {outcome.quarantined:,} are in quarantine: PostgreSQL refused them" if outcome.quarantined else ""
    )
    click.echo(f"Imported {outcome.rows:,} rows{old}{twice}{refused}")
    stored_s = read_s + outcome.stored_s
    click.echo(
        f"Read in {read_s:.1f} s, stored after {stored_s:.1f} s ({outcome.rows / stored_s:,.0f} rows a second)"
    )
    if outcome.counted_s is not None:
        counted_s = read_s + outcome.counted_s
        click.echo(f"Counted after {counted_s:.1f} s ({outcome.rows / counted_s:,.0f} rows a second)")


def records(count: int) -> str:
    """Return so many records, as the begin of a sentence."""
    return f"{count:,} record is" if count == 1 else f"{count:,} records are"
