"""``callhome alert`` on a real database, with a real mail server and a real receiver of webhooks."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from click.testing import CliRunner, Result

from callhome.alerts.model import Event, Rule
from callhome.alerts.signing import secret_of
from callhome.cli import main
from callhome.store import alert_events
from hooks import Hook
from mailpeers import Peer, always
from running import connected
from test_cli import on_terminal
from test_cli_database import CLEAN
from watched import MAIL_FROM, NOW, SECRET, alert

WATCH = ["alert", "add", "seats", "--rule", "license_over", "--to", "a@example.com"]


def run(dsn: str, *words: str, **environ: str) -> Result:
    """Run ``callhome`` with only database and secret set."""
    given = {"CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET.decode(), **environ}
    return CliRunner().invoke(main, list(words), env={**CLEAN, **given})


@pytest.fixture
def es(database: str) -> str:
    """The DSN of a database with the product es."""
    assert run(database, "product", "add", "es").exit_code == 0
    return database


def test_an_alert_is_made_listed_and_removed(es: str) -> None:
    """Each step says what there is now; the list has a line with tabs, or JSON."""
    hook = "https://example.com/hook"
    made = run(es, *WATCH[:3], "--rule", "release_slow", "--product", "es", "--percent", "80", "--days", "7",
               "--to", "b@example.com", "--to", "a@example.com", "--webhook", hook, "--cooldown", "90m",
               "--language", "fr")  # fmt: skip
    assert made.output == (
        f"seats is made: release_slow of es (percent=80 days=7 least=10), to b@example.com, a@example.com, {hook}\n"
        f"The receiver checks the signature with this secret: {secret_of(SECRET, 1)}\n"
    )
    assert run(es, "alert", "secret", "seats").output == f"{secret_of(SECRET, 1)}\n"
    assert run(es, "alert", "list").output == (
        f"seats\trelease_slow\tes\tpercent=80 days=7 least=10\tb@example.com a@example.com\t{hook}\t90m\tfr\n"
    )
    (one,) = json.loads(run(es, "alert", "list", "--json").output)
    assert one.pop("created_at")
    assert one == {
        "name": "seats",
        "rule": "release_slow",
        "product": "es",
        "numbers": {"percent": [80], "days": 7, "least": 10},
        "recipients": ["b@example.com", "a@example.com"],
        "webhook": hook,
        "cooldown_s": 5_400,
        "language": "fr",
    }
    assert run(es, "alert", "remove", "seats").output == "seats is removed\n"
    assert run(es, "alert", "list").output == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rule", "silence"], "silence of all products together (minutes=60)"),
        (["--rule", "license_over"], "license_over of every product"),
        (["--rule", "release_adopted", "--percent", "25", "--percent", "10"], "(percent=10,25 least=10)"),
        (["--rule", "installs_changed", "--drop", "30", "--jump", "40", "--least", "5"],
         "(drop_percent=30 jump_percent=40 least=5)"),
    ],
)  # fmt: skip
def test_each_rule_can_be_watched(words: list[str], said: str, es: str) -> None:
    """What is made is told with its numbers, those that were left out too."""
    made = run(es, "alert", "add", "x", *words, "--to", "a@example.com")
    assert made.exit_code == 0
    assert said in made.output
    assert "secret" not in made.output


def test_a_terminal_shows_tables(es: str) -> None:
    """On a terminal there are tables, and where there is nothing what to do."""
    assert "callhome alert add NAME" in on_terminal("alert", "list", CALLHOME_DATABASE_URL=es)[1]
    assert "Nothing has been told yet" in on_terminal("alert", "history", CALLHOME_DATABASE_URL=es)[1]
    run(es, "alert", "add", "[b]x[/b]", *WATCH[3:])
    exit_code, shown = on_terminal("alert", "list", CALLHOME_DATABASE_URL=es)
    assert exit_code == 0
    assert "[b]x[/b]" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "x"], "Missing option '--rule'"),
        (["add", "x", "--rule", "nope", "--to", "a@example.com"], "'nope' is not one of"),
        (["add", "x", "--rule", "silence"], "callhome: to: '' can't be: expected somebody to tell"),
        (["add", "x", "--rule", "silence", "--to", "me"], "'me' is no e-mail address"),
        (["add", "x", "--rule", "silence", "--webhook", "x"], "callhome: webhook: 'x' can't be"),
        (["add", "x", "--rule", "silence", "--to", "a@example.com", "--days", "3"], "has only minutes"),
        (["add", "x", "--rule", "silence", "--to", "a@example.com", "--cooldown", "1"], "such as 90s, 30m"),
        (
            ["add", "x", "--rule", "silence", "--to", "a@example.com", "--product", "no"],
            "'no' isn't registered",
        ),
        (["add", "seats", "--rule", "silence", "--to", "a@example.com"], "a name that no alert has"),
        (["remove", "x"], "there is no alert 'x'; there are seats: `callhome alert list` shows all"),
        (["test", "x"], "there is no alert 'x'"),
        (["history", "x"], "there is no alert 'x'"),
        (["secret", "x"], "there is no alert 'x'"),
        (["secret", "seats"], "seats tells no webhook"),
    ],
)
def test_a_mistake_is_told(words: list[str], said: str, es: str) -> None:
    """A mistake ends with 2 and says on stderr what is wrong; nothing is made."""
    assert run(es, *WATCH).exit_code == 0
    result = run(es, "alert", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert len(run(es, "alert", "list").stdout.splitlines()) == 1


async def test_a_test_is_sent_to_all(es: str) -> None:
    """Mail and webhook get a test now, signed; what each answered is printed, and recorded nowhere."""
    async with Peer().listening() as peer, Hook().listening() as hook:
        made = await asyncio.to_thread(run, es, *WATCH, "--webhook", hook.url, "--language", "fr")
        assert made.exit_code == 0
        mails = {"CALLHOME_SMTP_URL": str(peer.url), "CALLHOME_MAIL_FROM": MAIL_FROM}
        result = await asyncio.to_thread(run, es, "alert", "test", "seats", **mails)
        assert result.output == f"a@example.com: sent: 250 taken\n{hook.url}: sent: 204\n"
        assert result.exit_code == 0
        (mail,), (received,) = peer.mails, hook.received
        assert mail.message["Subject"] == "seats: un essai"
        assert received.message["type"] == "alert.test"
        assert received.is_signed(secret_of(SECRET, 1), time.time())
    history = await asyncio.to_thread(run, es, "alert", "history")
    assert (history.exit_code, history.output) == (0, "")


async def test_a_test_that_is_not_taken_fails(es: str) -> None:
    """One that doesn't take the test makes the command fail, after all others were told."""
    async with Peer(always("RCPT", "550 no")).listening() as peer, Hook([410]).listening() as hook:
        await asyncio.to_thread(run, es, *WATCH, "--webhook", hook.url)
        mails = {"CALLHOME_SMTP_URL": str(peer.url), "CALLHOME_MAIL_FROM": MAIL_FROM}
        result = await asyncio.to_thread(run, es, "alert", "test", "seats", **mails)
        assert result.output == (
            f"a@example.com: not taken: 550 no\n{hook.url}: not taken: 410: the receiver wants no more of it\n"
        )
        assert result.exit_code == 1
        without = await asyncio.to_thread(run, es, "alert", "test", "seats")
        assert (
            "a@example.com: not taken: no mail server is configured: set CALLHOME_SMTP_URL" in without.output
        )


async def test_the_history_says_what_became_of_it(es: str) -> None:
    """Each event with each target is a line; JSON has the numbers too; one told with others says so."""
    details = {"product": None, "minutes": 5, "last": NOW.isoformat()}
    async with connected(es) as connection:
        made = await alert(connection, Rule.SILENCE, "quiet", webhook="https://example.com/hook")
        events = [Event("one", "s", details)]
        await alert_events.fire(connection, made, events, [Event("two", "s", details)], NOW)
        await connection.execute(
            "UPDATE alert_delivery SET state = 'failed', tries = 2, outcome = $1 WHERE channel = 'mail'",
            "550 no\x1b[31m",
        )
    shown = await asyncio.to_thread(run, es, "alert", "history")
    text = "No ping of any product has come for 5 minutes. The last one came on 25 Nov 2026, 12:00 UTC."
    begin = f"2026-11-25 12:00\tquiet\t{text}\t"
    assert shown.stdout.splitlines() == [
        f"{begin}a@example.com\tfailed\t2\t550 no\N{REPLACEMENT CHARACTER}[31m",
        f"{begin}https://example.com/hook\twaiting\t0\t",
        f"{begin}\ttold with others\t\t",
    ]
    found = json.loads((await asyncio.to_thread(run, es, "alert", "history", "quiet", "--json")).stdout)
    assert {each["event"]: len(each["deliveries"]) for each in found} == {"one": 2, "two": 0}
    (one,) = (each for each in found if each["event"] == "one")
    assert (one["alert"], one["rule"], one["kind"], one["subject"]) == ("quiet", "silence", "event", "s")
    assert (one["text"], one["details"], one["fired_at"]) == (text, details, NOW.isoformat())
    mail, hook = one["deliveries"]
    assert (mail["channel"], mail["state"], mail["tries"], mail["next_try_at"]) == ("mail", "failed", 2, None)
    assert hook["next_try_at"] is not None
    limited = await asyncio.to_thread(run, es, "alert", "history", "--limit", "1", "--json")
    assert len(json.loads(limited.stdout)) == 1
