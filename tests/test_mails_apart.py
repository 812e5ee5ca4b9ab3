"""Whole servers that send mails, one of which is killed: nobody gets a mail twice, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from callhome.store import reports
from mailpeers import Peer
from running import PATIENCE_S, Process, connected, serving_apart, until
from subscriptions import Connection, draft, received, states

REPLICAS = 3
# Of each server to the mail server: the default.
CONNECTIONS = 3


@asynccontextmanager
async def replicas(dsn: str, peer: Peer, **environ: str) -> AsyncIterator[list[Process]]:
    """Servers on one database that send through ``peer``."""
    environ = {
        "CALLHOME_SMTP_URL": str(peer.url),
        "CALLHOME_MAIL_FROM": "callhome@example.com",
        "CALLHOME_CONSOLE_URL": "https://callhome.example.com",
        "CALLHOME_SMTP_S": "2",
        **environ,
    }
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(serving_apart(dsn, **environ)) for _ in range(REPLICAS)]
        yield [process for process, _ in started]


async def subscribed(connection: Connection, subscriptions: int, recipients: int) -> int:
    """Make so many subscriptions, all due at once, with so many recipients in all; return how many."""
    each = recipients // subscriptions
    for number in range(subscriptions):
        addresses = tuple(f"r{number}-{one}@example.com" for one in range(each))
        await reports.add(connection, draft(f"report {number}", addresses))
    await connection.execute("UPDATE report SET next_due = now()")
    return subscriptions * each


class Midway:
    """Answers last lines at once, but for those that come after so many mails: they wait until somebody was killed.

    So each server is found where it hurts most: all its last lines have left, and none is answered.
    """

    def __init__(self, after: int) -> None:
        self.killed = asyncio.Event()
        self._after = after
        self._waiting = 0

    async def __call__(self, peer: Peer, verb: str, _rest: str) -> str | None:
        """Answer as usual, or wait."""
        if verb == "DOT" and len(peer.mails) >= self._after and not self.killed.is_set():
            self._waiting += 1
            await self.killed.wait()
        return None

    async def is_reached(self) -> bool:
        """Whether all connections of all servers wait."""
        return self._waiting == REPLICAS * CONNECTIONS


async def check(connection: Connection, peer: Peer, total: int) -> dict[str, int]:
    """Nobody has a mail twice, and who may have none is shown as uncertain; return the states."""
    found, got = await states(connection), received(peer)
    assert set(found) <= {"sent", "uncertain"}
    assert sum(found.values()) == total
    assert max(got.values()) == 1
    rows = await connection.fetch("SELECT message_id, state FROM delivery")
    missing = {f"<{row['message_id']}>": row["state"] for row in rows if f"<{row['message_id']}>" not in got}
    assert set(missing.values()) <= {"uncertain"}
    assert set(got) <= {f"<{row['message_id']}>" for row in rows}
    return found


async def kill_one(dsn: str, total: int, subscriptions: int, patience_s: float) -> tuple[dict[str, int], str]:
    """Have three servers send mails, kill one halfway, and check what became of all; return states and times."""
    midway, clock = Midway(total // 2), asyncio.get_running_loop().time
    async with connected(dsn) as connection, Peer(midway).listening() as peer:
        assert await subscribed(connection, subscriptions, total) == total
        async with replicas(dsn, peer) as processes:
            begun_s = clock()
            await until(midway.is_reached, patience_s)
            processes[0].kill()
            midway.killed.set()
            killed_s = clock()

            async def settled() -> bool:
                if total < 1_000:
                    # What the killed one had claimed runs out; here without waiting for it.
                    await connection.execute(
                        "UPDATE delivery SET next_try_at = now() "
                        "WHERE state IN ('claimed', 'sending') AND changed_at < now() - interval '5 seconds'"
                    )
                found = await states(connection)
                return sum(found.values()) == total and set(found) <= {"sent", "uncertain"}

            await until(settled, patience_s)
            took = f"killed after {killed_s - begun_s:.0f} s, settled after {clock() - begun_s:.0f} s"
        return await check(connection, peer, total), took


@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
@pytest.mark.fault(28)
async def test_row_28_a_replica_is_killed_while_mails_leave(database: str) -> None:
    """Three servers, one killed with last lines unanswered: those mails are uncertain, all others come once."""
    found, _took = await kill_one(database, total=120, subscriptions=6, patience_s=2 * PATIENCE_S)
    assert found == {"sent": 120 - CONNECTIONS, "uncertain": CONNECTIONS}


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
@pytest.mark.fault(28)
async def test_row_28_ten_thousand_recipients(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """10,000 recipients of 200 reports due at once, three servers, one killed midway: none twice, none forgotten."""
    found, took = await kill_one(database, total=10_000, subscriptions=200, patience_s=600)
    assert found == {"sent": 10_000 - CONNECTIONS, "uncertain": CONNECTIONS}
    with capsys.disabled():
        print(f"\n10,000 mails: {found}, {took}")
