"""Runs the demo: a PostgreSQL and a server in this process, the fleet in another, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

import callhome

from ..app import Addresses, App, settle, stop_signal
from ..embedded.launcher import EmbeddedPostgres
from ..errors import CallhomeError
from ..metrics import Tally
from ..settings import DatabaseUrl, Settings, SmtpUrl
from ..store.connection import Connection, connect
from . import entrance, vendor
from .entrance import Entrance
from .fleet import Orders, installs_of
from .mailbox import Mailbox
from .mailbox_page import MailboxPage

# A quarter of a GB for the cache, and room for the bursts of the back-fill between two checkpoints. Vacuuming tables
# that are still being filled takes a tenth of the time that filling them takes.
POSTGRES: Final = {"shared_buffers": "256MB", "max_wal_size": "4GB", "autovacuum_naptime": "5min"}
# The same story each time.
SEED: Final = 1
# What the fleet may take to end once its input has ended.
_FLEET_STOP_S: Final = 5.0
_LOOK_S: Final = 0.2
_STORY: Final = "demo.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is sent: ``pings`` over ``days`` of the past, then ``rate`` a second; kept in ``folder`` or nowhere."""

    rate: float
    days: int
    pings: int
    folder: Path | None


class Listener(Protocol):
    """Whoever is told how it goes."""

    def ready(self, addresses: Addresses, entrance: Entrance) -> None:
        """The server answers there, and signs in who comes by the entrance."""

    def counted(self, pings: int, expected: int) -> None:
        """So many pings of the past are counted, of those expected."""

    def live(self, pings: int, took_s: float) -> None:
        """All of the past is counted; from here on, there is only the present."""

    def trouble(self, what: str) -> None:
        """Something that ought not to happen has happened, and it goes on."""


class Place(Protocol):
    """Where the demo lives: ``postgres`` is where its data is kept, None for nowhere."""

    @property
    def postgres(self) -> Path | None:
        """The folder of the data."""

    def announced(self, url: DatabaseUrl) -> AbstractContextManager[None]:
        """Let commands find the database while it runs."""


async def run(plan: Plan, settings: Settings, place: Place, told: Listener) -> None:
    """Run until SIGTERM, SIGINT or cancellation, then stop the fleet, the server and the database, in that order.

    Raises `CallhomeError` where something can't start, or the fleet ends by itself.
    """
    async with (
        EmbeddedPostgres(place.postgres, settings=POSTGRES, durable=place.postgres is not None) as postgres,
        Mailbox() as mailbox,
    ):
        started = settings.model_copy(update=_own(postgres.dsn, mailbox, settings))
        with place.announced(started.database_url):
            await _run(plan, started, mailbox, told)


async def _run(plan: Plan, settings: Settings, mailbox: Mailbox, told: Listener) -> None:
    way_in = Entrance()
    async with App(settings, [*MailboxPage(mailbox).table(), *way_in.table()]) as app:
        stop = stop_signal()
        settle()
        async with _connected(settings) as connection:
            await entrance.register(connection)
        told.ready(app.addresses, way_in)
        story = _Story.of(plan)
        orders = story.orders(plan, app.addresses)
        await _register(settings, orders)
        async with _fleet(orders) as fleet:
            following = asyncio.create_task(_follow(fleet, story, plan, app, told))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (following, stopping):
                if not task.cancel() and (error := task.exception()):
                    raise error


def _own(dsn: str, mailbox: Mailbox, settings: Settings) -> dict[str, Any]:
    """Settings of the demo's server that are known only now: its database, its mail server, its own address."""
    return {
        "database_url": DatabaseUrl(dsn),
        "smtp_url": SmtpUrl("127.0.0.1", mailbox.port, "none"),
        "mail_from": vendor.MAIL_FROM,
        "console_url": settings.console_listen.url,
        # Months of an install's pings come within a minute.
        "install_pings_s": 0.0,
    }


async def _register(settings: Settings, orders: Orders) -> None:
    """Have the vendor register what it sells. The installs are those that the fleet makes of the same orders."""
    installs = await asyncio.to_thread(installs_of, orders)
    async with _connected(settings) as connection:
        secret = settings.secret.get_secret_value().encode()
        await vendor.register(connection, secret, date.fromisoformat(orders.begins), installs)


async def _subscribe(settings: Settings) -> None:
    """Have the departments subscribe, and get their first mail: the past is there."""
    async with _connected(settings) as connection:
        await vendor.subscribe(connection)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    connection = await connect(settings.database_url.dsn, "demo")
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(slots=True)
class _Story:
    """Which days the data hold: ``begins`` is day 0, and all days before ``filled`` are there.

    ``ordered``: as ``filled``, once the fleet has done what it was told.
    """

    begins: date
    filled: int
    ordered: int = 0

    @classmethod
    def of(cls, plan: Plan) -> _Story:
        """As written down in the folder, else one that begins so many days before today."""
        begins = datetime.now(UTC).date() - timedelta(plan.days)
        if plan.folder is None or not (file := plan.folder / _STORY).exists():
            return cls(begins, 0)
        said: dict[str, Any] = orjson.loads(file.read_bytes())
        return cls(date.fromisoformat(said["begins"]), int(said["filled"]))

    def orders(self, plan: Plan, addresses: Addresses) -> Orders:
        """What the fleet is to do; a ping of more than 90 days ago would count as one of today."""
        today = (datetime.now(UTC).date() - self.begins).days
        days = max(plan.days, today)
        pings = plan.pings * days // max(1, plan.days)
        first = max(self.filled, today - plan.days)
        self.ordered = today
        place = addresses.ingest
        return Orders(
            place.host, place.port, self.begins.isoformat(), days, pings, first, today, plan.rate, SEED
        )

    def keep(self, plan: Plan) -> None:
        """Write down that all days are there that were ordered: midnight may have passed since."""
        self.filled = self.ordered
        if plan.folder is not None:
            said = {"begins": self.begins.isoformat(), "filled": self.filled}
            (plan.folder / _STORY).write_bytes(orjson.dumps(said))


@asynccontextmanager
async def _fleet(orders: Orders) -> AsyncIterator[asyncio.subprocess.Process]:
    """The fleet's process; it ends with its standard input, so with this process however that ends."""
    environ = {**os.environ, "PYTHONPATH": str(Path(callhome.__file__).parents[1])}
    command = (sys.executable, "-m", "callhome.demo.fleet", orders.to_json())
    # Ctrl-C is for this process, which then ends the fleet.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environ
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_FLEET_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _follow(
    fleet: asyncio.subprocess.Process, story: _Story, plan: Plan, app: App, told: Listener
) -> None:
    """Tell how far it is, until the fleet ends; raises `CallhomeError` then. Cancelling it ends the telling."""
    begun_s, expected = time.monotonic(), 0
    counting: asyncio.Task[None] | None = None
    sent = asyncio.Event()
    assert fleet.stdout is not None
    try:
        async for line in fleet.stdout:
            said = orjson.loads(line)
            if refused := said.get("refused"):
                told.trouble(f"a ping was refused: {refused}")
            if "expected" in said:
                expected = said["expected"]
                counting = asyncio.create_task(_count(sent, expected, app.tally, told))
            if "past" in said and counting is not None:
                sent.set()
                await counting
                story.keep(plan)
                await _subscribe(app.settings)
                told.live(expected, time.monotonic() - begun_s)
    finally:
        if counting is not None:
            counting.cancel()
    raise CallhomeError(f"the fleet ended by itself, with {await fleet.wait()}; its last words are above")


async def _count(sent: asyncio.Event, expected: int, tally: Tally, told: Listener) -> None:
    """Tell how many are counted, until all that were sent are. Cancelling it ends the telling."""
    while not sent.is_set() or tally.folded < tally.stored:
        # Those of the present are among them: some hundreds.
        told.counted(min(tally.folded, expected), expected)
        await asyncio.sleep(_LOOK_S)
    told.counted(expected, expected)
