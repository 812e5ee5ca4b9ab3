"""A small Citus cluster for tests: a coordinator and two workers, where the extension is installed."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import asyncpg

from callhome.embedded.binaries import BIN_VARIABLE
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.store import distribution, schema

# Its folder names the ``bin`` of a PostgreSQL that has the extension; else Debian's are looked at.
CITUS_VARIABLE: Final = "CALLHOME_TEST_CITUS_BIN"
WORKERS: Final = 2
MISSING: Final = (
    "needs Citus: install it for a PostgreSQL of this machine (the package of its makers, or from its source), "
    f"or name the bin folder of one that has it in {CITUS_VARIABLE}"
)
# The test files whose tests run on a distributed database as well.
SUITE: Final = frozenset(
    f"test_{name}"
    for name in [
        "alert_events",
        "alert_facts",
        "catalog",
        "deliveries",
        "docket",
        "imports_side_by_side",
        "imports_storing",
        "keeper",
        "license_stories",
        "license_usage",
        "live",
        "misuse",
        "partitions",
        "products",
        "report_history",
        "report_runs",
        "rollup",
        "rollup_reads",
        "store_alerts",
        "store_figures",
        "store_findings",
        "store_licenses",
        "store_notices",
        "store_registered",
        "store_releases",
        "store_reports",
        "two_replicas",
        "writer",
    ]
)
# One on each worker: each day of pings is as many tables, and a database of them is copied for each test.
SHARDS: Final = 2
TEMPLATE: Final = "callhome_distributed"
_SETTINGS: Final = {
    "shared_preload_libraries": "citus",
    "max_connections": "200",
    "max_prepared_transactions": "200",
    "max_locks_per_transaction": "512",
    # The nodes trust one another; encrypting adds nothing on one machine.
    "citus.node_conninfo": "sslmode=prefer",
    "citus.enable_statistics_collection": "off",
    "citus.stat_statements_track": "none",
    # As `connection` has it, for tests that connect by themselves.
    "citus.override_table_visibility": "off",
    # In place of a minute: what a killed worker left in doubt is settled within a test.
    "citus.recover_2pc_interval": "1s",
}


def bin_dir() -> Path | None:
    """Return the ``bin`` folder of a PostgreSQL with Citus, or None where there is none."""
    named = os.environ.get(CITUS_VARIABLE)
    folders = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if list(Path("/usr/share/postgresql", folder.parent.name, "extension").glob("citus.control")) or list(
            folder.parent.glob("share/**/extension/citus.control")
        ):
            return folder
    return None


class Cluster:
    """A coordinator and its workers, each a PostgreSQL of its own. A context manager."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._durable = durable
        self._spare: str | None = None
        self._tables = dict[str, int]()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.nodes = [self._start(stack) for _ in range(1 + WORKERS)]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> EmbeddedPostgres:
        server = EmbeddedPostgres(durable=self._durable, settings=_SETTINGS)
        with _environment(BIN_VARIABLE, str(self._folder)):
            server.start()
        stack.callback(server.stop)
        hba = server.data_dir / "cluster" / "pg_hba.conf"
        hba.write_text("host all all 127.0.0.1/32 trust\n")
        os.kill(server.pid, signal.SIGHUP)
        return server

    @property
    def coordinator(self) -> EmbeddedPostgres:
        """The node that callhome speaks to."""
        return self.nodes[0]

    def dsn(self, database: str, node: int = 0) -> str:
        """The address of a database on a node."""
        return f"{self.nodes[node].dsn.rpartition('/')[0]}/{database}"

    async def create(self, name: str, template: str = "template1") -> None:
        """Make a database on each node, from one that is there on each."""
        for node in range(len(self.nodes)):
            await _once(
                self.dsn("postgres", node), f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
            )

    async def drop(self, name: str) -> None:
        """Drop a database on each node, whoever is connected: the coordinator's first, which connects to the others."""
        for node in range(len(self.nodes)):
            await _once(self.dsn("postgres", node), f"DROP DATABASE {name} WITH (FORCE)")

    async def join(self, name: str) -> None:
        """Make the extension in a database, and the workers known."""
        for node in range(len(self.nodes)):
            await _once(self.dsn(name, node), "CREATE EXTENSION citus")
        await self.introduce(name)

    async def introduce(self, name: str) -> None:
        """Make the workers known to the coordinator."""
        await _once(self.dsn(name), f"SELECT citus_set_coordinator_host('127.0.0.1', {self.nodes[0].port})")
        for worker in self.nodes[1:]:
            await _once(self.dsn(name), f"SELECT citus_add_node('127.0.0.1', {worker.port})")

    async def make_template(self) -> None:
        """Make a distributed database with the whole schema, that others are copied from."""
        await self.create(TEMPLATE)
        await self.join(TEMPLATE)
        await schema.upgrade(self.dsn(TEMPLATE))
        await distribution.distribute(self.dsn(TEMPLATE), shards=SHARDS)
        for node in range(len(self.nodes)):  # nobody may be connected to what is copied, Citus neither
            await _once(
                self.dsn("postgres", node),
                f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{TEMPLATE}'",
            )

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The address of a distributed database as `make_template` made it.

        A copy of all its partitions takes seconds, so one is used again, emptied, as long as its tables stay the same.
        """
        name, self._spare = self._spare, None
        if name is None:
            name = f"test_{uuid.uuid4().hex}"
            await self.create(name, TEMPLATE)
            async with _connected(self.dsn(name)) as connection:
                self._tables = await _tables(connection)
        yield self.dsn(name)
        async with _connected(self.dsn(name)) as connection:
            if await _tables(connection) == self._tables:
                await _empty(connection)
                self._spare = name
                return
        await self.drop(name)


async def _tables(connection: Any) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT relname, (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid) AS constraints FROM pg_class c "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return dict(row for row in rows)


async def _empty(connection: Any) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name NOT LIKE 'citus%'"
    )
    await connection.execute("TRUNCATE fold_fresh, fold_change")
    for table in distribution.TABLES:
        await connection.execute(f"DELETE FROM {table}")
    kept = {*distribution.TABLES, "fold_fresh", "fold_change", "schema_state"}
    local = [
        name
        for name in await _tables(connection)
        if name not in kept and not re.match("(ping|activity)_", name)
    ]
    await connection.execute(
        f"TRUNCATE {', '.join(local)} RESTART IDENTITY CASCADE; "
        "INSERT INTO live_seq (seq, today) VALUES (0, (now() AT TIME ZONE 'UTC')::date)"
    )


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Any]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _once(dsn: str, *statements: str) -> None:
    async with _connected(dsn) as connection:
        for statement in statements:
            await connection.execute(statement)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})
