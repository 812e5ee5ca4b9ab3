"""A database of two servers: the standby is promoted under load, and no acknowledged ping is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from bench import standby
from callhome.store.connection import StoreUnavailable, connect
from copies import Copies
from crashes import START_S, Server, settled, verdict
from namespaces import at, machines
from running import connected, until
from standbys import Pair, in_turn, replicas

# A busy machine needs half a minute until a killed primary is noticed, and its standby promoted.
PATIENCE_S = 120.0


@pytest.mark.fault(19)
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_promotion_under_load_loses_nothing(
    how: str, open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """Row 19, with a synchronous standby: the primary dies or hangs, the standby takes over: nothing lost, no 5xx."""
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    async with (
        Pair(open_tmp_path, ports) as pair,
        replicas(
            open_tmp_path, pair.dsn, unused_tcp_port_factory, 3, CALLHOME_SPOOL_AFTER_S="0.5"
        ) as servers,
    ):
        copies = Copies(in_turn(servers), seed=6, count=12)
        async with copies.pinging():
            await copies.acked(200, PATIENCE_S)
            if how == "killed":
                await pair.primary.kill()
            else:
                pair.primary.freeze()
            await copies.acked(100, PATIENCE_S)
            await pair.promote()
            await copies.acked(300, PATIENCE_S)
        for server in servers:
            await settled(pair.standby.dsn, server, PATIENCE_S)
        assert not [status for status in copies.log.statuses if status >= 500], copies.log.statuses
        await verdict(pair.standby.dsn, copies.log)


async def test_a_standby_is_no_database(
    open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """Of several hosts the one that takes writes is connected to, in any order; a standby alone is refused."""
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    async with Pair(open_tmp_path, ports) as pair:
        first, second = (f"127.0.0.1:{port}" for port in ports)
        turned = pair.dsn.replace(f"{first},{second}", f"{second},{first}")
        for dsn in (pair.dsn, turned, pair.primary.dsn):
            connection = await connect(dsn, "test")
            assert await connection.fetchval("SELECT inet_server_port()") == ports[0]
            await connection.close()
        with pytest.raises(StoreUnavailable, match="it takes no writes: it is a standby"):
            await connect(pair.standby.dsn, "test")
        connection = await connect(f"{pair.standby.dsn}?target_session_attrs=standby", "test")
        await connection.close()

        await pair.primary.kill()
        await pair.promote()

        connection = await connect(pair.dsn, "test")
        assert await connection.fetchval("SELECT inet_server_port()") == ports[1]
        await connection.close()


async def test_a_commit_waits_for_the_standby(
    open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """While the standby is away no commit is acknowledged: pings go to the spool, and out when it is back."""
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    async with (
        Pair(open_tmp_path, ports) as pair,
        replicas(open_tmp_path, pair.dsn, unused_tcp_port_factory, 1, CALLHOME_SPOOL_AFTER_S="0.5") as (
            server,
        ),
    ):
        copies = Copies(in_turn([server]), seed=7, only_single=True)
        async with copies.pinging():
            await copies.acked(50, PATIENCE_S)
            await pair.standby.stop()
            await copies.acked(50, PATIENCE_S)
            assert (await server.metrics())["callhome_database_away",] == 1
            await pair.standby.start()
            await until(lambda: is_back(server), START_S)
            await copies.acked(50, PATIENCE_S)
        await settled(pair.primary.dsn, server, PATIENCE_S)
        assert set(copies.log.statuses) == {204}
        await verdict(pair.primary.dsn, copies.log)


async def is_back(server: Server) -> bool:
    """Whether the server commits to the database again."""
    await asyncio.sleep(0)
    return not (await server.metrics())["callhome_database_away",]


@pytest.mark.fault(19)
async def test_a_primary_that_is_cut_off_is_left(
    open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """Row 19, with machines of their own: the primary's cable is pulled, and nobody says so: nothing lost, no 5xx."""
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]
    with machines(2) as pair_of:
        async with Pair(open_tmp_path, ports) as pair:
            both = at(pair_of, pair.primary.dsn)
        alone = [at([machine], pair.primary.dsn) for machine in pair_of]
        follow = f"host={pair_of[0].address} port=5432 user=callhome password={password(both)}"
        with (
            pair_of[0].postgres(open_tmp_path / "primary"),
            pair_of[1].postgres(open_tmp_path / "standby", primary_conninfo=follow),
        ):
            await until(lambda: follows(alone[0]), START_S)
            async with replicas(open_tmp_path, both, unused_tcp_port_factory, 2) as servers:
                copies = Copies(in_turn(servers), seed=8)
                async with copies.pinging():
                    await copies.acked(100, PATIENCE_S)
                    pair_of[0].unplug()
                    await copies.acked(100, PATIENCE_S)
                    await standby.promote(alone[1])
                    await copies.acked(200, PATIENCE_S)
                for server in servers:
                    await settled(alone[1], server, PATIENCE_S)
                assert not [status for status in copies.log.statuses if status >= 500], copies.log.statuses
                await verdict(alone[1], copies.log)


async def follows(dsn: str) -> bool:
    """Whether a standby follows this primary, whose commits wait for it."""
    try:
        async with connected(dsn) as connection:
            found = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            )
            return bool(found)
    except (OSError, asyncpg.CannotConnectNowError):
        return False


def password(dsn: str) -> str:
    """The password in a connection string."""
    return dsn.partition("://")[2].rpartition("@")[0].partition(":")[2]
