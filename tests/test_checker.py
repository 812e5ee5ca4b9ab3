"""The checker of the crash tests finds what is planted: in a real server, in the real table, and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

import lying
from callhome.pseudonyms import INSTALL, keyed
from callhome.store.ids import new_id
from checker import Fate, Log, Sent, Stored, account, check, stored
from copies import Copies
from crashes import TESTS, World
from running import SECRET, Connection, connected, running

# Each changes one row of a real table, and what the checker must call it.
PLANTED = {
    "a row that is gone": ("DELETE FROM ping WHERE id = $1", "LOST"),
    "a twin without the key": (
        "ALTER TABLE ping DROP CONSTRAINT ping_pkey; INSERT INTO ping SELECT * FROM ping WHERE id = $1",
        "TWIN",
    ),
    "a twin under another spelling": (
        "INSERT INTO ping (id, install, at, day, product, users, event, verified, weak, country, version, build, os, "
        "batch) SELECT id, sha256(install), at, day, product, users, event, verified, weak, country, version, build, "
        "os, batch FROM ping WHERE id = $1",
        "STRANGER",
    ),
    "a row with another's users": ("UPDATE ping SET users = users + 1 WHERE id = $1", "CHANGED"),
    "a row of another product": ("UPDATE ping SET product = product + 1 WHERE id = $1", "CHANGED"),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_planted_in_the_table_is_found(name: str, database: str) -> None:
    """One row of a table that a load has filled is taken away, doubled or changed: the checker names just that ping."""
    statements, kind = PLANTED[name]
    async with connected(database) as connection, running(database) as app:
        await connection.execute("INSERT INTO product (key, name) VALUES ('fr', 'FR')")
        copies = Copies(lambda: app.addresses.ingest, seed=1, products=("es",), only_single=True)
        async with copies.pinging():
            await copies.acked(100)
        assert check(copies.log, await stored(connection), SECRET) == []
        victim = next(ping for ping, fate in copies.log.fates.items() if fate.acked)

        *first, last = statements.split("; ")
        for statement in first:
            await connection.execute(statement)
        await connection.execute(last, victim.id)

        (problem,) = check(copies.log, await stored(connection), SECRET)
        assert problem.startswith(kind)
        assert f"(1): ping {victim.id} of " in problem


@pytest.mark.parametrize("lie", lying.LIES)
async def test_a_server_that_lies_is_found_out(
    lie: str, open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """A server that acknowledges what it loses, or stores a ping twice, does not pass: the ping is named."""
    ports = [unused_tcp_port_factory() for _ in range(3)]
    script = (str(TESTS / "lying.py"), lie)
    async with World.build(open_tmp_path, ports, script=script) as world:
        copies = Copies(lambda: world.server.place, seed=2)
        async with copies.pinging():
            # Of what it loses, some was there before, or is never acknowledged.
            await copies.acked(500)
            with world.line.away():
                await copies.acked(200)
            await copies.acked(200)
        await world.settled()
        with pytest.raises(AssertionError) as caught:
            await world.verdict(copies.log)
        kind = (
            "STRANGER: stored, but sent by nobody" if "twice" in lie else "LOST: acknowledged, but not stored"
        )
        assert kind in str(caught.value)
        async with connected(world.postgres.dsn) as connection:
            assert await names_the_ping(connection, copies.log, str(caught.value))


async def names_the_ping(connection: Connection, log: Log, said: str) -> bool:
    """Whether what the checker said names a ping that is not where it ought to be."""
    there = {row.id for row in await stored(connection)}
    sent = {ping.id for ping in log.fates}
    acked = {ping.id for ping, fate in log.fates.items() if fate.acked}
    return any(str(id_) in said for id_ in (acked - there) | (there - sent))


# --- in words ---------------------------------------------------------------------------------------------------------

PING = Sent(UUID(bytes=new_id()), "install-1")
ROW = Stored(PING.id, keyed(SECRET.encode(), INSTALL)(b"install-1"), "es", "1.0", 1)
ACKED, REFUSED, OPEN = Fate(1, 1), Fate(1, 0, 1), Fate(1)


@pytest.mark.parametrize(
    ("fate", "rows", "kinds"),
    [
        (ACKED, [ROW], []),
        (OPEN, [ROW], []),
        (OPEN, [], []),
        (REFUSED, [], []),
        (ACKED, [], ["LOST"]),
        (ACKED, [ROW, ROW], ["TWIN"]),
        (OPEN, [ROW, ROW], ["TWIN"]),
        (REFUSED, [ROW], ["REFUSED"]),
        (ACKED, [ROW, ROW._replace(install=b"x")], ["STRANGER"]),
        (ACKED, [ROW, ROW._replace(id=UUID(int=1))], ["STRANGER"]),
        (ACKED, [ROW._replace(version="2.0")], ["CHANGED"]),
        (ACKED, [ROW._replace(install=b"x")], ["LOST", "STRANGER"]),
    ],
)
def test_each_fate_and_its_rows_are_judged(fate: Fate, rows: list[Stored], kinds: list[str]) -> None:
    """Acknowledged is once, refused is not, open is either; what differs and what nobody sent is told."""
    log = Log()
    log.fates[PING] = replace(fate)
    assert [problem.partition(":")[0] for problem in check(log, rows, SECRET)] == kinds


def test_every_ping_is_in_the_account_once() -> None:
    """What clients made is stored, refused, or neither."""
    log = Log()
    log.fates[PING] = ACKED
    log.fates[PING._replace(id=UUID(int=1))] = REFUSED
    log.fates[PING._replace(id=UUID(int=2))] = OPEN
    assert str(account(log, [ROW], SECRET)) == "3 made = 1 stored + 1 refused + 1 neither"
