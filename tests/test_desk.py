"""`callhome.jobs.desk`: one connection for several tasks, and what they do while there is none."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from callhome.jobs import desk as module
from callhome.jobs.desk import Away, Desk
from running import connected
from subscriptions import Connection


async def test_work_takes_turns(database: str) -> None:
    """Tasks that use the connection at once wait for each other, and each gets its own result."""
    desk = Desk()
    async with connected(database) as connection:
        with desk.open(connection):

            async def number(value: int) -> int:
                found: int = await desk.use(lambda it: it.fetchval("SELECT $1::int", value))
                return found

            assert await asyncio.gather(*(number(value) for value in range(50))) == list(range(50))


async def test_without_a_connection_it_is_told(database: str) -> None:
    """Before, after and when the connection is lost, work is refused at once."""
    desk = Desk()
    with pytest.raises(Away):
        await desk.use(ping)
    async with connected(database) as connection:
        with desk.open(connection):
            connection.terminate()
            with pytest.raises(Away):
                await desk.use(ping)
    with pytest.raises(Away):
        await desk.use(ping)


async def ping(connection: Connection) -> int:
    """Ask for a number."""
    found: int = await connection.fetchval("SELECT 1")
    return found


async def test_work_that_must_be_done_waits_for_the_next_connection(database: str) -> None:
    """What is insisted on is done over an outage, once there is a connection again."""
    desk = Desk()
    insisting = asyncio.create_task(desk.insist(ping))
    async with connected(database) as first, connected(database) as second:
        with desk.open(first):
            first.terminate()
            await asyncio.sleep(0)
        assert not insisting.done()
        with desk.open(second):
            assert await insisting == 1


async def test_a_frozen_database_is_cut(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes too long loses the connection, so that others need not wait for ever."""
    monkeypatch.setattr(module, "_STATEMENT_S", 0.1)
    desk = Desk()
    async with connected(database) as connection:
        with desk.open(connection):
            with pytest.raises(Away):
                await desk.use(lambda it: it.fetchval("SELECT pg_sleep(60)"))
            assert connection.is_closed()


async def test_a_session_that_the_server_ended_is_away(database: str) -> None:
    """Whatever a session raises that was ended from elsewhere, work hears that there is no connection, and waits."""
    desk = Desk()
    async with connected(database) as first, connected(database) as second, connected(database) as killer:
        with desk.open(first):
            await killer.execute("SELECT pg_terminate_backend($1::integer)", first.get_server_pid())
            async with asyncio.timeout(20):
                while not first.is_closed():
                    with suppress(Away):
                        await desk.use(ping)
            insisting = asyncio.create_task(desk.insist(ping))
            await asyncio.sleep(0)
        with desk.open(second):
            assert await insisting == 1
