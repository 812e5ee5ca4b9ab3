"""PostgreSQL is away, frozen or silent while pings come: they are spooled, no client notices, each is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from copies import Copies
from crashes import World, when
from running import connected, until

Ports = list[int]


@pytest.fixture
def ports(unused_tcp_port_factory: Callable[[], int]) -> Ports:
    return [unused_tcp_port_factory() for _ in range(3)]


# --- how PostgreSQL may be away ---------------------------------------------------------------------------------------


@asynccontextmanager
async def stopped(world: World) -> AsyncIterator[None]:
    """It is stopped in order, and started again."""
    await world.postgres.stop()
    yield
    await world.postgres.start()


@asynccontextmanager
async def killed(world: World) -> AsyncIterator[None]:
    """It is killed, and started again."""
    await world.postgres.kill()
    yield
    await world.postgres.start()


@asynccontextmanager
async def frozen(world: World) -> AsyncIterator[None]:
    """The sessions that write are frozen."""
    async with world.frozen_writers() as sessions:
        assert sessions
        yield


@asynccontextmanager
async def swallowed(world: World) -> AsyncIterator[None]:
    """The line is a black hole: what is said never arrives, and nothing is refused."""
    with world.line.hole():
        yield


async def is_back(world: World) -> bool:
    """Whether pings go straight to the database."""
    return not (await world.server.metrics())["callhome_database_away",]


Away = Callable[[World], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize("away", [stopped, killed, frozen, swallowed])
@pytest.mark.parametrize("pings", [1_000, pytest.param(20_000, marks=pytest.mark.long)])
@pytest.mark.fault(19, 21, 22)
async def test_an_outage_costs_no_ping_and_no_5xx(
    away: Away, pings: int, open_tmp_path: Path, ports: Ports
) -> None:
    """Rows 21, 22: while PostgreSQL is away all are answered 2xx, and soon; later all are stored and counted."""
    async with World.build(open_tmp_path, ports) as world:
        copies = Copies(lambda: world.server.place, seed=22)
        async with copies.pinging():
            await copies.acked(100)
            async with away(world):
                await copies.acked(pings, patience_s=600)
            await until(lambda: is_back(world))
            await copies.acked(100)
        # A client waits 5 s for its answer, so that spooling has begun within the 2 s of SPOOL_AFTER_S.
        assert copies.log.unanswered == 0
        assert max(copies.log.statuses) < 500, copies.log.statuses
        await world.settled()
        told = await world.accounted()
        assert told["callhome_spooled_pings_total",] > 0
        assert await world.server.finish() == 0
        await world.verdict(copies.log)


@pytest.mark.fault(22)
async def test_a_server_starts_while_its_database_is_away(open_tmp_path: Path, ports: Ports) -> None:
    """Row 22: killed and started again during an outage, it takes pings from the start; all are stored later."""
    async with World.build(open_tmp_path, ports) as world:
        copies = Copies(lambda: world.server.place, seed=23)
        async with copies.pinging():
            await copies.acked(50)
            await world.postgres.stop()
            for _ in range(2):
                await copies.acked(50)
                await world.server.kill()
            await world.server.ready()
            await copies.acked(50)
            away = await world.server.metrics()
            assert away["callhome_database_away",] == 1
            assert away["callhome_recovered_pings_total",] > 0
            await world.postgres.start()
            await until(lambda: is_back(world))
            await copies.acked(50)
        await world.settled()
        told = await world.accounted()
        assert told["callhome_recovered_pings_total",] == away["callhome_recovered_pings_total",]
        assert world.server.starts == 3, "it ended by itself"
        assert await world.server.finish() == 0
        await world.verdict(copies.log)


@pytest.mark.fault(22, 25)
async def test_what_is_spooled_at_the_end_is_stored_after_the_next_start(
    open_tmp_path: Path, ports: Ports
) -> None:
    """Rows 22, 25: SIGTERM during an outage ends with 0 and leaves the spool; the next server drains it."""
    async with World.build(open_tmp_path, ports) as world:
        copies = Copies(lambda: world.server.place, seed=25)
        async with copies.pinging():
            await world.postgres.stop()
            await copies.acked(50)
            assert await world.server.finish() == 0
        assert copies.log.statuses.keys() <= {200, 204, 400, 503}
        assert world.spool is not None
        assert list(world.spool.glob("*.seg"))
        await world.postgres.start()
        async with world.server:
            await world.server.ready()
            await world.settled()
            assert (await world.accounted())["callhome_recovered_pings_total",] > 0
            assert await world.server.finish() == 0
        assert not list(world.spool.glob("*.seg"))
        await world.verdict(copies.log)


# --- the account ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(19, 20, 21)
async def test_the_account_holds_through_all_faults(open_tmp_path: Path, ports: Ports) -> None:
    """Through kills, cuts and frozen sessions a server that lives counts each ping once, as the table has them."""
    async with World.build(open_tmp_path, ports, CALLHOME_SPOOL_AFTER_S="0.3") as world:
        copies = Copies(lambda: world.server.place, seed=7)
        async with copies.pinging():
            for moment in ("before", "after") * 3:
                cuts = world.line.cuts
                world.line.cut_at_commit("before" if moment == "before" else "after")
                await when(lambda cuts=cuts: world.line.cuts > cuts)  # type: ignore[misc]
                await copies.acked(20)
            for away in (killed, frozen, swallowed, stopped):
                async with away(world):
                    await copies.acked(50)
                await until(lambda: is_back(world))
                await copies.acked(50)
        await world.settled()
        told = await world.accounted()
        log = copies.log
        assert log.unanswered == 0
        assert told["callhome_received_pings_total",] == sum(fate.sent for fate in log.fates.values())
        refused = sum(fate.refused for fate in log.fates.values())
        assert (
            sum(value for (name, *_), value in told.items() if name == "callhome_refused_pings_total")
            == refused
        )
        async with connected(world.postgres.dsn) as connection:
            rows = await connection.fetch(
                "SELECT key, count(*) FROM ping JOIN product ON product.id = product GROUP BY key"
            )
        stored = Counter({key: told["callhome_stored_pings_total", key] for key, _ in rows})
        assert stored == Counter(dict(rows))
        assert world.server.starts == 1
        await world.verdict(log)
