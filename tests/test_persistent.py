"""`callhome.persistent`: work is begun again on a new connection, and ends at once when told to."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import asyncpg
import pytest

from callhome.persistent import Connection, Persistent, cut_after


async def test_work_goes_on_after_each_interruption(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Cut twice in one outage and once in the next, the work runs again; each outage is logged once, and its end."""
    caplog.set_level(logging.INFO)
    begun: asyncio.Queue[Connection] = asyncio.Queue()

    async def work(connection: Connection) -> None:
        begun.put_nowait(connection)
        while True:
            await connection.fetchval("SELECT pg_sleep(0.01)")

    async with Persistent("testing", partial(asyncpg.connect, database), work) as session:
        for is_outage_over in (False, True, False):
            connection = await asyncio.wait_for(begun.get(), 10)
            if is_outage_over:
                session.went_well()
            connection.terminate()
        await asyncio.wait_for(begun.get(), 10)
    told = [record.message.split(",")[0] for record in caplog.records if record.levelno >= logging.INFO]
    assert told == ["testing: interrupted", "testing: the database answers again", "testing: interrupted"]


async def test_a_fault_in_the_work_is_logged_and_not_the_end(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error is logged with its traceback, and the work is begun again."""
    begun = asyncio.Semaphore(0)

    async def work(_connection: Connection) -> None:
        begun.release()
        raise ZeroDivisionError

    async with Persistent("testing", partial(asyncpg.connect, database), work):
        async with asyncio.timeout(10):
            await begun.acquire()
            await begun.acquire()
    assert "ZeroDivisionError" in caplog.text


async def test_a_silent_server_is_cut(database: str) -> None:
    """A query that takes longer than allowed ends with its connection, not with a cancel that needs an answer."""
    connection: Connection = await asyncpg.connect(database)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)), cut_after(connection, 0.05):
        await connection.execute("SELECT pg_sleep(60)")
    assert connection.is_closed()
