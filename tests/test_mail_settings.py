"""The settings of mails, each seen on a running server: with it, and not without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from callhome.app import App
from listener import post
from mailpeers import HANG, Peer, always, certified
from running import PATIENCE_S, Connection, ask, connected, ping, running, until
from subscriptions import all_are, due

FROM = "stats@example.org"


@asynccontextmanager
async def sending(dsn: str, recipients: int = 1, **given: Any) -> AsyncIterator[tuple[App, Connection]]:
    """A server to whose recipients a report is due now."""
    async with connected(dsn) as connection:
        await due(connection, recipients=tuple(f"r{number}@example.com" for number in range(recipients)))
        async with running(dsn, mail_from=FROM, **given) as app:
            yield app, connection


async def test_mails_go_where_and_come_from_where_it_is_said(database: str) -> None:
    """The server of SMTP_URL takes the mail, which comes from MAIL_FROM."""
    async with Peer().listening() as peer, sending(database, smtp_url=str(peer.url)) as (_app, connection):
        await until(lambda: all_are(connection, "sent", 1))
        (mail,) = peer.mails
    assert (mail.sender, mail.message["From"]) == (FROM, f"callhome <{FROM}>")
    assert mail.message["List-Unsubscribe"] is None


async def test_mails_lead_to_the_console(database: str) -> None:
    """With CONSOLE_URL a mail has an address to unsubscribe at, where the console answers by that name."""
    url = "https://stats.example.org/callhome"
    async with (
        Peer().listening() as peer,
        sending(database, smtp_url=str(peer.url), console_url=url) as (app, connection),
    ):
        await until(lambda: all_are(connection, "sent", 1))
        address = str(peer.mails[0].message["List-Unsubscribe"]).strip("<>")
        assert address.startswith(f"{url}/unsubscribe?t=")
        asked = f"{app.addresses.console.url}/unsubscribe?{urlsplit(address).query}"
        form = {"List-Unsubscribe": "One-Click"}
        async with aiohttp.ClientSession() as session:
            for host, status in (("other.example.org", 421), ("stats.example.org", 200)):
                async with session.post(asked, data=form, headers={"Host": host}) as response:
                    assert response.status == status
        row = await connection.fetchrow("SELECT address, unsubscribed_at FROM report_recipient")
        assert (row["address"], row["unsubscribed_at"] is not None) == ("r0@example.com", True)


@pytest.mark.parametrize("is_given", [True, False])
async def test_a_server_is_trusted_by_its_authority(is_given: bool, database: str, tmp_path: Path) -> None:
    """A server whose certificate is signed by one of SMTP_CA gets the mail; without it, it gets nothing."""
    async with certified("starttls") as peer:
        peer.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        given: dict[str, Any] = {"smtp_ca": str(tmp_path / "ca.pem")} if is_given else {}
        url = f"smtp+starttls://localhost:{peer.port}"
        async with sending(database, smtp_url=url, **given) as (_app, connection):
            await until(lambda: has_outcome(connection))
            said = await connection.fetchval("SELECT outcome FROM delivery")
    assert len(peer.inbox.mails) == is_given
    assert ("its certificate is not trusted" in said) != is_given


async def has_outcome(connection: Connection) -> bool:
    """Whether a mail server has said something, or has not answered."""
    return bool(await connection.fetchval("SELECT count(outcome) FROM delivery"))


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 3), ({"smtp_connections": 1}, 1), ({"smtp_connections": 5}, 5)]
)
async def test_so_many_connections_are_open(given: dict[str, Any], expected: int, database: str) -> None:
    """With many mails to send, SMTP_CONNECTIONS are open at once, and never more."""
    everybody = asyncio.Event()

    async def answer(peer: Peer, verb: str, _rest: str) -> str | None:
        if verb == "RCPT":
            if peer.open == expected:
                everybody.set()
            await everybody.wait()
        return None

    async with Peer(answer).listening() as peer:
        async with sending(database, 20, smtp_url=str(peer.url), **given) as (_app, connection):
            await until(lambda: all_are(connection, "sent", 20))
        assert peer.most_open == expected


async def test_a_silent_server_is_left(database: str) -> None:
    """With a small SMTP_S a server that is silent is left soon, and said so."""
    async with (
        Peer(always("RCPT", HANG)).listening() as peer,
        sending(database, smtp_url=str(peer.url), smtp_s=0.2) as (_app, connection),
    ):
        await until(lambda: has_outcome(connection), 15)  # half of the default
        assert await all_are(connection, "waiting", 1)


@pytest.mark.parametrize("verb", ["CONNECT", "RCPT", "DOT"])
async def test_row_27_pings_are_answered_while_the_mail_server_hangs(verb: str, database: str) -> None:
    """A mail server that hangs, wherever it does, holds up no ping; and the server stops all the same."""
    reached = asyncio.Event()

    def answer(_peer: Peer, heard: str, _rest: str) -> str | None:
        if heard != verb:
            return None
        reached.set()
        return HANG

    async with (
        Peer(answer).listening() as peer,
        sending(database, 20, smtp_url=str(peer.url)) as (app, connection),
    ):
        async with asyncio.timeout(PATIENCE_S):
            await reached.wait()
        for number in range(20):
            answered = await ask(app.addresses.ingest, post(ping(install=f"install-{number}")))
            assert answered.status == 204
        assert await connection.fetchval("SELECT count(*) FROM ping") == 20
