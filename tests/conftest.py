"""What tests share: a real PostgreSQL for each worker, and a database of its own for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import hypothesis
import pytest

import citus
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.store import schema
from signed import let_token_in

# A busy machine is no fault of what is tested, and the first example of all builds tables.
hypothesis.settings.register_profile(
    "callhome", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("callhome")

TEMPLATE = "callhome_template"

# asyncpg looks for ~/.postgresql and ~/.pgpass, and a bare container has no HOME.
os.environ.setdefault("HOME", tempfile.gettempdir())
# A job in the background of a shell ignores it, and so would each process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The server below doesn't sync; a `callhome serve` that a test starts inherits this.
os.environ["CALLHOME_ALLOW_FSYNC_OFF"] = "true"
# PGSSLMODE, PGOPTIONS and their like would change each connection here.
for _name in [name for name in os.environ if name.startswith("PG")]:
    del os.environ[_name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server for all tests of this worker; it belongs to no event loop."""
    server = EmbeddedPostgres(durable=False, settings={"max_connections": "100"})
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """The name of a database with the whole schema and one token, from which tests copy theirs."""

    async def make() -> None:
        async with _administrator(postgres.dsn) as connection:
            await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await schema.upgrade(_sibling(postgres.dsn, TEMPLATE))
        known = await asyncpg.connect(_sibling(postgres.dsn, TEMPLATE))
        await let_token_in(known)
        await known.close()

    _run_apart(make())
    return TEMPLATE


@pytest.fixture(scope="session")
def cluster() -> Iterator[citus.Cluster]:
    """A coordinator of Citus and its workers for all tests of this worker; skips where the extension isn't there."""
    folder = citus.bin_dir()
    if folder is None:
        pytest.skip(citus.MISSING)
    with citus.Cluster(folder) as started:
        _run_apart(started.make_template())
        yield started


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the tests of the store run on a distributed database, too: the same tests, marked ``citus``."""
    if "database" in metafunc.fixturenames and metafunc.module.__name__ in citus.SUITE:
        both = [
            pytest.param("plain", id=pytest.HIDDEN_PARAM),
            pytest.param("citus", marks=pytest.mark.citus),
        ]
        metafunc.parametrize("database", both, indirect=True)


@pytest.fixture
async def database(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of a fresh database with the schema, dropped after the test."""
    if getattr(request, "param", "plain") == "citus":
        async with request.getfixturevalue("cluster").database() as dsn:
            yield dsn
        return
    postgres, template = request.getfixturevalue("postgres"), request.getfixturevalue("template")
    async with _fresh_database(postgres.dsn, template) as dsn:
        yield dsn


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a fresh database without anything in it, dropped after the test."""
    async with _fresh_database(postgres.dsn, "template1") as dsn:
        yield dsn


@pytest.fixture
def open_tmp_path() -> Iterator[Path]:
    """A temporary folder that other users can enter, unlike tmp_path: as root, PostgreSQL runs as one."""
    folder = Path(tempfile.mkdtemp(prefix="callhome-test-")).resolve()
    # As /tmp itself: all may write, and each removes only what is theirs.
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@asynccontextmanager
async def _fresh_database(dsn: str, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    async with _administrator(dsn) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _sibling(dsn, name)
    finally:
        async with _administrator(dsn) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def _administrator(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(_sibling(dsn, "postgres"))
    try:
        yield connection
    finally:
        await connection.close()


def _sibling(dsn: str, name: str) -> str:
    return f"{dsn.rpartition('/')[0]}/{name}"


def _run_apart(work: Coroutine[object, object, None]) -> None:
    """Run a coroutine in a loop and a thread of its own, whatever loop the tests are about to use."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # task root
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
