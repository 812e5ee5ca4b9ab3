"""``callhome license``: licenses as they were sold, and how they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

import click

from ..errors import UsageError
from . import license_input
from .database import run
from .listing import as_json
from .options import config, database_url
from .progress import step

if TYPE_CHECKING:
    from ..store.connection import Connection
    from ..store.licenses import Listed

_Command = TypeVar("_Command", bound=Callable[..., Any])

# The options of `license add` that a license has a default for.
_TERMS: Final = (
    ("counts", "install|user", "What takes a seat: an install, or each of its users. [default: install]"),
    ("use", "named|concurrent", "For how long: the whole window, or the hours of activity. [default: named]"),
    ("window_days", "DAYS", "The counting window, the current day included. [default: 30]"),
    ("starts", "YYYY-MM-DD", "The first UTC day on which it is valid. [default: any]"),
    ("ends", "YYYY-MM-DD", "The last UTC day on which it is valid. [default: never]"),
    ("grace_days", "DAYS", "Days after its end on which it is still treated as valid. [default: 14]"),
    ("overage", "1|1.25|1.5|unlimited", "How far its seats may be exceeded. [default: 1]"),
)


def _terms(command: _Command) -> _Command:
    for name, metavar, words in reversed(_TERMS):
        command = click.option(f"--{name.replace('_', '-')}", name, metavar=metavar, help=words)(command)
    return command


_customer = click.option("--customer", metavar="TEXT", help="Only where the customer's name has this in it.")


@click.group()
def license() -> None:
    """Licenses as they were sold: add, import, list, revoke.

    Keys are stored as keyed hashes, with CALLHOME_SECRET: it must be that of the servers. Running servers know of a
    change within a moment.
    """


@license.command()
@click.argument("product")
@click.option("--customer", required=True, metavar="TEXT", help="Whom it was sold to.")
@click.option("--seats", required=True, metavar="NUMBER", help="How many seats were sold.")
@click.option(
    "--key",
    metavar="KEY",
    help="The license key; it stays in the shell's history. [default: is asked for, or read]",
)
@click.option("--generate", is_flag=True, help="Make a key, and print it: once, for it is stored nowhere.")
@_terms
@config
@database_url
def add(
    config: Path | None, database_url: str | None, key: str | None, generate: bool, **given: str | None
) -> None:
    """Register a license for PRODUCT, or change the one with this key.

    The key is asked for on a terminal, and else is the first line of the standard input. Adding a key again changes
    what is given and leaves the rest as it was; "" takes --starts or --ends away.

    \b
    Examples:
      callhome license add es --customer "Example Inc." --seats 50 --generate
      callhome license add es --customer "Example Inc." --seats 80 < key.txt
    """
    from ..licenses import fields, keys
    from ..store import licenses
    from .license_view import name, summary

    if generate and key is not None:
        raise UsageError("--key and --generate exclude each other: give one of them")
    values = {name: _value(name, text) for name, text in given.items() if text is not None}
    fields.check_span(values.get("starts"), values.get("ends"))
    hasher = license_input.hasher(config, database_url)
    text = keys.generate() if generate else license_input.key(key)
    hashed = hasher(text)
    sold = fields.Sold(hashed.hash, hashed.last4, **values)
    changes, listed = run(
        lambda connection: licenses.add(connection, sold, values.keys() & set(fields.OPTIONAL)),
        config,
        database_url,
    )
    how = "is registered" if changes.new else "was there; now" if changes.changed else "was there, just so"
    # A made key is all that a script wants to catch.
    click.echo(f"{name(listed)} {how}: {summary(listed)}", err=generate)
    if generate:
        click.echo(text)


@license.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--dry-run", is_flag=True, help="Do everything but keep it: see what would change, and what is wrong."
)
@config
@database_url
def import_(file: BinaryIO, dry_run: bool, config: Path | None, database_url: str | None) -> None:
    """Import the licenses in FILE (- is the standard input): all of them, or none.

    CSV in UTF-8, with commas or semicolons. Its first line names the columns: key, customer, product and seats, and
    where they are known counts, use, window_days, starts, ends, grace_days, overage and revoked_on. A license that is
    there is changed; columns that are not in the file stay as they were, and an empty cell takes the default.

    Each line that is wrong is told with its number, the column, what was given and what was expected; then nothing is
    imported, and the exit code is 2.
    """
    from ..licenses.badlines import BadLines
    from ..licenses.csvfile import LicenseFile, opened
    from ..store import licenses

    hasher = license_input.hasher(config, database_url)
    bad = BadLines()
    with closing(opened(file)) as text, step("Trying the import" if dry_run else "Importing licenses"):
        lines = LicenseFile(text, hasher, bad)
        changes = run(
            lambda connection: licenses.import_many(connection, lines, lines.given, bad, dry_run=dry_run),
            config,
            database_url,
        )
    counts = f"{changes.new} new, {changes.changed} changed, {changes.unchanged} as they were"
    click.echo(f"Nothing was imported. It would be {counts}" if dry_run else counts)


@license.command("list")
@click.argument("product", required=False)
@_customer
@click.option(
    "--ending-within", type=click.IntRange(0, 36_525), metavar="DAYS", help="Only those that end by then."
)
@as_json
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, for spreadsheets.")
@config
@database_url
def list_(
    product: str | None,
    customer: str | None,
    ending_within: int | None,
    as_json: bool,
    as_csv: bool,
    **where: Any,
) -> None:
    """List the licenses, of PRODUCT or of all, with the seats used, the most there ever were, and the verdict today.

    A table on a terminal; elsewhere a line each with tabs between: id, end of the key, customer, product, seats, seats
    used, most seats used, last valid day, verdict. --json and --csv have everything.
    """
    from ..licenses import fields
    from ..store.licenses import Filter
    from .license_view import show_list

    today = _today()
    until = None if ending_within is None else today + timedelta(days=ending_within)
    part = None if customer is None else fields.read("customer", customer)
    which = Filter(product, part, ends_from=None if until is None else today, ends_until=until)
    found = run(lambda connection: license_input.all_of(connection, which), *_place(where))
    show_list(found, today, "json" if as_json else "csv" if as_csv else "")


@license.command()
@click.argument("which", metavar="[ID|LAST4]", required=False)
@_customer
@click.option(
    "--key", metavar="KEY", help="The whole license key; - asks for it, or reads it from the standard input."
)
@click.option("--on", metavar="YYYY-MM-DD", help="The UTC day from which on it is revoked. [default: today]")
@click.option("--undo", is_flag=True, help="Let it be valid again.")
@config
@database_url
def revoke(
    which: str | None, customer: str | None, key: str | None, on: str | None, undo: bool, **where: Any
) -> None:
    """Revoke a license, named by its id or the last four characters of its key; a whole key goes to --key.

    From that day on, answers to its pings say `revoked`. It stays in the registry, and is still counted.

    \b
    Examples:
      callhome license revoke 17
      callhome license revoke WXYZ --customer "Example Inc."
    """
    from ..licenses import fields
    from ..store import licenses
    from .license_view import name, summary

    if undo and on is not None:
        raise UsageError("--on and --undo exclude each other: give one of them")
    day = None if undo else _today() if on is None else fields.read("revoked_on", on)
    wanted = license_input.wanted(
        which,
        customer,
        None if key is None else license_input.hasher(*_place(where))(license_input.key(key)).hash,
    )

    async def work(connection: Connection) -> Listed:
        return await licenses.revoke(
            connection, (await license_input.one(connection, wanted)).license.id, day
        )

    listed = run(work, *_place(where))
    click.echo(
        f"{name(listed)} {'is valid again' if day is None else f'is revoked from {day} on'}: {summary(listed)}"
    )


@license.command()
@click.argument("which", metavar="ID|LAST4")
@_customer
@click.option("--days", type=click.IntRange(1, 36_525), default=90, show_default=True, help="How far back.")
@as_json
@config
@database_url
def usage(which: str, customer: str | None, days: int, as_json: bool, **where: Any) -> None:
    """Show the usage of a license against its seats, a line for each UTC day.

    A table on a terminal; elsewhere lines with tabs between: day, seats used, seats sold, seats allowed (empty: any
    number), seats held, seats active.
    """
    from ..store import licenses
    from .license_view import show_usage

    wanted = license_input.wanted(which, customer, None)
    since = _today() - timedelta(days=days - 1)

    async def work(connection: Connection) -> tuple[Listed, list[licenses.UsageDay]]:
        listed = await license_input.one(connection, wanted)
        return listed, await licenses.usage(connection, listed.license.id, since)

    listed, found = run(work, *_place(where))
    show_usage(listed, found, as_json)


def _place(where: Mapping[str, Any]) -> tuple[Path | None, str | None]:
    return where["config"], where["database_url"]


def _today() -> date:
    return datetime.now(UTC).date()


def _value(name: str, text: str) -> Any:
    from ..licenses import fields

    return None if not text and name in ("starts", "ends") else fields.read(name, text)
