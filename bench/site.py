"""Where the load goes: servers of our own, on cores of their own, or the deployment that the operator names."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import callhome
from callhome.access import keys
from callhome.access.model import Actor, Kind, Role
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.errors import CallhomeError, UsageError
from callhome.store import products, schema, tokens
from callhome.store.connection import connect

from .machine import Layout, pinned

# A start takes a second or two; a busy machine, or a million installs, may take some more.
READY_S: Final = 60.0
# Within this a server stops by itself (STOP_S of its settings, and a little).
STOP_S: Final = 30.0
# What a deployment may take to answer one ping before any load.
PROBE_S: Final = 15.0
# Of servers of our own, which are gone with their data.
SECRET: Final = "0" * 32
# Of viewers of servers of our own.
TOKEN: Final = keys.new_token()
_READY: Final = re.compile(r"ready: pings at (\S+), console at (\S+)")


def viewer(token: str) -> Mapping[str, str]:
    """What a program sends to the console to be let in."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Site:
    """A deployment: base URLs of its listeners, the DSN of its database, its process; None where unknown."""

    ingest: str
    console: str | None = None
    database: str | None = None
    pid: int | None = None
    data_dir: Path | None = None
    # Nobody else pings this product, so that its counters are ours alone.
    is_own: bool = False

    @property
    def viewer(self) -> Mapping[str, str]:
        """What lets us in at its console: our own token, or that of a deployment, which ``CALLHOME_TOKEN`` has."""
        token = TOKEN if self.is_own else os.environ.get("CALLHOME_TOKEN")
        return viewer(token) if token else {}


@dataclass(frozen=True, slots=True)
class Served:
    """A ``callhome serve`` that is ready, ``ready_s`` after it was started."""

    ingest: str
    console: str
    pid: int
    ready_s: float


@contextmanager
def own_postgres(layout: Layout, settings: Mapping[str, str]) -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL that really syncs, on its cores; gone with its data at the end."""
    with pinned(layout.database):
        postgres = EmbeddedPostgres(durable=True, settings=settings)
        postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()


def prepare(dsn: str, product: str) -> None:
    """Apply the schema, register the product and have `TOKEN` known."""

    async def work() -> None:
        await schema.upgrade(dsn)
        connection = await connect(dsn, "bench")
        try:
            await products.add(connection, product, "Load test")
            by = Actor(Kind.COMMAND, "bench")
            await tokens.add(connection, "bench", Role.VIEWER, keys.digest(TOKEN), by)
        finally:
            await connection.close()

    asyncio.run(work())


def postgres_version(dsn: str) -> str:
    """The version of a PostgreSQL, such as ``18.6``; raises `CallhomeError`."""

    async def ask() -> str:
        connection = await connect(dsn, "bench")
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()

    return asyncio.run(ask())


@contextmanager
def serving(dsn: str, layout: Layout, **settings: str) -> Iterator[Served]:
    """A ``callhome serve`` on free ports and its cores; stopped at the end. Raises `CallhomeError`.

    ``settings`` are settings of callhome, by name, beside the defaults. It has a spool, as an operator's has, in a
    temporary folder.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as log,
        tempfile.TemporaryDirectory(prefix="callhome-bench-spool-") as spool,
    ):
        settings = {"spool_dir": spool, **settings}
        begun_s = time.perf_counter()
        with pinned(layout.server):
            process = _start(dsn, log, settings)
        try:
            ingest, console = _wait_ready(process, log)
            yield Served(ingest, console, process.pid, time.perf_counter() - begun_s)
            if process.poll() is not None:
                raise CallhomeError(f"the server ended during the bench; it said:\n{_tail(log)}")
        finally:
            _stop(process)


@contextmanager
def own_site(
    layout: Layout, product: str, postgres_settings: Mapping[str, str], **settings: str
) -> Iterator[Site]:
    """PostgreSQL and a server of our own (``settings``: as `serving`), with the product registered."""
    with own_postgres(layout, postgres_settings) as postgres:
        prepare(postgres.dsn, product)
        with serving(postgres.dsn, layout, **settings) as served:
            yield Site(
                served.ingest, served.console, postgres.dsn, served.pid, postgres.data_dir, is_own=True
            )


def probe(url: str, product: str) -> None:
    """Send one ping to a deployment, to see that it takes those of the product; raises `UsageError`."""
    body = json.dumps({"product": product, "version": "probe", "install": "bench-probe"}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/v1/ping", body, headers)
        with urllib.request.urlopen(request, timeout=PROBE_S):
            return
    except urllib.error.HTTPError as error:
        said = error.read(4096).decode("utf-8", "replace")
        raise UsageError(
            f"{url} refuses pings of {product!r} with {error.code}: {said}\n"
            f"If it doesn't know the product: callhome product add {product}"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{url} takes no pings: {error}") from None


def _start(dsn: str, log: IO[str], settings: Mapping[str, str]) -> subprocess.Popen[str]:
    # Nothing of the operator's own settings: the defaults are what is measured.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLHOME_")}
    environ |= {
        "CALLHOME_DATABASE_URL": dsn,
        "CALLHOME_SECRET": SECRET,
        "PYTHONPATH": str(Path(callhome.__file__).parents[1]),
        **{f"CALLHOME_{name.upper()}": value for name, value in settings.items()},
    }
    for listener in ("CALLHOME_INGEST_LISTEN", "CALLHOME_CONSOLE_LISTEN"):
        environ.setdefault(listener, "127.0.0.1:0")
    command = [sys.executable, "-m", "callhome", "serve"]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)


def _wait_ready(process: subprocess.Popen[str], log: IO[str]) -> tuple[str, str]:
    """The URLs of the listeners. A server that says nothing for `READY_S` is told to stop."""
    assert process.stdout is not None
    deadline = threading.Timer(READY_S, process.terminate)
    deadline.start()
    try:
        for line in process.stdout:
            if found := _READY.search(line):
                return found[1], found[2]
    finally:
        deadline.cancel()
    raise CallhomeError(f"the server did not get ready; it said:\n{_tail(log)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return "".join(log.readlines()[-20:])
