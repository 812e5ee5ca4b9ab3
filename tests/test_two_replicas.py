"""Two replicas on one database show the same numbers, whatever happens to the line on which they hear of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import connect

from callhome.app import App
from callhome.live.counters import Counters
from callhome.live.wire import SNAPSHOT_REQUEST, LiveState, decode
from running import Connection, Load, all_folded, connected, live, recount, running, until
from signed import SIGNED

CUTS = 4


async def listeners(connection: Connection) -> set[int]:
    """Return the process ids of the sessions that hear of changes."""
    rows = await connection.fetch(
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'callhome live'"
    )
    return {row["pid"] for row in rows}


@asynccontextmanager
async def watching(app: App) -> AsyncIterator[LiveState]:
    """A viewer's state, kept up over a websocket; a viewer that misses a number asks for a snapshot."""
    state = LiveState()

    async def follow(viewer: Any) -> None:
        async for text in viewer:
            state.receive(decode(text))
            if state.lost:
                await viewer.send(SNAPSHOT_REQUEST)

    async with connect(f"ws://{app.addresses.console}/live", additional_headers=SIGNED) as viewer:
        following = asyncio.create_task(follow(viewer))
        try:
            yield state
        finally:
            following.cancel()
            await asyncio.wait([following])


def shown(state: Counters) -> dict[str, Any]:
    """What a viewer knows, in the form of `recount`."""
    return {
        "today": state.today and state.today.isoformat(),
        "products": [{"key": key, "name": name} for key, name in sorted(state.products.items())],
        "countries": [[*key, *counts] for key, counts in sorted(state.countries.items())],
        "builds": [[*key, count] for key, count in sorted(state.builds.items())],
    }


async def test_replicas_stay_equal_while_a_listener_is_cut(database: str) -> None:
    """One replica's LISTEN session is cut again and again under load on both: all counters end as a recount says."""
    async with (
        connected(database) as connection,
        running(database) as cut,
        running(database) as whole,
        watching(cut) as viewer_of_cut,
        watching(whole) as viewer_of_whole,
    ):
        await until(lambda: both_listen(connection))
        load = Load(lambda: [cut.addresses.ingest, whole.addresses.ingest])
        spared = max(await listeners(connection))
        seen = {spared}
        async with load.under():
            for _ in range(CUTS):
                (victim,) = await listeners(connection) - {spared}
                seen.add(victim)
                await connection.execute("SELECT pg_terminate_backend($1::integer)", victim)
                await load.has(100)
                await until(lambda: both_listen(connection))
        assert len(seen) == CUTS + 1, "a listener was not restored as another session"
        assert spared in await listeners(connection)

        async def equal() -> bool:
            truth = await recount(connection)
            told = [await live(app.addresses.console) for app in (cut, whole)]
            return (
                await all_folded(connection)
                and [truth == found for found in (*told, shown(viewer_of_cut), shown(viewer_of_whole))]
                == [True] * 4
            )

        await until(equal)
        assert await connection.fetchval("SELECT count(*) FROM ping") == len(load.acked)
        assert cut.tally.stored > 0 < whole.tally.stored


async def both_listen(connection: Connection) -> bool:
    """Whether each replica has its session."""
    return len(await listeners(connection)) == 2
