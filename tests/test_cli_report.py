"""``callhome report`` on a real database: subscriptions, a preview that is the mail, orders and history."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callhome.cli import main
from callhome.store import report_runs, reports
from callhome.store.deliveries import Queue
from mailpeers import Peer
from running import SECRET, connected, until
from subscriptions import all_are, due, mailing
from test_cli_database import CLEAN

ENVIRON = {
    "CALLHOME_SECRET": SECRET,
    "CALLHOME_MAIL_FROM": "callhome@example.com",
    "CALLHOME_CONSOLE_URL": "https://callhome.example.com",
}


def call(dsn: str, *words: str, **environ: str) -> Result:
    """Run ``callhome report`` with a server's settings."""
    env: dict[str, str | None] = {**CLEAN, **ENVIRON, **environ, "CALLHOME_DATABASE_URL": dsn}
    return CliRunner().invoke(main, ["report", *words], env=env)


async def report(dsn: str, *words: str) -> Result:
    """The same beside a running loop."""
    return await asyncio.to_thread(call, dsn, *words)


def test_a_subscription_has_its_life(database: str) -> None:
    """Added, listed, changed, paused, resumed and removed: each command says what is now."""
    added = call(
        database, "add", "board", "--to", "a@example.com", "--to", "b@Example.com", "--cron", "0 8 1 * *"
    )
    assert added.exit_code == 0, added.output
    assert added.stdout.startswith("'board' is due for the first time on ")
    assert ":00 UTC\n" in added.stdout

    changed = call(
        database, "change", "board", "--to", "c@example.com", "--not-to", "a@EXAMPLE.com", "--language", "fr"
    )
    assert call(database, "change", "board", "--days", "7").exit_code == 0
    assert json.loads(call(database, "list", "--json").stdout)[0]["days"] == 7
    assert call(database, "change", "board", "--days", "0").exit_code == 0
    assert changed.stdout.startswith("'board' goes to 2 recipients, next on ")
    listed = call(database, "list").stdout.rstrip("\n").split("\t")
    sections = "usage,builds,updates,installs,countries,findings,licenses"
    assert listed[:6] == ["board", "all", sections, "fr", "0 8 1 * *", "UTC"]
    assert listed[8] == "b@example.com c@example.com"

    assert "is paused" in call(database, "pause", "board").stdout
    (record,) = json.loads(call(database, "list", "--json").stdout)
    assert (record["name"], record["is_paused"], record["last_due"]) == ("board", True, None)
    assert [each["address"] for each in record["recipients"]] == ["b@example.com", "c@example.com"]
    assert call(database, "list").stdout.split("\t")[6:8] == ["0", "paused"]
    assert "is due next on" in call(database, "resume", "board").stdout
    assert call(database, "remove", "board").stdout == "'board' is removed\n"
    assert call(database, "list").stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "x"], "Missing option '--to'"),
        (["add", "x", "--to", "nobody"], "'nobody' is no e-mail address"),
        (["add", "x", "--to", "a@b.c", "--cron", "daily"], "'daily' is no schedule"),
        (["add", "x", "--to", "a@b.c", "--time-zone", "Mars"], "'Mars' is no time zone"),
        (["add", "x", "--to", "a@b.c", "--section", "money"], "'money' is not one of"),
        (["add", "x", "--to", "a@b.c", "--product", "es"], "'es' is no registered product"),
        (["change", "x"], "there is no report 'x'"),
        (["remove", "x"], "there is no report 'x'"),
        (["pause", "x"], "there is no report 'x'"),
        (["resume", "x"], "there is no report 'x'"),
        (["send", "x"], "there is no report 'x'"),
        (["preview", "x"], "there is no report 'x'"),
        (["history", "x"], "there is no report 'x'"),
        (["resend", "7"], "with `--state uncertain` or `--state failed` shows ids"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(words: list[str], said: str, database: str) -> None:
    """Each mistake ends with 2 and a line that names it."""
    done = call(database, *words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


async def test_a_preview_is_the_mail_that_is_sent(database: str, tmp_path: Path) -> None:
    """The .eml of a preview equals the mail that a server sends, but for the moment at which each was composed."""
    async with connected(database) as connection, Peer().listening() as peer:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'Example Server')")
        assert (await report(database, "add", "weekly", "--to", "a@example.com")).exit_code == 0
        assert (await report(database, "send", "weekly")).exit_code == 0
        from callhome.jobs.composing import composed

        async with mailing(database, peer.url, composer=composed):
            await until(lambda: all_are(connection, "sent", 1))
        at = await connection.fetchval("SELECT due FROM report_run")
    file = tmp_path / "weekly.eml"
    done = await report(database, "preview", "weekly", "-o", str(file), "--due", at.isoformat())
    assert (done.exit_code, done.stdout) == (0, f"written: {file}\n"), done.output
    (mail,) = peer.mails
    ours, sent = read(file.read_bytes()), read(mail.content)
    for name in (
        "From",
        "To",
        "Subject",
        "Message-ID",
        "List-Id",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    ):
        assert ours[name] == sent[name], name
    assert [each.get_content_type() for each in ours.walk()] == [
        each.get_content_type() for each in sent.walk()
    ]
    for part, other in zip(ours.walk(), sent.walk(), strict=True):
        if part.get_content_maintype() in ("image", "application"):
            assert part.get_payload(decode=True) == other.get_payload(decode=True)
    assert ours["List-Unsubscribe"].startswith("<https://callhome.example.com/unsubscribe?t=")


def read(content: bytes) -> Any:
    """A mail as a program reads it."""
    return email.message_from_bytes(content, policy=email.policy.default)


def test_a_preview_into_a_folder_has_the_parts(database: str, tmp_path: Path) -> None:
    """A folder gets the mail, its text, its HTML with the pictures beside it, and each table; a terminal the text."""
    call(database, "add", "weekly", "--to", "a@example.com")
    folder = tmp_path / "weekly"
    done = call(database, "preview", "weekly", "-o", str(folder), "--to", "z@example.com")
    assert done.exit_code == 0, done.output
    assert {"mail.eml", "mail.txt", "mail.html"} <= {path.name for path in folder.iterdir()}
    assert "cid:" not in (folder / "mail.html").read_text(encoding="utf-8")
    assert read((folder / "mail.eml").read_bytes())["To"] == "z@example.com"
    shown = call(database, "preview", "weekly")
    assert shown.exit_code == 0, shown.output
    assert "unsubscribe?t=" in shown.stdout
    assert shown.stdout.isprintable() or set(shown.stdout) - {"\n"} == {
        c for c in shown.stdout if c.isprintable()
    }

    assert "is no time: expected one such as" in call(database, "preview", "weekly", "--due", "soon").stderr
    for place in ("wekly/parts", "wekly/weekly.eml"):
        mistyped = call(database, "preview", "weekly", "-o", str(tmp_path / place))
        assert (mistyped.exit_code, "wekly is no folder; make it" in mistyped.stderr) == (2, True)
    assert not (tmp_path / "wekly").exists()
    blocked = call(database, "preview", "weekly", "-o", str(folder / "mail.txt" / "x.eml"))
    assert (blocked.exit_code, "can't be written" in blocked.stderr) == (2, True)


async def test_history_shows_states_and_resends(database: str) -> None:
    """Runs with their mails by state, the mails of one state with their ids, and one of them sent again."""
    async with connected(database) as connection:
        await due(connection, "weekly", ("a@example.com", "b@example.com"))
        await report_runs.take_due(connection)
        run = await report_runs.take_run(connection, 60)
        assert run is not None
        assert "to be composed" in (await report(database, "history")).stdout
        await report_runs.keep_failure(connection, run, "no figures", 0)
        assert (await report(database, "history")).stdout.endswith("\tno figures\n")
        run = await report_runs.take_run(connection, 60)
        assert run is not None
        moment = await reports.now(connection)
        await report_runs.keep_composed(
            connection, run, "Example", b"", moment, message_id=lambda address: address
        )
        queue = Queue("delivery")
        (claim,) = await queue.claim(connection, 1, 60)
        await queue.record(connection, claim, "uncertain", "no answer\x1b[2J")

        assert (await report(database, "history", "weekly")).stdout.endswith(
            "\tExample\tuncertain=1 waiting=1\n"
        )
        uncertain = (await report(database, "history", "--state", "uncertain")).stdout
        assert uncertain.startswith(f"{claim.id}\tweekly\t")
        assert "\x1b" not in uncertain
        (record,) = json.loads((await report(database, "history", "--state", "uncertain", "--json")).stdout)
        assert (record["id"], record["state"], record["tries"]) == (claim.id, "uncertain", 1)
        (record,) = json.loads((await report(database, "history", "--json")).stdout)
        assert record["states"] == {"uncertain": 1, "waiting": 1}

        resent = await report(database, "resend", str(claim.id))
        assert resent.stdout == f"mail {claim.id} will be sent again in a moment\n"
        assert await all_are(connection, "waiting", 2)
        assert (await report(database, "resend", str(claim.id))).exit_code == 2


async def test_an_order_may_name_its_recipients(database: str) -> None:
    """``send --to`` goes to those alone, and not to who has unsubscribed."""
    async with connected(database) as connection:
        made = await due(connection, recipients=("a@example.com", "b@example.com"))
        await reports.unsubscribe(connection, made.id, "b@example.com")
        refused = await report(database, "send", "weekly", "--to", "b@example.com")
        assert (refused.exit_code, "b@example.com has unsubscribed" in refused.stderr) == (2, True)
        sent = await report(database, "send", "weekly", "--to", "a@example.com")
        runs = "as soon as a server with CALLHOME_SMTP_URL runs"
        assert sent.stdout == f"'weekly' will be sent {runs}: callhome report history 'weekly'\n"
        assert await connection.fetchval("SELECT recipients FROM report_run") == ["a@example.com"]


def test_an_order_is_sent_in_a_moment_where_there_is_a_mail_server(database: str) -> None:
    """With a mail server configured ``send`` promises a moment."""
    call(database, "add", "weekly", "--to", "a@example.com")
    environ = {
        **CLEAN,
        **ENVIRON,
        "CALLHOME_DATABASE_URL": database,
        "CALLHOME_SMTP_URL": "smtp://127.0.0.1:25",
    }
    sent = CliRunner().invoke(main, ["report", "send", "weekly"], env=environ)
    assert sent.stdout == "'weekly' will be sent in a moment: callhome report history 'weekly'\n"


async def test_who_has_unsubscribed_is_not_put_back_in_silence(database: str) -> None:
    """``change --to`` says so, and what to do; ``--not-to`` and then ``--to`` puts them back without a word."""
    async with connected(database) as connection:
        made = await due(connection, recipients=("a@example.com", "b@example.com"))
        await reports.unsubscribe(connection, made.id, "b@example.com")
    told = await report(database, "change", "weekly", "--to", "b@EXAMPLE.com", "--to", "c@example.com")
    assert told.stderr == (
        "b@example.com has unsubscribed and stays so; to put them back: --not-to b@example.com, "
        "then --to b@example.com\n"
    )
    assert "goes to 2 recipients" in told.stdout
    assert (await report(database, "change", "weekly", "--not-to", "b@example.com")).stderr == ""
    back = await report(database, "change", "weekly", "--to", "b@example.com")
    assert (back.stderr, "goes to 3 recipients" in back.stdout) == ("", True)


async def test_a_report_of_some_products_becomes_one_of_all(database: str) -> None:
    """``change --product ""`` means all products; the help says that what isn't given stays."""
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'Example Server')")
    assert (
        await report(database, "add", "weekly", "--to", "a@example.com", "--product", "es")
    ).exit_code == 0
    assert (await report(database, "change", "weekly", "--product", "")).exit_code == 0
    (record,) = json.loads((await report(database, "list", "--json")).stdout)
    assert record["products"] == []
    words = " ".join((await report(database, "change", "--help")).stdout.split())
    assert words.count("[default: as it is]") == 6
