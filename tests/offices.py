"""Offices that use a license day by day, in the real store: pings of their time, folded, counted and settled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from callhome.jobs.licenses import look
from callhome.licenses.model import Terms
from callhome.licenses.verdict import verdict
from callhome.store import rollup
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from rows import Row

# The day before the first of each office; ids older than 90 days have no time of their own.
EVE = datetime.now(UTC).date() - timedelta(days=89)
KEY = b"k" * 16
MORNING, EVENING = 9.0, 18.0


@dataclass(frozen=True)
class Use:
    """A ping of an install at an hour of a day of the office; days count from 1."""

    day: int
    hour: float
    install: int
    country: str = "DE"
    version: str = "1.0"
    product: int = 1
    users: int = 1
    verified: bool = True

    def row(self) -> bytes:
        """The ping as the store gets it."""
        at_s = (
            datetime(EVE.year, EVE.month, EVE.day, tzinfo=UTC).timestamp()
            + self.day * 86_400
            + self.hour * 3_600
        )
        return bytes(
            Row(
                install=self.install, id=new_id(at_s), at_s=at_s, country=self.country, version=self.version,
                product=self.product, users=self.users, verified=self.verified, license=KEY,
            )
        )  # fmt: skip


def office(
    installs: Iterable[int],
    days: Iterable[int],
    country: str = "DE",
    hours: Iterable[float] = (MORNING,),
    product: int = 1,
) -> list[Use]:
    """Installs that are used on each of the days at each of the hours."""
    return [
        Use(day, hour + install / 10_000, install, country, product=product)
        for day in days
        for install in installs
        for hour in hours
    ]


def on(day: int) -> date:
    """A day of an office as a date."""
    return EVE + timedelta(days=day)


class Office:
    """One license of the product 1 (es), and what becomes of it. Product 2 is another."""

    def __init__(self, connection: Any, writer: BatchWriter) -> None:
        self.connection = connection
        self._writer = writer

    async def sell(self, **terms: Any) -> None:
        """Register the license."""
        terms = {"key_hash": KEY, "last4": "7F3Q", "customer": "Office", "product": 1, "seats": 1, **terms}
        places = ", ".join(f"${number}" for number in range(1, len(terms) + 1))
        await self.connection.execute(
            f"INSERT INTO license ({', '.join(terms)}) VALUES ({places})", *terms.values()
        )

    async def change(self, change: str, day: int) -> None:
        """Change the license's terms, as the registry does."""
        await self.connection.execute(f"UPDATE license SET {change}")
        await self.connection.execute("INSERT INTO license_touched SELECT id, $1 FROM license", on(day - 30))

    async def live(self, day: int, uses: Iterable[Use]) -> None:
        """Live through a day: of the uses those of that day, then the evening's look."""
        await self.send(use for use in uses if use.day == day)
        await look(self.connection, on(day))

    async def send(self, uses: Iterable[Use]) -> None:
        """Have these pings stored and folded."""
        if rows := [use.row() for use in uses]:
            await self._writer.write(rows)
        while (folded := await rollup.fold(self.connection)) is None or folded.batches:
            pass

    async def verdict(self, day: int) -> str:
        """What an answer to a ping would say on that day."""
        row = await self.connection.fetchrow(
            "SELECT product, starts, ends, grace_days, revoked_on, is_over "
            "FROM license JOIN license_state ON license = id"
        )
        return verdict(Terms(**row), 1, on(day))

    async def findings(self) -> str:
        """Each finding as rule, state and cause."""
        rows = await self.connection.fetch("SELECT rule, state, cause FROM finding ORDER BY id")
        return ", ".join(" ".join(filter(None, row)) for row in rows)


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Office]:
    """An office in an empty database."""
    connection, writer = await asyncpg.connect(dsn), BatchWriter(dsn)
    try:
        await rollup.prepare(connection)
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('other', 'Other')")
        yield Office(connection, writer)
    finally:
        await writer.close()
        await connection.close()
