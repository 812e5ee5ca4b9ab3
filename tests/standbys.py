"""A primary whose commits wait for its standby, that standby, and replicas of callhome that know both."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from bench import standby
from callhome.settings import Listen
from callhome.store import schema
from crashes import Postgres, Server
from running import SECRET, connected


class Pair:
    """Two PostgreSQL servers in ``folder``: an async context manager that starts both, and stops what runs."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self._folder = folder
        self.primary = Postgres(folder / "primary", ports[0])
        self.standby = Postgres(folder / "standby", ports[1])
        self._places = ",".join(f"127.0.0.1:{port}" for port in ports)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for server in (self.primary, self.standby):
                stack.push_async_callback(server.stop)
            await self.primary.start()
            await schema.upgrade(self.primary.dsn)
            async with connected(self.primary.dsn) as connection:
                await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('fr', 'FR')")
            await asyncio.to_thread(
                standby.copy, self.primary.dsn, self._folder / "primary", self._folder / "standby"
            )
            await self.standby.start()
            await standby.make_synchronous(self.primary.dsn)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def dsn(self) -> str:
        """The address of both, with the password."""
        start, _, end = self.primary.dsn.rpartition("@")
        return f"{start}@{self._places}/{end.rpartition('/')[2]}"

    async def promote(self) -> None:
        """Make the standby a primary, as an operator or whoever watches the two would."""
        await standby.promote(self.standby.dsn)


@asynccontextmanager
async def replicas(
    folder: Path, dsn: str, ports: Callable[[], int], count: int, **environ: str
) -> AsyncIterator[list[Server]]:
    """So many servers on one database, each with a spool of its own, started again when they end."""
    async with AsyncExitStack() as stack:
        servers = []
        for number in range(count):
            settings = {
                "CALLHOME_DATABASE_URL": dsn,
                "CALLHOME_SECRET": SECRET,
                "CALLHOME_ALLOW_FSYNC_OFF": "false",
                "CALLHOME_CONSOLE_LISTEN": f"127.0.0.1:{ports()}",
                "CALLHOME_SPOOL_DIR": str(folder / f"spool-{number}"),
                **environ,
            }
            server = Server(folder / f"server-{number}.log", Listen("127.0.0.1", ports()), settings)
            stack.callback(server.show)
            servers.append(await stack.enter_async_context(server))
        for server in servers:
            await server.ready()
        yield servers


def in_turn(servers: Sequence[Server]) -> Callable[[], Listen]:
    """Return what tells one of the servers' places after the other, as a balancer would."""
    places = itertools.cycle([server.place for server in servers])
    return lambda: next(places)
