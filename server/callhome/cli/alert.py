"""``callhome alert``: what is watched, and who is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..alerts.model import Rule
from .alert_view import event_record, event_rows, record, row, told
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url
from .text import printable

if TYPE_CHECKING:
    from ..alerts.model import Alert
    from ..alerts.webhook import Answer
    from ..store.connection import Connection

# Options that are numbers of a rule -> their names there.
_NUMBERS: Final = ("percent", "days", "minutes", "drop_percent", "jump_percent", "least")


@click.group()
def alert() -> None:
    """What is watched, and who is told.

    Running servers look every few seconds, and tell of each event once, by mail and by webhook.
    """


@alert.command()
@click.argument("name")
@click.option(
    "--rule",
    required=True,
    metavar="RULE",
    type=click.Choice([each.value for each in Rule]),
    help=f"What is watched: {', '.join(Rule)}. docs/alerts.md explains each.",
)
@click.option("--product", metavar="KEY", help="The product. [default: every one; silence: all together]")
@click.option(
    "--percent",
    type=int,
    multiple=True,
    metavar="NUMBER",
    help="Share of active installs that have the release. [default: 50 and 90; release_slow: 50]",
)
@click.option("--days", type=int, metavar="NUMBER", help="Days after the release. [default: 14]")
@click.option("--minutes", type=int, metavar="NUMBER", help="For how long no ping has come. [default: 60]")
@click.option(
    "--drop", "drop_percent", type=int, metavar="NUMBER", help="Percent fewer installs. [default: 50]"
)
@click.option(
    "--jump", "jump_percent", type=int, metavar="NUMBER", help="Percent more installs. [default: 100]"
)
@click.option(
    "--least",
    type=int,
    metavar="NUMBER",
    help="Active installs below which nothing is told. [default: 10; installs_changed: 100]",
)
@click.option(
    "--to", "recipients", multiple=True, metavar="ADDRESS", help="Who gets a mail; may be repeated."
)
@click.option("--webhook", metavar="URL", help="What gets a signed POST.")
@click.option(
    "--cooldown",
    default="1h",
    show_default=True,
    metavar="TIME",
    help="After an alert, for how long none of the same license, release or product follows.",
)
@click.option(
    "--language", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of what is told."
)
@config
@database_url
def add(config: Path | None, database_url: str | None, rule: str, cooldown: str, **given: Any) -> None:
    """Make an alert called NAME.

    What is so already when it is made is not told. With --webhook it prints the secret by which the receiver knows
    that it's told by callhome; `alert secret` prints it again.

    \b
    Examples:
      callhome alert add seats --rule license_over --to sales@example.com
      callhome alert add rollout --rule release_slow --product es --percent 80 --days 7 \\
        --to release@example.com
      callhome alert add quiet --rule silence --webhook https://example.com/hook
    """
    from ..alerts.parameters import read_cooldown
    from ..store import alerts

    numbers = {name: _several(given.pop(name)) for name in _NUMBERS}
    wanted = alerts.check(
        alerts.Given(**given, rule=Rule(rule), numbers=numbers, cooldown_s=read_cooldown(cooldown))
    )
    secret = _secret(config, database_url) if wanted.webhook else None
    made = run(lambda connection: alerts.add(connection, wanted), config, database_url)
    click.echo(f"{made.name} is made: {told(made)}")
    if secret is not None:
        click.echo(f"The receiver checks the signature with this secret: {_signing(secret, made)}")


@alert.command("list")
@as_json
@config
@database_url
def list_(as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the alerts.

    A table on a terminal; elsewhere a line each with tabs between: name, rule, product (empty for every product),
    numbers, mail addresses, webhook, cool-down, language.
    """
    from ..store import alerts

    found = run(alerts.list_all, config, database_url)
    if as_json:
        show_json([record(each) for each in found])
        return
    heads = ("name", "rule", "product", "numbers", "mail to", "webhook", "cool-down", "language")
    show(
        heads,
        [row(each) for each in found],
        "Nothing is watched: callhome alert add NAME --rule RULE --to ADDRESS",
    )


@alert.command()
@click.argument("name")
@config
@database_url
def remove(name: str, config: Path | None, database_url: str | None) -> None:
    """Remove the alert NAME, with its history.

    \b
    Example:
      callhome alert remove quiet
    """
    from ..store import alerts

    run(lambda connection: alerts.remove(connection, name), config, database_url)
    click.echo(f"{name} is removed")


@alert.command()
@click.argument("name")
@config
@database_url
def test(name: str, config: Path | None, database_url: str | None) -> None:
    """Send a test to all whom the alert NAME tells, now, and print what each answered.

    It is sent from here, with the mail server and the secret of the settings here, and stands in no history. Ends
    with 1 if one didn't take it.

    \b
    Example:
      callhome alert test seats
    """
    from ..reports.outcomes import Sent
    from ..settings import Settings, load

    settings = load(Settings, {"database_url": database_url}, config=config)

    async def work(connection: Connection) -> list[tuple[str, Answer]]:
        return await _test(connection, name, settings)

    answers = run(work, config, database_url)
    for target, answer in answers:
        word = "sent" if isinstance(answer.outcome, Sent) else "not taken"
        reason = answer.outcome.reply if isinstance(answer.outcome, Sent) else answer.outcome.reason
        click.echo(f"{printable(target, None)}: {word}: {printable(reason, None)}")
    if not all(isinstance(answer.outcome, Sent) for _, answer in answers):
        raise click.exceptions.Exit(1)


@alert.command()
@click.argument("name", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Events at most."
)
@as_json
@config
@database_url
def history(
    name: str | None, limit: int, as_json: bool, config: Path | None, database_url: str | None
) -> None:
    """List what the alert NAME (or any) has told, the latest first, and what became of it.

    A table on a terminal; elsewhere a line with tabs between for each event and target: time (UTC), alert, what has
    happened, target, state, tries, last answer.
    """
    from ..store import alert_events, alerts

    async def work(connection: Connection) -> list[alert_events.Fired]:
        if name is not None:
            await alerts.named(connection, name)
        return await alert_events.history(connection, name, limit)

    found = run(work, config, database_url)
    if as_json:
        show_json([event_record(each) for each in found])
        return
    heads = ("when", "alert", "what", "to", "state", "tries", "answer")
    show(heads, [each for fired in found for each in event_rows(fired)], "Nothing has been told yet")


@alert.command()
@click.argument("name")
@config
@database_url
def secret(name: str, config: Path | None, database_url: str | None) -> None:
    """Print the secret by which the receiver of the webhook of NAME checks its signature.

    It follows from CALLHOME_SECRET, which must be that of the servers.

    \b
    Example:
      callhome alert secret quiet
    """
    from ..errors import UsageError
    from ..store import alerts

    ours = _secret(config, database_url)
    found = run(lambda connection: alerts.named(connection, name), config, database_url)
    if found.webhook is None:
        raise UsageError(f"{name} tells no webhook: there is nothing to sign")
    click.echo(_signing(ours, found))


def _several(value: int | tuple[int, ...] | None) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _secret(config: Path | None, database_url: str | None) -> bytes:
    from ..settings import SecretSettings, load

    settings = load(SecretSettings, {"database_url": database_url}, config=config)
    return settings.secret.get_secret_value().encode()


def _signing(secret: bytes, made: Alert) -> str:
    from ..alerts.signing import secret_of

    return secret_of(secret, made.id)


async def _test(connection: Connection, name: str, settings: Any) -> list[tuple[str, Answer]]:
    """Tell each target of an alert a test, one after the other; cancelling it leaves the rest out."""
    from contextlib import AsyncExitStack

    from ..alerts.messenger import Messenger
    from ..alerts.webhook import Webhook
    from ..reports.smtp import Sender
    from ..store import alert_facts, alerts
    from .alert_view import test_message, test_targets

    found = await alerts.named(connection, name)
    message = test_message(found, await alert_facts.now(connection))
    async with AsyncExitStack() as stack:
        webhook = await stack.enter_async_context(Webhook())
        sender = None
        if settings.smtp_url is not None and found.recipients:
            sender = await stack.enter_async_context(
                Sender(settings.smtp_url, ca=settings.smtp_ca, connections=1, command_s=settings.smtp_s)
            )
        messenger = Messenger(
            webhook,
            settings.secret.get_secret_value().encode(),
            sender=sender,
            mail_from=settings.mail_from,
            console_url=settings.console_url,
        )
        return [
            (target.address, await messenger.send(message, target, _nothing))
            for target in test_targets(found)
        ]


async def _nothing() -> None:
    """Nobody has to know that the last line of a test is near."""
