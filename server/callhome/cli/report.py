"""``callhome report``: summary mails, who gets which and when; a preview, and what became of those that were sent."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import UsageError
from . import report_view
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url
from .report_options import CRON, changing_options, content_options

if TYPE_CHECKING:
    from ..reports.subscription import Draft
    from ..store.report_history import PastDelivery, PastRun

# What a person reads in a terminal; --limit has more.
_LIMIT: Final = 50
_STATES: Final = ("waiting", "claimed", "sending", "sent", "failed", "uncertain")


@click.group()
def report() -> None:
    """Summary mails: who gets which, when; preview and history.

    They are sent by the running servers, through the mail server that CALLHOME_SMTP_URL names.
    """


@report.command()
@click.argument("name")
@click.option(
    "--to",
    "recipients",
    multiple=True,
    metavar="ADDRESS",
    required=True,
    help="Who gets it; repeat it for more.",
)
@content_options
@config
@database_url
def add(config: Path | None, database_url: str | None, **given: Any) -> None:
    """Send the report NAME regularly. Each covers the UTC days since the one before.

    \b
    Examples:
      callhome report add "Example Server weekly" --to sales@example.com --product es
      callhome report add board --to chef@example.com --language fr --cron "0 8 1 * *"
    """
    from ..reports.subscription import Draft, checked
    from ..store import reports

    usual = {"language": "en", "schedule": CRON, "time_zone": "UTC", "days": 0}
    draft = checked(Draft(**{**given, **{name: given[name] or value for name, value in usual.items()}}))
    made = run(lambda connection: reports.add(connection, draft), config, database_url)
    click.echo(f"{made.name!r} is due for the first time on {report_view.when(made.next_due)}")


@report.command()
@click.argument("name")
@click.option("--to", "recipients", multiple=True, metavar="ADDRESS", help="Who gets it too.")
@click.option("--not-to", "dropped", multiple=True, metavar="ADDRESS", help="Who gets it no more.")
@changing_options
@config
@database_url
def change(
    name: str, dropped: tuple[str, ...], config: Path | None, database_url: str | None, **given: Any
) -> None:
    """Change the report NAME: what is given, and nothing else.

    Who has unsubscribed stays so. If they want it again: once with --not-to, then with --to.

    \b
    Example:
      callhome report change board --to support@example.com --cron "0 8 * * MON"
    """
    from ..addresses import checked
    from ..store import reports

    def changed(draft: Draft) -> Draft:
        new = {each: value for each, value in given.items() if value not in (None, ())}
        if "products" in new:
            new["products"] = tuple(key for key in new["products"] if key)
        return replace(draft, **{**new, "recipients": (*draft.recipients, *added)})

    added = [checked(address) for address in given["recipients"]]
    gone = [checked(address) for address in dropped]
    made = run(
        lambda connection: reports.change(connection, name, changed, dropped=gone), config, database_url
    )
    click.echo(f"{made.name!r} goes to {report_view.many(made)}, next on {report_view.when(made.next_due)}")
    for line in report_view.still_unsubscribed(made, added):
        click.echo(line, err=True)


@report.command("list")
@as_json
@config
@database_url
def list_(as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the reports.

    A table on a terminal; elsewhere a line each with tabs between: name, products, sections, language, schedule, time
    zone, days (0: since the one before), when it is due next or "paused", recipients (in parentheses those who have
    unsubscribed).
    """
    from ..store import reports

    found = run(reports.list_all, config, database_url)
    if as_json:
        show_json([report_view.record(each) for each in found])
        return
    heads = (
        "name",
        "products",
        "sections",
        "language",
        "schedule",
        "time zone",
        "days",
        "next",
        "recipients",
    )
    show(
        heads,
        [report_view.row(each) for each in found],
        "There is no report: callhome report add NAME --to ADDRESS",
    )


@report.command()
@click.argument("name")
@config
@database_url
def remove(name: str, config: Path | None, database_url: str | None) -> None:
    """Remove the report NAME, its recipients and its history. What waits to be sent is not sent."""
    from ..store import reports

    run(lambda connection: reports.remove(connection, name), config, database_url)
    click.echo(f"{name!r} is removed")


@report.command()
@click.argument("name")
@config
@database_url
def pause(name: str, config: Path | None, database_url: str | None) -> None:
    """Let the report NAME fall due no more, until it is resumed. What was due already is still sent."""
    from ..store import reports

    run(lambda connection: reports.pause(connection, name), config, database_url)
    click.echo(f"{name!r} is paused: callhome report resume {name!r}")


@report.command()
@click.argument("name")
@config
@database_url
def resume(name: str, config: Path | None, database_url: str | None) -> None:
    """Let the report NAME fall due again. The next one covers its usual time, and not the pause."""
    from ..store import reports

    made = run(lambda connection: reports.resume(connection, name), config, database_url)
    click.echo(f"{made.name!r} is due next on {report_view.when(made.next_due)}")


@report.command()
@click.argument("name")
@click.option(
    "--to", "recipients", multiple=True, metavar="ADDRESS", help="Only to them. [default: to all recipients]"
)
@config
@database_url
def send(name: str, recipients: tuple[str, ...], config: Path | None, database_url: str | None) -> None:
    """Send the report NAME now, for the days since its schedule's last due. Its schedule goes on as it was.

    A running server sends it within a moment: `callhome report history NAME` shows what became of it.
    """
    from ..addresses import checked
    from ..store import report_runs

    only = [checked(address) for address in recipients] or None
    run(lambda connection: report_runs.order_now(connection, name, only), config, database_url)
    click.echo(f"{name!r} will be sent {report_view.soon(config)}: callhome report history {name!r}")


@report.command()
@click.argument("name")
@click.option(
    "-o", "--output", metavar="PLACE", type=click.Path(path_type=Path),
    help="A file ending in .eml, or a folder for the mail and its parts. [default: its text, on the terminal]",
)  # fmt: skip
@click.option("--due", metavar="TIME", help="As if it were due then (ISO 8601). [default: now]")
@click.option(
    "--to", "recipient", metavar="ADDRESS", help="As this one gets it. [default: the first recipient]"
)
@config
@database_url
def preview(
    name: str,
    output: Path | None,
    due: str | None,
    recipient: str | None,
    config: Path | None,
    database_url: str | None,
) -> None:
    """Compose the report NAME as it would be sent now, and send nothing.

    The mail is the one that a server would send with the same figures, byte for byte. It needs a server's settings.

    \b
    Examples:
      callhome report preview weekly
      callhome report preview weekly -o weekly.eml
      callhome report preview weekly -o ./weekly --due 2026-11-30T07:00+01:00
    """
    from .report_preview import preview_of, write

    made = preview_of(name, due, recipient, config, database_url)
    if output is None:
        click.echo(made.text, nl=False)
        return
    for path in write(made, output):
        click.echo(f"written: {path}")


@report.command()
@click.argument("name", required=False)
@click.option(
    "--state", type=click.Choice(_STATES), help="The mails that are in this state, each with its id."
)
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=_LIMIT, show_default=True, help="The latest so many."
)
@as_json
@config
@database_url
def history(
    name: str | None, state: str | None, limit: int, as_json: bool, config: Path | None, database_url: str | None
) -> None:  # fmt: skip
    """Show what became of the reports, or of NAME; the latest first.

    A table on a terminal; elsewhere a line each with tabs between. Without --state: report, due, first and last day,
    subject, and how many mails are in which state, or why it could not be composed. With it: id, report, due, address,
    state, tries, and what the mail server said.
    """
    from ..store import report_history, reports

    async def read(connection: Any) -> tuple[list[PastRun], list[PastDelivery]]:
        if name is not None:
            await reports.one(connection, name)
        if state is None:
            return await report_history.runs(connection, name, limit), []
        return [], await report_history.deliveries(connection, name, state, limit)

    runs, mails = run(read, config, database_url)
    if as_json:
        records = [asdict(each) for each in runs] + [asdict(each) for each in mails]
        show_json([report_view.plain(each) for each in records])
    elif state is None:
        run_heads = ("report", "due", "from", "to", "subject", "mails")
        show(run_heads, [report_view.run_row(each) for each in runs], "No report was due yet")
    else:
        heads = ("id", "report", "due", "address", "state", "tries", "said")
        show(heads, [report_view.mail_row(each) for each in mails], f"No mail is {state}")


@report.command()
@click.argument("id", type=int)
@config
@database_url
def resend(id: int, config: Path | None, database_url: str | None) -> None:
    """Send the mail ID again, which is uncertain or failed. An uncertain one may then arrive twice.

    `callhome report history` with `--state uncertain` or `--state failed` shows ids. It has the same Message-ID as
    before, by which many mailboxes show it once.
    """
    from ..store.deliveries import Queue

    if not run(lambda connection: Queue("delivery").resend(connection, id), config, database_url):
        raise UsageError(
            f"no mail {id} is uncertain or failed: `callhome report history` with `--state uncertain` or "
            "`--state failed` shows ids"
        )
    click.echo(f"mail {id} will be sent again in a moment")
