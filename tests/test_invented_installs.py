"""Many installs behind one address, honest and invented ones: real pings, a real fold, the numbers that people see."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import pytest

from callhome.app import App
from callhome.pseudonyms import LICENSE, keyed
from callhome.store.ids import new_id
from listener import post
from running import SECRET, Connection, all_folded, connected, live, raw, running, until

CEILING: Final = 2_000  # the default
DAY_S: Final = 86_400


@dataclass
class Office:
    """A network of copies behind one address, and the server that they call."""

    app: App
    connection: Connection

    async def calls(self, installs: Iterable[str], *, days_ago: int = 0, **fields: Any) -> None:
        """Send a ping of each install, all from this machine's address; each must be stored, and is folded then."""
        at_s = datetime.now(UTC).timestamp() - days_ago * DAY_S
        waiting = iter(installs)
        async with raw(self.app.addresses.ingest) as client:
            while some := list(islice(waiting, 1_000)):
                lines = [line(install, at_s, fields) for install in some]
                answer = await client.send(post(b"\n".join(lines), "", "/v1/pings")).answer()
                assert (answer.status, json.loads(answer.body)) == (200, {"stored": len(some), "refused": []})
        await until(lambda: all_folded(self.connection))

    async def headline(self, days_ago: int = 0) -> int:
        """Return the active installs of a day, as headline numbers count them."""
        day = datetime.now(UTC).date() - timedelta(days=days_ago)
        counted = "SELECT coalesce(sum(installs), 0) FROM usage_daily WHERE day = $1 AND verified"
        return int(await self.connection.fetchval(counted, day))

    async def shown(self) -> int:
        """Return the active installs of today, as the map shows them."""
        told = await live(self.app.addresses.console)
        return sum(row[2] for row in told["countries"])

    async def all_installs(self) -> int:
        """Return how many installs there are, verified or not."""
        return int(await self.connection.fetchval("SELECT count(*) FROM install"))


def line(install: str, at_s: float, fields: dict[str, Any]) -> bytes:
    """Return a ping of an install at a time."""
    ping = {"product": "es", "version": "1.0", "install": install, "id": str(uuid.UUID(bytes=new_id(at_s)))}
    return json.dumps(ping | fields).encode()


def seats(count: int) -> Iterator[str]:
    """Return the ids of so many seats."""
    return (f"seat-{number:08}" for number in range(count))


@pytest.mark.fault(15)
async def test_an_office_at_nine_counts_at_once(database: str) -> None:
    """Row 15: 500 copies that start behind one address are all taken and all counted, on their first day."""
    async with running(database) as app, connected(database) as connection:
        office = Office(app, connection)
        await office.calls(seats(500))
        assert await office.headline() == await office.shown() == 500


@pytest.mark.fault(15)
async def test_a_roll_out_counts_by_its_second_day(database: str) -> None:
    """Row 15: of 5,000 seats that come behind one address in an hour all are taken, and all count on the second day."""
    async with running(database) as app, connected(database) as connection:
        office = Office(app, connection)
        await office.calls(seats(5_000), days_ago=1)
        assert await office.headline(days_ago=1) == CEILING
        assert await office.all_installs() == 5_000
        await office.calls(seats(5_000))
        assert await office.headline() == await office.shown() == 5_000
        # Its first day stays as it was: who would invent installs a day ahead must not find them counted twice.
        assert await office.headline(days_ago=1) == CEILING


@pytest.mark.fault(15)
async def test_seats_with_a_registered_license_count_at_once(database: str) -> None:
    """Row 15: with a license that is registered, all seats of a roll-out count on their first day."""
    hashed = keyed(SECRET.encode(), LICENSE)(b"ABCD-EFGH-1234")
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        await connection.execute(
            "INSERT INTO license (key_hash, customer, product, seats) SELECT $1, 'A', id, 10 FROM product",
            hashed,
        )
        async with running(database) as app:
            office = Office(app, connection)
            await office.calls(seats(3_000), license="ABCD-EFGH-1234")
            assert await office.headline() == await office.shown() == 3_000
            await office.calls(seats(4_000), license="an invented key")
            assert await office.headline() == await office.shown() == 3_000


@pytest.mark.fault(16)
async def test_invented_installs_do_not_move_the_headline(database: str) -> None:
    """Row 16: of 30,000 random installs of a network the numbers move by no more than the ceiling, and its own stay."""
    async with running(database) as app, connected(database) as connection:
        office = Office(app, connection)
        await office.calls(seats(50))
        await office.calls(uuid.uuid4().hex for _ in range(30_000))
        # The clock hour may end while this runs.
        assert await office.headline() == await office.shown() <= 2 * CEILING
        assert await office.all_installs() == 30_050
        assert office.app.tally.stored == 30_050
        # Those who were there before count as before, whoever crowds in behind them.
        before = await office.headline()
        await office.calls(seats(50))
        assert await office.headline() == before
