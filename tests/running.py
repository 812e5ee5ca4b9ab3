"""A whole server in a test: its settings, requests to it, load on it, and a plain recount of what it shows."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from pydantic import SecretStr

from callhome.app import App
from callhome.settings import Listen, Settings, load
from callhome.store.ids import new_id
from listener import Answer, Client, post
from signed import SIGNED, let_token_in
from test_cli_serve import serving, told

SECRET: Final = "s" * 32
PLACES: Final = {"ingest_listen": "127.0.0.1:0", "console_listen": "127.0.0.1:0"}
# No test waits so long unless it fails.
PATIENCE_S: Final = 30.0

Row = dict[str, Any]
Connection = Any
Process = subprocess.Popen[str]


def settings_of(dsn: str, **given: Any) -> Settings:
    """Settings of a server on free ports and a test's database, which doesn't sync."""
    # Shorter than a setting may be: the secret of the wire forms.
    short = given.pop("short_secret", None)
    given = {"database_url": dsn, "secret": SECRET, "allow_fsync_off": "true", **PLACES, **given}
    found = load(Settings, given, environ={})
    return found.model_copy(update={"secret": SecretStr(short)}) if short else found


@asynccontextmanager
async def running(dsn: str, **given: Any) -> AsyncIterator[App]:
    """A server that knows the product ``es``."""
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES') ON CONFLICT DO NOTHING")
        await let_token_in(connection)
    async with App(settings_of(dsn, **given)) as app:
        yield app


@asynccontextmanager
async def serving_apart(dsn: str, *words: str, **environ: str) -> AsyncIterator[tuple[Process, Listen]]:
    """A ``callhome serve`` of a test's database, and its ingest listener; the loop runs while it starts and stops."""
    environ = {"CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET, **environ}
    with ExitStack() as stack:
        process, lines = await asyncio.to_thread(stack.enter_context, serving(*words, **environ))
        try:
            host, _, port = told(lines, "pings at ").removeprefix("http://").rpartition(":")
            yield process, Listen(host, int(port))
        finally:
            await asyncio.to_thread(stack.close)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """A connection to look, or to get in the way."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def locking(dsn: str, table: str) -> AsyncIterator[None]:
    """While this is entered, nobody else can write to a table."""
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


async def until(condition: Callable[[], Awaitable[object]], patience_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(patience_s):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def raw(place: Listen) -> AsyncIterator[Client]:
    """A raw connection."""
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def ask(place: Listen, request: bytes) -> Answer:
    """Return the answer to a request on a connection of its own."""
    async with raw(place) as client:
        return await client.send(request).answer()


def ping(**fields: Any) -> bytes:
    """Return a ping's body; its install is ``install-1`` unless given."""
    return json.dumps({"product": "es", "version": "1.0", "install": "install-1", **fields}).encode()


async def live(place: Listen) -> dict[str, Any]:
    """Return the live counters as a console shows them, without what differs between replicas."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{place.url}/api/v1/live", headers=SIGNED) as response,
    ):
        told = await response.json()
    if response.status != 200:
        return {"reason": told["reason"]}
    return {name: told[name] for name in ("today", "products", "countries", "builds")}


async def recount(connection: Connection) -> dict[str, Any]:
    """Return what the live counters must be, from the table ``ping`` and nothing else, by definitions.md."""
    today = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    products = await connection.fetch("SELECT id, key, name FROM product ORDER BY key")
    keys = {row["id"]: row["key"] for row in products}
    pings = await connection.fetch("SELECT * FROM ping WHERE day > $1::date - 30 ORDER BY at, id", today)
    launches, last_of_day, latest = defaultdict[Any, int](int), dict[Any, Row](), dict[Any, Row]()
    for row in pings:
        install = keys[row["product"]], row["install"]
        launches[install, row["day"]] += row["event"] == 0
        last_of_day[install, row["day"]] = latest[install] = row
    countries = defaultdict[Any, list[int]](lambda: [0] * 6)
    builds = defaultdict[Any, int](int)
    for ((key, _), day), row in last_of_day.items():
        count = countries[key, row["country"]]
        count[5] += launches[(key, row["install"]), day]
        if day == today:
            count[0] += 1
            count[1] += row["users"]
            count[2] += launches[(key, row["install"]), day]
    for (key, _), row in latest.items():
        countries[key, row["country"]][3] += 1
        countries[key, row["country"]][4] += row["users"]
        builds[key, row["version"], row["build"]] += 1
    return {
        "today": today.isoformat(),
        "products": [{"key": row["key"], "name": row["name"]} for row in products],
        "countries": [[*key, *count] for key, count in sorted(countries.items())],
        "builds": [[*key, count] for key, count in sorted(builds.items())],
    }


async def all_folded(connection: Connection) -> bool:
    """Whether the rollup has nothing left to do."""
    return not await connection.fetchval("SELECT EXISTS (SELECT FROM batch)")


async def is_right(console: Listen, connection: Connection) -> bool:
    """Whether all is folded, and shown as a recount would."""
    return await all_folded(connection) and await live(console) == await recount(connection)


async def stored_ids(connection: Connection) -> list[UUID]:
    """Return the ids of all pings, as often as each is stored."""
    return [row["id"] for row in await connection.fetch("SELECT id FROM ping")]


def countries_file(path: Path, countries: dict[str, str]) -> Path:
    """Write a file of networks and their countries."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test-Country")
    for network, code in countries.items():
        writer.insert_network(IPSet([network]), {"country": {"iso_code": code}})
    writer.to_db_file(str(path))
    return path


@dataclass
class Load:
    """Copies that ping as fast as they are answered, and repeat what wasn't, over new connections.

    ``places`` gives the listener for each try; ``acked`` the ids of the pings that were answered with 2xx.
    """

    places: Callable[[], Iterable[Listen]]
    copies: int = 16
    installs: int = 50
    acked: list[UUID] = field(default_factory=list)
    sent: set[UUID] = field(default_factory=set)
    statuses: set[int] = field(default_factory=set)

    @asynccontextmanager
    async def under(self) -> AsyncIterator[None]:
        """The load is there while this is entered; at its end every copy gets its last answer, or gives up."""
        stop = asyncio.Event()
        copies = [asyncio.create_task(self._ping(number, stop)) for number in range(self.copies)]
        try:
            yield
        finally:
            stop.set()
            _, late = await asyncio.wait(copies, timeout=PATIENCE_S)
            assert not late, "a copy got neither an answer nor the end of its connection"
        for copy in copies:
            copy.result()

    async def has(self, more: int) -> None:
        """Wait until so many more pings were acknowledged."""
        wanted = len(self.acked) + more

        async def enough() -> bool:
            return len(self.acked) >= wanted

        await until(enough)

    async def _ping(self, number: int, stop: asyncio.Event) -> None:
        id_ = UUID(bytes=new_id())
        while not stop.is_set():
            places = list(self.places())
            with suppress(OSError, asyncio.IncompleteReadError):
                async with raw(places[number % len(places)]) as client:
                    while not stop.is_set():
                        self.sent.add(id_)
                        status = (await client.send(post(self._body(id_))).answer()).status
                        self.statuses.add(status)
                        if status < 300:
                            self.acked.append(id_)
                            id_ = UUID(bytes=new_id())
                        else:
                            await asyncio.sleep(0.02)
            await asyncio.sleep(0.02)

    def _body(self, id_: UUID) -> bytes:
        """Return a ping that is the same for the same id."""
        value = id_.int
        return ping(
            id=str(id_), install=f"install-{value % self.installs}", version=f"{value % 3}.0", users=value % 7
        )
