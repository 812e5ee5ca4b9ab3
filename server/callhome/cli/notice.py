"""``callhome notice``: messages to installed copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..releases.model import Level
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.notices import Listed


@click.group()
def notice() -> None:
    """Messages to installed copies: add, list, withdraw.

    They are sent with the answers to pings; showing them is up to the product. Running servers know of a change
    within a second.
    """


@notice.command()
@click.option("--text", required=True, help="What it says: one line, at most 500 characters.")
@click.option(
    "--level",
    type=click.Choice([each.value for each in Level]),
    default=Level.INFO.value,
    show_default=True,
    help="How urgent it is.",
)
@click.option("--url", help="Where to read more.")
@click.option("--product", metavar="KEY", help="The product it is for. [default: every product]")
@click.option("--from-version", metavar="VERSION", help="The oldest version it is for. [default: any]")
@click.option("--to-version", metavar="VERSION", help="The newest version it is for. [default: any]")
@click.option("--starts", metavar="WHEN", help="From when on it is told. [default: now]")
@click.option(
    "--ends", metavar="WHEN", help="Until when it is told; a day is told to its end. [default: for ever]"
)
@config
@database_url
def add(
    config: Path | None,
    database_url: str | None,
    level: str,
    starts: str | None,
    ends: str | None,
    **given: Any,
) -> None:
    """Register a notice.

    WHEN is a day such as 2026-12-24 or a moment such as 2026-12-24T18:00+01:00, in UTC if it names no zone.
    A copy is told ten notices at most, the most urgent first.

    \b
    Example:
      callhome notice add --text "No service on Sunday" --ends 2026-12-24
    """
    from ..releases.checks import read_moment
    from ..store import notices

    wanted = notices.Given(**given, level=Level(level))
    with _told_by_option({**given, "starts": starts, "ends": ends}):
        if starts is not None:
            wanted = replace(wanted, starts_at=read_moment("starts", starts))
        if ends is not None:
            wanted = replace(wanted, ends_at=read_moment("ends", ends, is_end=True))
        notices.check(wanted, datetime.now(UTC))  # before a connection is made for nothing
        listed = run(lambda connection: notices.add(connection, wanted), config, database_url)
    click.echo(
        f"notice {listed.notice.id} is registered: {listed.notice.level}, to {listed.product or 'every product'}, "
        f"versions {_versions(listed)}, from {_minute(listed.notice.starts_at)}"
        + (f" to {_minute(listed.notice.ends_at)} UTC" if listed.notice.ends_at else " UTC on")
    )


@notice.command("list")
@click.option("--all", "over", is_flag=True, help="Also those that ended or were withdrawn.")
@as_json
@config
@database_url
def list_(over: bool, as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the notices.

    A table on a terminal; elsewhere a line each with tabs between: number, product (empty for every product),
    versions, level, begin and end (UTC), day of its withdrawal, text, address.
    """
    from ..store import notices

    found = run(lambda connection: notices.list_all(connection, over=over), config, database_url)
    if as_json:
        show_json([_record(each) for each in found])
        return
    heads = ("id", "product", "versions", "level", "from", "until", "withdrawn", "text", "address")
    show(heads, [_row(each) for each in found], "No notice is told: callhome notice add --text TEXT")


@notice.command()
@click.argument("id", type=int)
@config
@database_url
def withdraw(id: int, config: Path | None, database_url: str | None) -> None:
    """Tell the notice with the number ID to nobody any more.

    \b
    Example:
      callhome notice withdraw 3
    """
    from ..store import notices

    done = run(lambda connection: notices.withdraw(connection, id), config, database_url)
    click.echo(f"notice {id} {'is withdrawn' if done else 'was withdrawn before'}")


@contextmanager
def _told_by_option(typed: Mapping[str, str | None]) -> Iterator[None]:
    """Raise what is wrong with a field as an error that has the option's name, and its value as it was ``typed``."""
    from ..releases.checks import InvalidField

    try:
        yield
    except InvalidField as error:
        name = error.field.removesuffix("_at")
        option, value = f"--{name.replace('_', '-')}", typed[name]
        if value is None:
            raise UsageError(f"{option} is missing: expected {error.expected}") from None
        raise InvalidField(option, value, error.expected) from None


def _versions(listed: Listed) -> str:
    first, last = listed.notice.from_version, listed.notice.to_version
    if first is None and last is None:
        return "any"
    return f"{'…' if first is None else first} to {'…' if last is None else last}"


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _row(listed: Listed) -> list[str]:
    one = listed.notice
    return [
        str(one.id),
        listed.product or "",
        _versions(listed),
        one.level.value,
        _minute(one.starts_at),
        _minute(one.ends_at),
        "" if listed.withdrawn_at is None else f"{listed.withdrawn_at:%Y-%m-%d}",
        one.text,
        one.url or "",
    ]


def _record(listed: Listed) -> dict[str, object]:
    one, gone = listed.notice, listed.withdrawn_at
    return {
        "id": one.id,
        "product": listed.product,
        "text": one.text,
        "level": one.level.value,
        "url": one.url,
        "from_version": one.from_version,
        "to_version": one.to_version,
        "starts_at": one.starts_at.isoformat(),
        "ends_at": None if one.ends_at is None else one.ends_at.isoformat(),
        "withdrawn_at": None if gone is None else gone.isoformat(),
    }
