"""`callhome.jobs.alerts`: what holds in the database is told once, by mail and webhook, whoever looks or is killed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from callhome.alerts.messenger import NO_MAIL
from callhome.alerts.model import Rule
from callhome.alerts.signing import secret_of
from callhome.jobs.alerts import look
from callhome.store import alerts, rollup
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from hooks import Hook
from mailpeers import CUT, Peer, always, once
from rows import Row
from running import connected, until
from watched import (
    NOW,
    SECRET,
    Connection,
    active,
    alert,
    confirm,
    in_use,
    license,
    product,
    seen,
    use,
    working,
)

DAY = NOW.date() - timedelta(days=1)


async def told(connection: Connection, minutes: float = 0, **how: Any) -> list[str]:
    """Look so many minutes after `NOW`, and return what is told."""
    return [event.name for event in await look(connection, NOW + timedelta(minutes=minutes), **how)]


async def test_a_license_over_its_seats_is_told_once(database: str) -> None:
    """More seats used than allowed are told once, until they have been within; an unlimited license never."""
    async with connected(database) as connection:
        es = await product(connection)
        one, generous = await license(connection, es), await license(connection, es, overage="1.25")
        unlimited = await license(connection, es, overage=None)
        await alert(connection, Rule.LICENSE_OVER)
        for number in (one, generous, unlimited):
            await use(connection, number, 10)
        assert await told(connection) == []
        for number in (one, generous, unlimited):
            await use(connection, number, 12)
        since = (NOW + timedelta(minutes=1)).isoformat()
        assert await told(connection, 1) == [f"license {one} since {since}"]
        assert await told(connection, 2) == []
        await use(connection, one, 10)
        await use(connection, generous, 13)
        assert [name.partition(" since")[0] for name in await told(connection, 3)] == [f"license {generous}"]
        await use(connection, one, 11)
        assert [name.partition(" since")[0] for name in await told(connection, 4)] == [f"license {one}"]


async def test_what_is_so_when_an_alert_is_made_is_not_told(database: str) -> None:
    """An alert that is made over a full database tells nothing of what it finds there, by any rule."""
    async with connected(database) as connection:
        es = await product(connection)
        number = await license(connection, es)
        await use(connection, number, 99)
        await confirm(connection, es, number, NOW - timedelta(days=100))
        await connection.execute(
            "INSERT INTO release (product, version, day) VALUES ($1, '5.10', '2026-06-01')", es
        )
        await in_use(connection, es, v5_10=95, v5_9=5)
        for week in range(5):
            await active(connection, es, DAY - timedelta(weeks=week), 1_000 if week else 10)
        await seen(connection, es, NOW - timedelta(days=9))
        for rule in Rule:
            await alert(connection, rule, rule.value)
        await alert(connection, Rule.RELEASE_SLOW, "slow", numbers={"percent": 99})
        for minutes in (0, 1, 59):
            assert await told(connection, minutes, watched_since=NOW) == []


async def test_a_confirmed_finding_is_told_once(database: str) -> None:
    """A finding that is confirmed is told once; one that was closed meanwhile, or is of another product, isn't."""
    async with connected(database) as connection:
        es, other = await product(connection), await product(connection, "other")
        number, elsewhere = await license(connection, es), await license(connection, other)
        await alert(connection, Rule.FINDING_CONFIRMED, product="es")
        assert await told(connection) == []
        first = await confirm(connection, es, number, NOW)
        await confirm(connection, other, elsewhere, NOW)
        assert await told(connection, 1) == [f"finding {first}"]
        assert await told(connection, 2) == []
        await connection.execute("UPDATE finding SET state = 'closed' WHERE id = $1", first)
        second = await confirm(connection, es, number, NOW + timedelta(minutes=2))
        await connection.execute("UPDATE finding SET state = 'closed' WHERE id = $1", second)
        assert await told(connection, 3) == []


async def test_a_release_is_told_at_its_percentages(database: str) -> None:
    """A release is told of as installs move to it or to a newer one, and if it stays behind after its days."""
    async with connected(database) as connection:
        es = await product(connection)
        await alert(connection, Rule.RELEASE_ADOPTED, "adopted")
        await alert(connection, Rule.RELEASE_SLOW, "slow", numbers={"percent": 80, "days": 7})
        await connection.execute(
            "INSERT INTO release (product, version, channel, day) VALUES ($1, '5.10', 'stable', $2), "
            "($1, '6.0', 'stable', $2 + 1), ($1, '7.0b1', 'beta', $2)",
            es,
            NOW.date(),
        )
        await in_use(connection, es, v5_9=100)
        assert await told(connection) == []
        await in_use(connection, es, v5_9=40, v5_10=30, v6_0=30)
        assert await told(connection, 1) == ["es 5.10 at 50 %"]
        assert await told(connection, 8 * 1_440) == ["es 5.10"]
        await in_use(connection, es, v5_9=0, v5_10=30, v6_0=70)
        assert await told(connection, 9 * 1_440) == [
            "es 5.10 at 90 %",
            "es 6.0 at 50 %",
            "es 6.0",
        ]
        assert await told(connection, 10 * 1_440) == []


async def test_a_day_with_few_installs_is_told_once(database: str) -> None:
    """A day is held against the same weekday of four weeks; unverified installs don't count, nor products too young."""
    async with connected(database) as connection:
        es, young = await product(connection), await product(connection, "young")
        await alert(connection, Rule.INSTALLS_CHANGED)
        assert await told(connection, -1_440) == []
        for week in range(5):
            await active(connection, es, DAY - timedelta(weeks=week), 1_000 if week else 400)
            await active(connection, es, DAY - timedelta(weeks=week), 10_000, verified=False)
            await active(connection, young, DAY - timedelta(weeks=week), 1_000 if 0 < week < 4 else 10)
        await connection.execute(
            "DELETE FROM usage_daily WHERE product = $1 AND day <= $2", young, DAY - timedelta(28)
        )
        assert await told(connection, seldom=False) == []
        assert await told(connection) == [f"es on {DAY}"]
        assert await told(connection, 5) == []
        details = await connection.fetchval("SELECT details::text FROM alert_event")
        assert '"installs": 400' in details
        assert '"usual": 1000' in details


async def test_silence_is_told_once(database: str) -> None:
    """Without a ping of a product for its minutes, or of any, it is told once, and again after one has come."""
    async with connected(database) as connection:
        es, other = await product(connection), await product(connection, "other")
        await alert(connection, Rule.SILENCE, "es", product="es", numbers={"minutes": 10})
        await alert(connection, Rule.SILENCE, "any", numbers={"minutes": 10})
        await seen(connection, es, NOW)
        await seen(connection, other, NOW + timedelta(minutes=5))
        assert await told(connection, 9) == []
        assert await told(connection, 10) == [f"es since {NOW.isoformat()}"]
        assert [name.partition(" since")[0] for name in await told(connection, 15)] == ["any product"]
        assert await told(connection, 16) == []
        await seen(connection, es, NOW + timedelta(minutes=17))
        assert await told(connection, 18) == []
        assert [name.partition(" since")[0] for name in await told(connection, 27)] == ["es", "any product"]


async def test_silence_is_not_told_of_what_was_not_watched_or_counted(database: str) -> None:
    """After the server or the database was away, or while pings wait to be counted, nothing is silent."""
    async with connected(database) as connection:
        es = await product(connection)
        await alert(connection, Rule.SILENCE, numbers={"minutes": 10})
        await seen(connection, es, NOW)
        assert await told(connection, 60, watched_since=NOW + timedelta(minutes=51)) == []
        await connection.execute(
            "INSERT INTO batch VALUES ($1, $1, $1, 1, 0)", _id_at(NOW.timestamp() + 9 * 60)
        )
        assert await told(connection, 60) == []
        await connection.execute("DELETE FROM batch")
        assert len(await told(connection, 61)) == 1


def _id_at(unix_s: float) -> str:
    """A UUIDv7 of that time."""
    raw = int(unix_s * 1_000).to_bytes(6, "big") + new_id()[6:]
    return raw.hex()


async def test_within_the_cool_down_an_event_waits(database: str) -> None:
    """What comes within the cool-down of its subject is told when that ends, if it still holds then."""
    async with connected(database) as connection:
        es = await product(connection)
        number = await license(connection, es)
        await alert(connection, Rule.FINDING_CONFIRMED, cooldown_s=3_600)
        first = await confirm(connection, es, number, NOW)
        assert await told(connection) == [f"finding {first}"]
        await connection.execute("UPDATE finding SET state = 'closed'")
        second = await confirm(connection, es, number, NOW)
        assert await told(connection, 59) == []
        assert await told(connection, 61) == [f"finding {second}"]


async def test_two_looks_at_once_tell_once(database: str) -> None:
    """While one replica looks, another finds that it isn't its turn; afterwards there is nothing left to tell."""
    async with connected(database) as connection, connected(database) as other:
        es = await product(connection)
        number = await license(connection, es)
        await alert(connection, Rule.FINDING_CONFIRMED)
        await confirm(connection, es, number, NOW)
        for _ in range(5):
            found = await asyncio.gather(look(connection, NOW), look(other, NOW))
            await connection.execute("SELECT 1")
            assert sum(map(len, found)) <= 1
        assert await connection.fetchval("SELECT count(*) FROM alert_event") == 1
        assert await connection.fetchval("SELECT count(*) FROM alert_delivery") == 1


async def test_a_look_that_is_broken_off_leaves_nothing(database: str) -> None:
    """Whoever is killed within a look has told nothing and remembered nothing: the next one tells."""
    async with connected(database) as connection, connected(database) as killed:
        es = await product(connection)
        number = await license(connection, es)
        await alert(connection, Rule.LICENSE_OVER)
        assert await told(connection) == []
        await use(connection, number, 12)
        broken_off = killed.transaction()
        await broken_off.start()
        assert len(await told(killed, 1)) == 1
        killed.terminate()
        assert await connection.fetchval("SELECT count(*) FROM alert_event") == 0
        found: list[str] = []

        async def is_told() -> bool:
            found.extend(await told(connection, 2))  # nothing until the database knows that the other is gone
            return bool(found)

        await until(is_told)
        assert len(found) == 1


async def test_many_at_once_are_told_in_one(database: str) -> None:
    """Of a hundred at once, nineteen are told singly, the rest by one message; each is recorded, none comes again."""
    async with connected(database) as connection:
        es = await product(connection)
        await alert(connection, Rule.FINDING_CONFIRMED, webhook="https://example.com/hook")
        for _ in range(100):
            await confirm(connection, es, await license(connection, es), NOW)
        found = await told(connection)
        assert len(found) == 20
        assert found[-1].startswith("81 more at ")
        assert await connection.fetchval("SELECT count(*) FROM alert_event WHERE kind = 'event'") == 100
        assert await connection.fetchval("SELECT count(*) FROM alert_delivery") == 40
        assert await told(connection, 1) == []


async def test_an_alert_that_cannot_be_read_stops_no_other(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An alert whose numbers aren't understood is logged, and the others are looked at."""
    async with connected(database) as connection:
        es = await product(connection)
        await alert(connection, Rule.SILENCE, "broken")
        await alert(connection, Rule.FINDING_CONFIRMED, "fine")
        await connection.execute("""UPDATE alert SET parameters = '{"minutes": 0}' WHERE name = 'broken'""")
        await confirm(connection, es, await license(connection, es), NOW)
        with caplog.at_level(logging.ERROR):
            assert len(await told(connection)) == 1
    assert "the alert 'broken' is not looked at: minutes: 0 can't be" in caplog.text


def deliveries(connection: Connection, **expected: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many deliveries are in each of these states, and none is in another."""

    async def check() -> bool:
        rows = await connection.fetch("SELECT state, count(*) AS count FROM alert_delivery GROUP BY state")
        return {row["state"]: row["count"] for row in rows} == expected

    return check


async def fire(connection: Connection, **given: Any) -> int:
    """Make an alert, have it fire, and return its number."""
    es = await product(connection)
    made = await alert(connection, Rule.FINDING_CONFIRMED, **given)
    await confirm(connection, es, await license(connection, es), NOW)
    assert len(await told(connection)) == 1
    return made.id


async def hurry(connection: Connection) -> None:
    """Let what waits to be tried again be due now."""
    await connection.execute("UPDATE alert_delivery SET next_try_at = now() WHERE state = 'waiting'")


async def test_an_event_is_told_by_mail_and_webhook(database: str) -> None:
    """All whom an alert tells are told, each once; the webhook's signature is right, and the mail says the same."""
    async with (
        connected(database) as connection,
        Peer().listening() as peer,
        Hook().listening() as hook,
    ):
        recipients = ("a@example.com", "b@example.com")
        number = await fire(connection, recipients=recipients, webhook=hook.url, language="fr")
        async with working(database, peer.url):
            await until(deliveries(connection, sent=3))
        assert sorted(mail.recipient for mail in peer.mails) == sorted(recipients)
        assert len({mail.message_id for mail in peer.mails}) == 2
        (received,) = hook.received
        assert received.is_signed(secret_of(SECRET, number), time.time())
        assert not received.is_signed(secret_of(SECRET, number + 1), time.time())
        message = peer.mails[0].message
        assert message["From"] == "callhome <callhome@example.com>"
        assert message["Subject"] == "watch: le constat 1 est confirmé"
        body = message.get_body(("plain",))
        assert body is not None
        assert received.message["data"]["text"] in body.get_content()
        assert "https://callhome.example.com" in body.get_content()


async def test_a_webhook_is_tried_again_with_the_same_id(database: str) -> None:
    """After a 503 it is tried again, no sooner than the receiver asked for; it knows the message by its id."""

    async def busy(_request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "7200"})

    async with connected(database) as connection, Hook([busy, 200]).listening() as hook:
        await fire(connection, recipients=(), webhook=hook.url)
        async with working(database):

            async def tried() -> bool:
                row = await connection.fetchrow(
                    "SELECT *, next_try_at > now() + interval '7000 s' AS later FROM alert_delivery"
                )
                return (row["state"], row["outcome"], row["later"]) == ("waiting", "503", True)

            await until(tried)
            await hurry(connection)
            await until(deliveries(connection, sent=1))
        assert [one.id for one in hook.received] == [hook.received[0].id] * 2
        assert hook.received[0].body == hook.received[1].body
        row = await connection.fetchrow("SELECT tries, outcome, sent_at FROM alert_delivery")
        assert (row["tries"], row["outcome"]) == (2, "200")
        assert row["sent_at"] is not None


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_webhook_that_refuses_is_given_up_loudly(
    status: int, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that says no is asked no more; log and history say so, and others are told all the same."""
    async with (
        connected(database) as connection,
        Hook([status]).listening() as hook,
        Peer().listening() as peer,
    ):
        await fire(connection, webhook=hook.url)
        with caplog.at_level(logging.ERROR):
            async with working(database, peer.url):
                await until(deliveries(connection, failed=1, sent=1))
        assert len(hook.received) == 1
        assert f"is failed: {status}" in caplog.text


async def test_row_27_a_slow_or_failing_target_holds_up_no_other(database: str) -> None:
    """A webhook that hangs, a mail that is refused and one that is cut hold up neither each other nor the rest."""

    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def answer(peer: Peer, verb: str, rest: str) -> Any:
        return refuse(peer, verb, rest) or cut(peer, verb, rest)

    refuse, cut = always("RCPT", "550 no", "b@example.com"), once("BODY", CUT, "c@example.com")
    async with (
        connected(database) as connection,
        Hook([hang]).listening() as hook,
        Peer(answer).listening() as peer,
    ):
        recipients = tuple(f"{name}@example.com" for name in "abcd")
        await fire(connection, recipients=recipients, webhook=hook.url)
        async with working(database, peer.url):
            await until(deliveries(connection, sent=2, failed=1, waiting=1, claimed=1))
        assert sorted(mail.recipient for mail in peer.mails) == ["a@example.com", "d@example.com"]


async def test_without_a_mail_server_a_mail_fails_and_a_webhook_does_not(database: str) -> None:
    """A mail that can't be sent says what to set, in the history; webhooks need no mail server."""
    async with connected(database) as connection, Hook().listening() as hook:
        await fire(connection, webhook=hook.url)
        async with working(database):
            await until(deliveries(connection, failed=1, sent=1))
        assert (
            await connection.fetchval("SELECT outcome FROM alert_delivery WHERE state = 'failed'") == NO_MAIL
        )


async def test_while_the_mail_server_is_away_webhooks_go_on(database: str, unused_tcp_port: int) -> None:
    """A mail server that can't be reached burns no try of a mail, and holds up no webhook."""
    async with connected(database) as connection, Hook().listening() as hook:
        await fire(connection, recipients=("a@example.com", "b@example.com"), webhook=hook.url)
        peer = Peer()
        peer.port = unused_tcp_port
        async with working(database, peer.url):
            await until(deliveries(connection, sent=1, waiting=2))
            assert (
                await connection.fetchval("SELECT max(tries) FROM alert_delivery WHERE channel = 'mail'") == 0
            )


async def test_a_removed_alert_tells_nothing_more(database: str) -> None:
    """What an alert had still to tell when it was removed is not told."""
    async with connected(database) as connection, Hook([503]).listening() as hook:
        await fire(connection, recipients=(), webhook=hook.url)
        async with working(database):

            async def tried() -> bool:
                return bool(hook.received)

            await until(tried)
            await alerts.remove(connection, "watch")
            await until(deliveries(connection))
        assert await connection.fetchval("SELECT count(*) FROM alert_event") == 0


async def test_two_jobs_look_and_tell_by_themselves(database: str) -> None:
    """Two replicas at work tell of a new finding once, without being asked."""
    async with (
        connected(database) as connection,
        Peer().listening() as peer,
        Hook().listening() as hook,
        AsyncExitStack() as stack,
    ):
        es = await product(connection)
        await alert(connection, Rule.FINDING_CONFIRMED, webhook=hook.url)
        for _ in range(2):
            await stack.enter_async_context(working(database, peer.url))
        await confirm(connection, es, await license(connection, es), NOW)
        await until(deliveries(connection, sent=2))
        assert (len(peer.mails), len(hook.received)) == (1, 1)


KILLED = """
import asyncio, sys
sys.path[:0] = {path!r}
from watched import working
async def main():
    async with working({dsn!r}):
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_row_28_a_replica_killed_while_it_tells_is_followed_by_another(database: str) -> None:
    """Killed between firing and the answer, a replica's message is sent again by another, under the same id."""
    is_asked = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        is_asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with connected(database) as connection, Hook([hang, 200]).listening() as hook:
        await fire(connection, recipients=(), webhook=hook.url)
        program = KILLED.format(dsn=database, path=[str(Path(__file__).parent)])
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            async with asyncio.timeout(30):
                await is_asked.wait()
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert await deliveries(connection, claimed=1)()
        await connection.execute("UPDATE alert_delivery SET next_try_at = now()")  # its claim runs out
        async with working(database):
            await until(deliveries(connection, sent=1))
        assert [one.id for one in hook.received] == [hook.received[0].id] * 2
        assert await connection.fetchval("SELECT count(*) FROM alert_event") == 1


async def test_pings_that_are_counted_are_seen(database: str) -> None:
    """Every kind of ping, also one with a wrong clock, tells that its product is not silent: by our clock."""
    writer = BatchWriter(database)
    async with connected(database) as connection, connected(database) as keeper:
        es = await product(connection)
        await rollup.prepare(keeper)
        before = await connection.fetchval("SELECT now()")
        await writer.write([bytes(Row(product=es, event=1, at_s=time.time() - 86_400))])
        await rollup.fold(keeper)
        first = await connection.fetchval("SELECT seen_at FROM product_seen WHERE product = $1", es)
        assert first >= before
        await writer.write([bytes(Row(product=es, event=1))])
        await rollup.fold(keeper)
        assert await connection.fetchval("SELECT seen_at FROM product_seen WHERE product = $1", es) > first
    await writer.close()
