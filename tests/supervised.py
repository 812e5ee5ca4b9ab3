"""A ``callhome serve --workers N`` in a test: its processes, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from callhome.settings import Listen
from running import SECRET, Process, connected
from test_cli_serve import serving, told


@dataclass(frozen=True)
class Site:
    """A running supervisor, and where its workers listen."""

    process: Process
    ingest: Listen
    console: Listen

    def workers(self) -> dict[int, psutil.Process]:
        """Return the workers' processes by number."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            words = child.cmdline()
            if "callhome.cli.worker" in " ".join(words):
                found[int(words[-1])] = child
        return found

    async def samples(self) -> dict[str, dict[str, float]]:
        """Return what ``/metrics`` of any worker tells of each worker, summed up over its other labels."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.console.url}/metrics") as answer:
            text = await answer.text()
        found: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                of_worker = found.setdefault(sample.name, {})
                worker = sample.labels["worker"]
                of_worker[worker] = of_worker.get(worker, 0.0) + sample.value
        return found


@asynccontextmanager
async def supervised(dsn: str, workers: int, *words: str, **environ: str) -> AsyncIterator[Site]:
    """Such a server of a test's database, which knows the product ``es``; the loop runs while it starts and stops."""
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES') ON CONFLICT DO NOTHING")
    environ = {"CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET, **environ}
    with ExitStack() as stack:
        words = ("--workers", str(workers), *words)
        process, lines = await asyncio.to_thread(stack.enter_context, serving(*words, **environ))
        try:
            yield Site(process, place(lines, "pings at "), place(lines, "console at "))
        finally:
            await asyncio.to_thread(stack.close)


def place(lines: list[str], before: str) -> Listen:
    """Return the place that follows ``before`` in what was printed."""
    host, _, port = told(lines, before).removeprefix("http://").rpartition(":")
    return Listen(host, int(port))
