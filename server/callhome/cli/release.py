"""``callhome release``: which versions were released, and who is offered them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..releases.model import STABLE, Severity
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.releases import Listed


@click.group()
def release() -> None:
    """Released versions: add, list, withdraw; who is offered which.

    The answer to a ping tells an installed copy of the newest release that it may take. Running servers know of a
    change within a second.
    """


@release.command()
@click.argument("product")
@click.argument("version")
@click.option(
    "--channel", default=STABLE, show_default=True, help="Whom it is for; stable is for every channel."
)
@click.option("--day", metavar="YYYY-MM-DD", help="The UTC day from which on it is offered. [default: today]")
@click.option(
    "--severity",
    type=click.Choice([each.value for each in Severity]),
    help="How much it matters. [default: normal]",
)
@click.option("--url", help="Where to download it.")
@click.option("--notes-url", help="Where to read what changed.")
@click.option("--share", type=int, help="Percentage of installs it is offered to; 0 stops it. [default: 100]")
@click.option(
    "--oldest", metavar="VERSION", help="The oldest version it may be installed over. [default: any]"
)
@config
@database_url
def add(
    config: Path | None, database_url: str | None, day: str | None, severity: str | None, **given: Any
) -> None:
    """Register VERSION of PRODUCT, or change it.

    Adding it again changes what is given and leaves the rest as it was; "" takes --url, --notes-url or --oldest away.
    One that was withdrawn is offered again.

    \b
    Examples:
      callhome release add es 5.10 --share 10 --url https://example.com/es
      callhome release add es 5.10 --share 100
      callhome release add es 6.0 --severity security --oldest 5.0
    """
    from ..releases.checks import read_day
    from ..releases.version import is_readable
    from ..store import releases

    wanted = releases.Given(**given, severity=None if severity is None else Severity(severity))
    if day is not None:
        wanted = replace(wanted, day=read_day("day", day))
    releases.check(wanted)  # before a connection is made for nothing
    is_new, listed = run(lambda connection: releases.add(connection, wanted), config, database_url)
    click.echo(
        f"{wanted.product} {wanted.version} {'is registered' if is_new else 'was there; now'}: {_terms(listed)}"
    )
    if not is_readable(wanted.version):
        click.echo(
            f"Note: {wanted.version!r} is a version neither of PEP 440 nor of SemVer. It is compared as a text, "
            "and older than every version that is.",
            err=True,
        )


@release.command("list")
@click.argument("product", required=False)
@click.option("--all", "withdrawn", is_flag=True, help="Also those that were withdrawn.")
@as_json
@config
@database_url
def list_(
    product: str | None, withdrawn: bool, as_json: bool, config: Path | None, database_url: str | None
) -> None:
    """List the releases, of PRODUCT or of all, the newest first.

    A table on a terminal; elsewhere a line each with tabs between: product, version, channel, day, severity, share in
    percent, oldest version it may be installed over, day of its withdrawal, address, address of the notes.
    """
    from ..store import releases

    found = run(
        lambda connection: releases.list_all(connection, product, withdrawn=withdrawn), config, database_url
    )
    if as_json:
        show_json([_record(each) for each in found])
        return
    heads = (
        "product",
        "version",
        "channel",
        "day",
        "severity",
        "share",
        "over",
        "withdrawn",
        "address",
        "notes",
    )
    show(
        heads,
        [_row(each) for each in found],
        "No release is registered: callhome release add PRODUCT VERSION",
    )


@release.command()
@click.argument("product")
@click.argument("version")
@click.option("--channel", default=STABLE, show_default=True, help="The channel that it was released on.")
@config
@database_url
def withdraw(product: str, version: str, channel: str, config: Path | None, database_url: str | None) -> None:
    """Offer VERSION of PRODUCT to nobody any more.

    Copies that have it keep it; they hear of the newest of the others. `release add` offers it again.

    \b
    Example:
      callhome release withdraw es 5.10
    """
    from ..store import releases

    done = run(
        lambda connection: releases.withdraw(connection, product, version, channel), config, database_url
    )
    click.echo(f"{product} {version} on {channel} {'is withdrawn' if done else 'was withdrawn before'}")


def _terms(listed: Listed) -> str:
    one = listed.release
    over = "" if one.oldest is None else f", over {one.oldest} or newer"
    return f"channel {one.channel}, from {one.day} on, {one.share} % of installs, {one.severity}{over}"


def _row(listed: Listed) -> list[str]:
    one, gone = listed.release, listed.withdrawn_at
    return [
        listed.product,
        one.version,
        one.channel,
        one.day.isoformat(),
        one.severity.value,
        str(one.share),
        one.oldest or "",
        "" if gone is None else f"{gone:%Y-%m-%d}",
        one.url or "",
        one.notes_url or "",
    ]


def _record(listed: Listed) -> dict[str, object]:
    one, gone = listed.release, listed.withdrawn_at
    return {
        "product": listed.product,
        "version": one.version,
        "channel": one.channel,
        "day": one.day.isoformat(),
        "severity": one.severity.value,
        "share": one.share,
        "oldest": one.oldest,
        "url": one.url,
        "notes_url": one.notes_url,
        "withdrawn_at": None if gone is None else gone.isoformat(),
    }
