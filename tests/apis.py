"""A console with the API over a database of a test, and what is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg

from callhome.access.model import Role
from callhome.api.everything import api
from callhome.jobs import series as job
from callhome.store import partitions, rollup, series
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from consoles import console
from rows import Row

TODAY = datetime.now(UTC).date()
ROLES = {role: f"ch_{(role.value * 10)[:43]}" for role in Role}


@dataclass(frozen=True)
class Asker:
    """Asks one console, as whoever has a role."""

    session: aiohttp.ClientSession
    base: str

    async def get(
        self,
        path: str,
        *,
        role: Role | None = Role.VIEWER,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, JSON or text, and headers of an answer; ``first`` and ``last`` are ``from`` and ``to``."""
        names = {"first": "from", "last": "to"}
        given = {names.get(key, key): str(value) for key, value in query.items()}
        shown = {} if role is None else {"Authorization": f"Bearer {ROLES[role]}"}
        async with self.session.get(
            f"{self.base}/api/v1{path}",
            params=given,
            headers={**shown, **(headers or {})},
            allow_redirects=False,
        ) as response:
            if response.content_type == "application/json":
                return response.status, await response.json(), response.headers
            return response.status, (await response.read()).decode(), response.headers

    async def ok(self, path: str, **query: Any) -> Any:
        """Return what was answered with 200."""
        status, said, _ = await self.get(path, **query)
        assert status == 200, said
        return said

    async def refused(self, path: str, **query: Any) -> tuple[int, str, str | None]:
        """Return status, reason and field of a refusal."""
        status, said, _ = await self.get(path, **query)
        assert status >= 400, said
        return status, said["reason"], said.get("field")


@asynccontextmanager
async def asking(dsn: str) -> AsyncIterator[Asker]:
    """A console with the API, and who asks it."""
    people = {token: role for role, token in ROLES.items()}
    async with (
        api(dsn) as routes,
        console(routes=routes, people=people) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Asker(session, f"http://127.0.0.1:{server.port}")


def day(ago: int) -> date:
    """The UTC day so many days ago."""
    return TODAY - timedelta(days=ago)


def row(ago: int, second: int = 0, **given: Any) -> Row:
    """A ping of so many days ago; the id is of its time."""
    at_s = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp() - ago * 86_400 + second
    return Row(at_s=at_s, id=new_id(at_s), **given)


async def store(dsn: str, rows: list[Row], *names: str) -> None:
    """Store pings of products that are registered first, fold them, and make the series."""
    connection = await asyncpg.connect(dsn)
    for name in names:
        await connection.execute("INSERT INTO product (key, name) VALUES ($1, initcap($1))", name)
    await partitions.ensure(connection, TODAY)
    writer = BatchWriter(dsn)
    if rows:
        await writer.write([bytes(each) for each in rows])
    await writer.close()
    await rollup.prepare(connection)
    await series.prepare(connection)
    while (folded := await rollup.fold(connection)) is None or folded.batches:
        pass
    await job.look(connection)
    await connection.close()
