"""The world of a crash test: a PostgreSQL that syncs, a line to it that can be cut, and a server that is started again.

Whatever is killed is killed with SIGKILL, and all of it: of PostgreSQL the postmaster and every process of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Self

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from callhome.embedded.launcher import EmbeddedPostgres
from callhome.settings import Listen
from callhome.store import schema
from checker import Log, account, check, stored
from cutting import CutLine
from listener import get
from running import PATIENCE_S, SECRET, all_folded, ask, connected, until
from test_cli_serve import CLEAN

TESTS: Final = Path(__file__).parent
# A start takes a second, and a recovery of PostgreSQL before it another; a busy machine many times that.
START_S: Final = 60.0
# A server that ends by itself, since it found no database and knows no products, is started again after this.
_AGAIN_S: Final = 0.1
_SHOWN_LINES: Final = 60
_CALLHOME: Final = ("-m", "callhome")


async def when(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds."""

    async def holds() -> bool:
        return condition()

    await until(holds, patience_s)


class Postgres:
    """A PostgreSQL on one folder and port, which can be killed and started again."""

    def __init__(self, folder: Path, port: int, settings: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._settings = {"port": str(port), **(settings or {})}
        self._server: EmbeddedPostgres | None = None

    @property
    def dsn(self) -> str:
        """Its address, with the password."""
        assert self._server is not None
        return self._server.dsn

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._server = EmbeddedPostgres(self._folder, settings=self._settings)
        await self._server.__aenter__()

    async def stop(self) -> None:
        """Stop it in order, if it runs."""
        if self._server is not None:
            await self._server.__aexit__(None, None, None)

    async def kill(self) -> None:
        """Kill the postmaster and all its processes."""
        for process in self.freeze():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await self.stop()

    def freeze(self) -> list[psutil.Process]:
        """Stop the postmaster and all its processes where they are, as those of a hanging machine; return them."""
        assert self._server is not None
        postmaster = psutil.Process(self._server.pid)
        frozen = []
        with suppress(psutil.NoSuchProcess):
            # Before its children, so that it starts no other meanwhile.
            postmaster.suspend()
            for process in [postmaster, *postmaster.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    frozen.append(process)
        return frozen


class Server:
    """A ``callhome serve`` that is started again whenever it ends, as a service manager would.

    From its next start on ``script`` is run in place of ``-m callhome``. ``ends`` has the exit codes of all that ended;
    what they said is in the file ``log``.
    """

    def __init__(self, log: Path, place: Listen, environ: dict[str, str]) -> None:
        self.place = place
        self.log = log
        self.script: Sequence[str] = _CALLHOME
        self.starts = 0
        self.ends: list[int] = []
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._keeper is not None
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        await self.kill()

    def show(self) -> None:
        """Print the end of what it said: shown where a test fails."""
        print("".join(self.log.read_text().splitlines(keepends=True)[-_SHOWN_LINES:]))

    async def ready(self) -> None:
        """Wait until it answers."""

        async def alive() -> bool:
            with suppress(OSError, EOFError):
                return (await ask(self.place, get("/livez"))).status == 200
            return False

        await until(alive, START_S)

    @property
    def console(self) -> Listen:
        """Where its console listens."""
        host, _, port = self._environ["CALLHOME_CONSOLE_LISTEN"].rpartition(":")
        return Listen(host, int(port))

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """Return its metrics: name and labels' values -> value."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.console.url}/metrics") as response:
            text = await response.text()
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def started(self) -> None:
        """Wait until the next process runs."""
        wanted = self.starts + 1
        await when(lambda: self.starts >= wanted, START_S)

    async def kill(self) -> None:
        """Kill it with SIGKILL, if it runs, and wait for its end."""
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def run_to_its_death(self, *script: str) -> None:
        """Kill what runs, run a script in its place, and wait until that has died of SIGKILL."""
        wanted = len(self.ends) + 2

        self.script = script
        await self.kill()
        try:
            await when(lambda: len(self.ends) >= wanted, START_S)
        finally:
            self.script = _CALLHOME
        assert self.ends[wanted - 1] == -signal.SIGKILL

    async def finish(self) -> int:
        """Stop it with SIGTERM, for good; return its exit code."""
        assert self._keeper is not None
        assert self._process is not None
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        with suppress(ProcessLookupError):
            self._process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()

    async def _keep(self) -> None:
        while True:
            with self.log.open("ab") as log:
                starting = asyncio.create_subprocess_exec(
                    *(sys.executable, *self.script, "serve", "--ingest-listen", str(self.place)),
                    env=CLEAN | self._environ,
                    stdout=log,
                    stderr=log,
                )
                # To its end: a process that was started must be known, to be killed.
                task = asyncio.ensure_future(starting)
                try:
                    self._process = await asyncio.shield(task)
                except asyncio.CancelledError:
                    self._process = await task
                    raise
            self.starts += 1
            self.ends.append(await self._process.wait())
            await asyncio.sleep(_AGAIN_S)


async def settled(dsn: str, server: Server, patience_s: float = START_S) -> None:
    """Wait until nothing is pending nor in the spool of a server, and all in its database is counted."""

    async def is_settled() -> bool:
        with suppress(OSError, aiohttp.ClientError):
            told = await server.metrics()
            waiting = told["callhome_pending_pings",] + told["callhome_spool_pings",]
            async with connected(dsn) as connection:
                return not waiting and await all_folded(connection)
        return False

    await until(is_settled, patience_s)


async def verdict(dsn: str, log: Log) -> str:
    """Check that the promise was kept, and the counts are right; return the clients' account.

    All is settled. Raises ``AssertionError`` with what is wrong.
    """
    async with connected(dsn) as connection:
        rows = await stored(connection)
        problems = check(log, rows, SECRET)
        assert not problems, "\n".join(problems)
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == len(rows)
        assert not await connection.fetchval("SELECT count(*) FROM quarantine")
    good = [(ping, fate) for ping, fate in log.fates.items() if ping.users >= 0]
    wrong = [f"{ping.id} of {ping.install} ({fate})" for ping, fate in good if fate.refused]
    assert not wrong, f"{len(wrong)} good pings were refused, such as {wrong[:3]}"
    return str(account(log, rows, SECRET))


class World:
    """PostgreSQL, the line to it, and a server with a spool (or, with ``spool`` False, without). `build` makes one."""

    def __init__(self, postgres: Postgres, line: CutLine, server: Server, spool: Path | None) -> None:
        self.postgres, self.line, self.server, self.spool = postgres, line, server, spool

    @classmethod
    @asynccontextmanager
    async def build(
        cls,
        folder: Path,
        ports: Sequence[int],
        *,
        spool: bool = True,
        script: Sequence[str] = _CALLHOME,
        **environ: str,
    ) -> AsyncIterator[World]:
        """Start all of it, in a folder that others may enter; ``ports`` are three free ones."""
        postgres = Postgres(folder / "data", ports[0])
        place, console = (Listen("127.0.0.1", port) for port in ports[1:])
        async with AsyncExitStack() as stack:
            stack.push_async_callback(postgres.stop)
            await postgres.start()
            await schema.upgrade(postgres.dsn)
            async with connected(postgres.dsn) as connection:
                await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('fr', 'FR')")
            line = await stack.enter_async_context(CutLine(Listen("127.0.0.1", ports[0])))
            settings = {
                "CALLHOME_DATABASE_URL": postgres.dsn.replace(f":{ports[0]}/", f":{line.port}/"),
                "CALLHOME_SECRET": SECRET,
                "CALLHOME_ALLOW_FSYNC_OFF": "false",
                "CALLHOME_CONSOLE_LISTEN": str(console),
                **({"CALLHOME_SPOOL_DIR": str(folder / "spool")} if spool else {}),
                **environ,
            }
            server = Server(folder / "server.log", place, settings)
            server.script = script
            stack.callback(server.show)
            await stack.enter_async_context(server)
            await server.ready()
            yield cls(postgres, line, server, folder / "spool" if spool else None)

    async def accounted(self) -> dict[tuple[str, ...], float]:
        """Return the server's metrics, in which each ping is accounted for. Nothing may be on its way."""
        told = await self.server.metrics()
        refused = sum(value for (name, *_), value in told.items() if name == "callhome_refused_pings_total")
        stored = sum(value for (name, *_), value in told.items() if name == "callhome_stored_pings_total")
        came = told["callhome_received_pings_total",] + told["callhome_recovered_pings_total",]
        rest = ("duplicate_pings_total", "quarantined_pings_total", "spool_pings", "pending_pings")
        assert came == stored + refused + sum(told[f"callhome_{name}",] for name in rest), told
        return told

    async def settled(self, patience_s: float = START_S) -> None:
        """Wait until nothing is pending nor in the spool, and all is counted."""
        await settled(self.postgres.dsn, self.server, patience_s)

    async def verdict(self, log: Log) -> str:
        """Check that the promise was kept; see `verdict`."""
        return await verdict(self.postgres.dsn, log)

    @asynccontextmanager
    async def frozen_writers(self) -> AsyncIterator[int]:
        """The sessions of the writers are stopped, as a frozen machine would be; their number."""
        async with connected(self.postgres.dsn) as connection:
            rows = await connection.fetch(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'callhome writer'"
            )
        pids = [row["pid"] for row in rows]
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        try:
            yield len(pids)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
