"""`callhome.store.connection`: what a place is called, and what a URL that can't be read leads to."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from urllib.parse import urlsplit

import pytest

from callhome.store.connection import StoreUnavailable, connect, where
from running import connected, until

HIDDEN = "CALLHOME_DATABASE_URL"


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://u:topsecret@db.example:5432/callhome", "db.example:5432/callhome"),
        ("postgres://u:topsecret@[::1]:1,b/callhome?password=topsecret", "[::1]:1,b/callhome"),
        ("postgresql:///callhome?host=/tmp", "/callhome"),
        ("postgresql://localhost", "localhost"),
        ("postgresql://u:topsecret/x@h/d", HIDDEN),
        ("postgresql://u:topsecret?x@h/d", HIDDEN),
        ("postgresql://u:topsecret", HIDDEN),
        ("postgresql://u@h/d?password=x@topsecret", HIDDEN),
        ("postgresql://u:topsecret@h℀x/d", HIDDEN),
        ("postgresql://u:topsecret@[/d", HIDDEN),
        ("topsecret", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_a_place_never_shows_a_password(dsn: str, place: str) -> None:
    """Host, port and database where they can be told from the rest; else the setting's name, and no error."""
    assert where(dsn) == place


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:topsecret@127.0.0.1:99999/d",
        "postgresql://u:topsecret@127.0.0.1:1,,127.0.0.1:2/d",
        "postgresql://u:topsecret@h℀x/d",
        "postgresql://u@127.0.0.1:1/d?topsecret",
    ],
)
async def test_a_url_that_cannot_be_read_is_unavailable(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the driver raises of a URL, the message names the setting, and even a traceback shows no password."""
    with pytest.raises(StoreUnavailable, match="CALLHOME_DATABASE_URL") as caught:
        await connect(dsn, "test")
    logging.getLogger("test").error("failed", exc_info=caught.value)
    assert "topsecret" not in "".join(traceback.format_exception(caught.value)) + caplog.text


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_it_leaves_no_session_open(database: str, turns: int) -> None:
    """Cancelled at whatever moment after one of two hosts has answered, while the other never does."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = urlsplit(database).netloc.rpartition("@")[2]
        dsn = database.replace(place, f"{place},127.0.0.1:{silent.getsockname()[1]}")
        others = asyncio.all_tasks()
        task = asyncio.create_task(connect(dsn, "a test"))
        await asyncio.sleep(0)

        def cancel(left: int) -> None:
            loop.call_soon(cancel, left - 1) if left else task.cancel()

        for attempt in asyncio.all_tasks() - others - {task}:
            attempt.add_done_callback(lambda _attempt: cancel(turns))
        await asyncio.wait([task])
        if not task.cancelled():
            task.result().terminate()
    async with connected(database) as connection:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'callhome a test' AND datname = $1"

        async def are_gone() -> bool:
            return bool(await connection.fetchval(sessions, urlsplit(database).path[1:]) == 0)

        await until(are_gone)
