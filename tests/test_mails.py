"""`callhome.jobs.mails`: reports that are due become mails, each sent once, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from callhome.jobs.mails import MailJob
from callhome.reports import unsubscribe
from callhome.reports.model import Composed, Order
from callhome.store import report_history, reports
from callhome.store.deliveries import TRIES, Queue
from mailpeers import CUT, HANG, Answer, Peer, always, once
from running import connected, until
from subscriptions import MAILING, SECRET, all_are, due, hurry, mailing, one_line, received, states
from subscriptions import Connection as Connection


def all_sent(connection: Connection, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many deliveries are sent, and none is in another state."""
    return lambda: all_are(connection, "sent", count)


async def test_a_report_that_is_due_reaches_each_recipient(database: str) -> None:
    """Each recipient gets one mail with an address of its own to unsubscribe at; the next due is in the future."""
    recipients = tuple(f"r{number}@example.com" for number in range(20))
    async with connected(database) as connection, Peer().listening() as peer:
        made = await due(connection, recipients=recipients)
        async with mailing(database, peer.url):
            await until(all_sent(connection, 20))
        assert sorted(mail.recipient for mail in peer.mails) == sorted(recipients)
        assert set(received(peer).values()) == {1}
        for mail in peer.mails:
            url = unsubscribe.url("https://callhome.example.com", SECRET, made.id, mail.recipient)
            assert mail.message["List-Unsubscribe"] == f"<{url}>"
            body = mail.message.get_body(("plain",))
            assert body is not None
            assert f"Unsubscribe: {url}" in body.get_content()
        after = await reports.one(connection, "weekly")
        assert after.last_due is not None
        assert await connection.fetchval("SELECT next_due > now() FROM report")


@pytest.mark.parametrize("fault", [once("RCPT", "451 later"), once("DOT", "451 later"), once("BODY", CUT)])
@pytest.mark.fault(27)
async def test_row_27_a_mail_that_failed_is_sent_once_later(fault: Answer, database: str) -> None:
    """After a 451, or a line that was cut in the middle of the mail, it is sent once, with the same Message-ID."""
    async with connected(database) as connection, Peer(fault).listening() as peer:
        await due(connection)
        # Larger than what sockets buffer, so that a cut in it is seen before its end.
        async with mailing(database, peer.url, composer=large):

            async def failed_once() -> bool:
                return bool(
                    await connection.fetchval("SELECT count(*) FROM delivery WHERE outcome IS NOT NULL")
                )

            await until(failed_once)
            (past,) = await report_history.deliveries(connection, None, None, 10)
            assert (past.state, past.tries) == ("waiting", 1)
            assert await connection.fetchval("SELECT next_try_at > now() + interval '30 s' FROM delivery")
            await hurry(connection)
            await until(all_sent(connection, 1))
        assert received(peer) == {f"<{past.message_id}>": 1}


async def large(connection: Any, order: Order, console_url: str | None) -> Composed:
    """A composer of some MB."""
    small = await one_line(connection, order, console_url)
    return Composed(small.subject, small.composed_at, small.text + "x" * 20_000_000, small.html, (), ())


@pytest.mark.fault(28)
async def test_a_cut_after_the_last_line_is_uncertain_and_not_sent_again(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no answer came to the last line, the mail is shown as uncertain, and only a person sends it again."""
    async with connected(database) as connection, Peer(once("DOT", CUT)).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url):
            await until(lambda: all_are(connection, "uncertain", 1))
            await connection.execute("UPDATE delivery SET next_try_at = now() - interval '1 day'")
            await due(connection, "other", ("b@example.com",))
            await until(lambda: has(connection, uncertain=1, sent=1))
            assert [mail.recipient for mail in peer.mails] == ["b@example.com"]
            assert "is uncertain: no answer to the mail's last line" in caplog.text
            id_ = await connection.fetchval("SELECT id FROM delivery WHERE state = 'uncertain'")
            assert await Queue("delivery").resend(connection, id_)
            await until(all_sent(connection, 2))
        assert set(received(peer).values()) == {1}


async def has(connection: Connection, **expected: int) -> bool:
    """Whether these are the states of all deliveries."""
    return await states(connection) == expected


async def test_a_refused_mail_is_given_up_loudly_and_blocks_nobody(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A 5xx to one recipient is logged as an error and shown; the others get their mail, also beside one who hangs."""
    recipients = ("bad@example.com", *(f"r{number}@example.com" for number in range(10)))

    def answer(_peer: Peer, verb: str, rest: str) -> str | None:
        if verb == "RCPT" and "bad@" in rest:
            return "550 no such user"
        return HANG if verb == "RCPT" and "r3@" in rest else None

    async with connected(database) as connection, Peer(answer).listening() as peer:
        await due(connection, recipients=recipients)
        async with mailing(database, peer.url, connections=2, command_s=60):
            await until(lambda: has(connection, failed=1, sent=9, claimed=1))
        assert "is failed: 550 no such user" in caplog.text
        assert [
            (one.address, one.outcome)
            for one in await report_history.deliveries(connection, None, "failed", 9)
        ] == [("bad@example.com", "550 no such user")]
        # The one that hung was given back, not burnt, when the job ended.
        assert await has(connection, failed=1, sent=9, waiting=1)
        assert await connection.fetchval("SELECT tries FROM delivery WHERE state = 'waiting'") == 0


async def test_a_mail_that_always_fails_is_given_up_after_its_tries(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the last of its tries a mail is given up, and the log says so."""
    async with connected(database) as connection, Peer(always("RCPT", "451 later")).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url):
            await until(lambda: tried(connection))
            await connection.execute("UPDATE delivery SET tries = $1, next_try_at = now()", TRIES - 1)
            await until(lambda: all_are(connection, "failed", 1))
    assert "is failed: 451 later" in caplog.text


async def tried(connection: Connection) -> bool:
    """Whether a try has ended."""
    return bool(
        await connection.fetchval("SELECT count(*) FROM delivery WHERE state = 'waiting' AND tries > 0")
    )


async def test_while_the_server_is_away_no_try_is_burnt(database: str, unused_tcp_port: int) -> None:
    """Mails wait for a server that is away without losing tries, and leave once it is back."""
    peer = Peer(port=unused_tcp_port)
    async with connected(database) as connection:
        await due(connection, recipients=("a@example.com", "b@example.com"))
        async with mailing(database, peer.url):

            async def met_it() -> bool:
                return bool(
                    await connection.fetchval("SELECT count(*) FROM delivery WHERE outcome IS NOT NULL")
                )

            await until(met_it)
            async with peer.listening():
                await until(all_sent(connection, 2))
        assert await connection.fetchval("SELECT max(tries) FROM delivery") == 1


@pytest.mark.fault(28)
async def test_row_28_replicas_share_the_mails(database: str) -> None:
    """Three replicas at once, whose database sessions are cut: each recipient gets each report once."""
    async with connected(database) as connection, Peer().listening() as peer:
        for number in range(10):
            await due(connection, f"report {number}", tuple(f"r{n}@example.com" for n in range(20)))
        async with mailing(database, peer.url), mailing(database, peer.url), mailing(database, peer.url):
            for _ in range(3):
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name IN ('callhome mails', 'callhome reports') "
                    "AND datname = current_database()"
                )
                await asyncio.sleep(0.1)
            await until(lambda: settled(connection))
        found = await states(connection)
        assert found.get("sent", 0) + found.get("uncertain", 0) == 200
        assert await connection.fetchval("SELECT count(*) FROM report_run") == 10
        assert max(received(peer).values()) == 1
        ids = await connection.fetch("SELECT message_id FROM delivery WHERE state = 'sent'")
        assert {f"<{row['message_id']}>" for row in ids} <= set(received(peer))


async def settled(connection: Connection) -> bool:
    """Whether nothing is under way any more; what waits does so no longer."""
    await hurry(connection)
    found = await states(connection)
    return sum(found.values()) == 200 and not {"waiting", "claimed", "sending"} & set(found)


async def test_a_claim_that_ran_out_is_not_finished_by_its_first_owner(database: str) -> None:
    """A replica that is too late for the last line does not send it: another one has the mail by then."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_peer: Peer, verb: str, _rest: str) -> str | None:
        if verb == "DATA" and not reached.is_set():
            reached.set()
            await go_on.wait()
        return None

    async with connected(database) as connection, Peer(answer).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url, command_s=60):
            await reached.wait()
            await connection.execute("UPDATE delivery SET next_try_at = now()")
            async with mailing(database, peer.url):
                await until(all_sent(connection, 1))
            go_on.set()
            await until(lambda: is_left(peer))
        assert sum(received(peer).values()) == 1
        assert await all_are(connection, "sent", 1)


async def is_left(peer: Peer) -> bool:
    """Whether nobody is in the middle of a mail."""
    return peer.heard[-1] in ("DOT", "QUIT") or peer.open < 2


async def test_stopping_waits_for_the_answer_to_a_last_line(database: str) -> None:
    """A job that is left while a last line is unanswered waits for the answer, and records it."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_peer: Peer, verb: str, _rest: str) -> str | None:
        if verb == "DOT":
            reached.set()
            await go_on.wait()
        return None

    async with connected(database) as connection, Peer(answer).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url, stop_s=20):
            await reached.wait()
            asyncio.get_running_loop().call_later(0.2, go_on.set)
        assert await all_are(connection, "sent", 1)


async def test_stopping_is_bounded_though_a_last_line_is_never_answered(database: str) -> None:
    """A job that is left while a last line is never answered ends all the same; its claim ends as uncertain."""
    async with connected(database) as connection, Peer(once("DOT", HANG)).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url, stop_s=0.1):
            await until(lambda: all_are(connection, "sending", 1))
        assert await all_are(connection, "sending", 1)
        await connection.execute("UPDATE delivery SET next_try_at = now()")
        async with mailing(database, peer.url):
            await until(lambda: all_are(connection, "uncertain", 1))
        assert peer.mails == []


@pytest.mark.fault(13)
async def test_row_13_a_line_break_in_a_product_name_is_refused(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A report whose subject has a line break becomes no mail: the history says why, and other reports leave."""

    async def hostile(connection: Any, order: Order, console_url: str | None) -> Composed:
        small = await one_line(connection, order, console_url)
        subject = "ES\r\nBcc: everybody@example.com" if order.name == "bad" else order.name
        return Composed(subject, small.composed_at, small.text, small.html, (), ())

    async with connected(database) as connection, Peer().listening() as peer:
        await due(connection, "bad", ("a@example.com",))
        await due(connection, "good", ("b@example.com",))
        async with mailing(database, peer.url, composer=hostile):
            await until(all_sent(connection, 1))

            await until(lambda: failed(connection))
        assert [mail.recipient for mail in peer.mails] == ["b@example.com"]
        (bad,) = await report_history.runs(connection, "bad", 9)
        assert "has characters that no subject may have" in str(bad.failure)
        assert "'ES\\r\\nBcc: everybody@example.com'" in caplog.text


async def failed(connection: Connection) -> bool:
    """Whether a report could not be composed."""
    return bool(await connection.fetchval("SELECT count(failure) FROM report_run"))


async def test_who_unsubscribes_gets_nothing_that_waits(database: str) -> None:
    """Who unsubscribes while a mail waits for its next try does not get it."""
    async with connected(database) as connection, Peer(always("RCPT", "451 later", "a@")).listening() as peer:
        made = await due(connection, recipients=("a@example.com", "b@example.com"))
        async with mailing(database, peer.url):
            await until(lambda: has(connection, waiting=1, sent=1))
            assert await reports.unsubscribe(connection, made.id, "a@example.com")
        (past,) = await report_history.deliveries(connection, None, "failed", 9)
        assert (past.address, past.outcome) == ("a@example.com", "the recipient has unsubscribed")


async def test_without_a_server_it_is_told_once_that_a_report_is_due(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without CALLHOME_SMTP_URL nothing is claimed; the first due is a warning."""
    async with connected(database) as connection:
        await due(connection)
        async with MailJob(database, None, MAILING):

            async def told() -> bool:
                return "CALLHOME_SMTP_URL is not set" in caplog.text

            await until(told)
        assert await connection.fetchval("SELECT count(*) FROM report_run") == 0
    (record,) = [each for each in caplog.records if "SMTP_URL" in each.message]
    assert record.levelno == logging.WARNING


async def test_a_removed_report_is_not_sent(database: str) -> None:
    """A report that is removed between its claim and its last line is not sent."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_peer: Peer, verb: str, _rest: str) -> str | None:
        if verb == "DATA":
            reached.set()
            await go_on.wait()
        return None

    async with connected(database) as connection, Peer(answer).listening() as peer:
        await due(connection)
        async with mailing(database, peer.url, connections=1):
            await reached.wait()
            await reports.remove(connection, "weekly")
            go_on.set()
            await until(lambda: gone(peer))
        assert peer.mails == []


async def gone(peer: Peer) -> bool:
    """Whether nobody is connected."""
    return peer.open == 0
