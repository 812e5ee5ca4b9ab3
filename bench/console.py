"""``python -m bench.console``: how long the data of the console's pages takes, with years of installs in the tables."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import aiohttp
import click
import uvloop

from callhome.access import keys
from callhome.access.model import Actor, Kind, Role
from callhome.errors import CallhomeError
from callhome.store import tokens
from callhome.store.connection import Connection, connect

from . import history, site
from .command import Run, bench
from .report import percentile, say

# Of an analyst of a server of our own.
_TOKEN: Final = keys.new_token()
# A page waits no longer.
_ANSWER_S: Final = 10.0
# What the page of a product asks for, and the overview. A license's installs are counted one by one.
_ASKED: Final = {
    "overview": "",
    "summary": "/{product}",
    "series": "/{product}/series?measure=installs&window=month",
    "series by version": "/{product}/series?by=version&window=week",
    "series by country": "/{product}/series?by=country",
    "versions": "/{product}/breakdown?by=version",
    "builds": "/{product}/breakdown?by=build",
    "countries": "/{product}/breakdown?by=country",
    "systems": "/{product}/breakdown?by=os",
    "releases": "/{product}/releases",
    "updates": "/{product}/updates",
    "moved": "/{product}/moved",
    "cohorts": "/{product}/cohorts",
    "license": "/{product}/series?license={license}",
}
_RANGES: Final = (7, 30, 30, 30, 90, 365, 1_000)
# What can be narrowed down, and by what; each comes in a quarter of the questions that take it.
_NARROWED: Final = {
    "summary": ("version", "country", "os"),
    "series": ("version", "country", "os"),
    "series by version": ("country", "os"),
    "series by country": ("version", "os"),
    "versions": ("country", "os"),
    "builds": ("version",),
    "countries": ("version", "os"),
    "systems": ("version", "country"),
}


@bench("console", remote=False)
@click.option("--installs", type=click.IntRange(1, 50_000_000), help="Installs in the tables.")
@click.option("--rate", type=click.IntRange(1, 1_000), help="Requests a second.")
@click.option("--seconds", type=click.IntRange(1, 3_600), help="How long they come.")
@click.option("--seed", type=int, default=20261201, help="Which products, ranges and filters are asked for.")
def main(run: Run, installs: int, rate: int, seconds: int, seed: int) -> None:
    """What the pages of statistics ask for, at a fixed rate, of random products, ranges and filters.

    Always on a database of our own, filled by SQL with 20 products, 400 days of single installs and 36 months of
    summaries; the series are made by the real job. No answer is kept anywhere but in PostgreSQL's own cache.
    """
    with run.postgres() as dsn:
        longest_s = uvloop.run(_fill(dsn, run.product, installs))
        run.report.figure(
            "job_s", f"a month of series of all products, {installs:,} installs", longest_s, "s"
        )
        uvloop.run(_describe(run, dsn))
        with site.serving(dsn, run.layout) as served:
            questions = _questions(run.product, rate * seconds, random.Random(seed))
            say(f"{rate} requests a second for {seconds} s")
            found = uvloop.run(_ask(served.console, questions, rate))
        _report(run, found)


async def _fill(dsn: str, product: str, installs: int) -> float:
    connection = await connect(dsn, "bench")
    try:
        by = Actor(Kind.COMMAND, "bench")
        await tokens.add(connection, "bench-analyst", Role.ANALYST, keys.digest(_TOKEN), by)
        return await history.fill(connection, product, installs)
    finally:
        await connection.close()


async def _describe(run: Run, dsn: str) -> None:
    """How much is in the tables, and that a number of the series is that of the single installs."""
    connection = await connect(dsn, "bench")
    try:
        for table in ("activity", "usage_series"):
            rows = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
            run.report.figure(f"{table}_rows", f"rows of {table}", rows, "rows")
        size = await connection.fetchval("SELECT pg_total_relation_size('usage_series')")
        run.report.figure("usage_series_mb", "usage_series with its indexes", size / 1e6, "MB")
        await _check(run, connection)
    finally:
        await connection.close()


async def _check(run: Run, connection: Connection) -> None:
    day = datetime.now(UTC).date() - timedelta(days=1)
    product = await connection.fetchval("SELECT id FROM product WHERE key = $1 || '-3'", run.product)
    counted = await connection.fetchval(
        "SELECT count(*) FROM (SELECT DISTINCT ON (install) verified, country FROM activity "
        "WHERE product = $1 AND day > $2::date - 30 AND day <= $2 ORDER BY install, day DESC) l "
        "WHERE verified AND country = 'AA'",
        product,
        day,
        timeout=600,
    )
    kept = await connection.fetchval(
        "SELECT sum(n) FROM usage_series u CROSS JOIN LATERAL unnest(days, month_installs) s (d, n) "
        "WHERE product = $1 AND slice = 'country' AND country = 'AA' AND month = date_trunc('month', $2::date) "
        "AND d <= extract(day FROM $2::date)",
        product,
        day,
    )
    run.report.check(
        f"installs of a product in a country in 30 days: {kept:,} = {counted:,}", kept == counted
    )


def _questions(product: str, count: int, chance: random.Random) -> list[tuple[str, str]]:
    """Name and path of each question."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    return [_question(product, last, chance) for _ in range(count)]


def _question(product: str, last: date, chance: random.Random) -> tuple[str, str]:
    name = chance.choice(list(_ASKED))
    number = 1 + int(chance.random() ** 2 * history.PRODUCTS)
    days = min(chance.choice(_RANGES), 360 if name == "license" else 1_000)
    license = 1 + chance.randrange(history.LICENSES)
    path = _ASKED[name].format(product=f"{product}-{1 if name == 'license' else number}", license=license)
    given = {"from": str(last - timedelta(days=days - 1)), "to": str(last)}
    values = {
        "version": f"12.{chance.randint(10, 25)}",
        "country": f"A{chance.choice('ABCDEF')}",
        "os": "windows",
    }
    # Counts are kept apart by two things at a time.
    filters = 1 if "by=" in path else 2
    for key in _NARROWED.get(name, ()):
        if chance.random() < 0.25 and len(given) < 2 + filters:
            given[key] = values[key]
    query = "&".join(f"{key}={value}" for key, value in given.items())
    return name, f"/api/v1/statistics{path}{'&' if '?' in path else '?'}{query}"


@dataclass
class _Found:
    """What became of the questions."""

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bytes: int = 0
    failed: list[str] = field(default_factory=list)


async def _ask(console: str, questions: list[tuple[str, str]], rate: int) -> _Found:
    """Ask each at its time, whether those before are answered or not."""
    found = _Found()
    headers = {"Authorization": f"Bearer {_TOKEN}", "Accept-Encoding": "gzip"}
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        begun_s = time.perf_counter()

        async def one(number: int, name: str, path: str) -> None:
            due_s = begun_s + number / rate
            await asyncio.sleep(due_s - time.perf_counter())
            try:
                async with session.get(f"{console}{path}") as answer:
                    body = await answer.read()
            except (TimeoutError, aiohttp.ClientError) as error:
                found.failed.append(f"{path}: {error or 'no answer'}")
                return
            found.latencies_s[name].append(time.perf_counter() - due_s)
            found.bytes += len(body)
            if answer.status != 200:
                found.failed.append(f"{path}: {answer.status} {body[:200]!r}")

        await asyncio.gather(*(one(number, *question) for number, question in enumerate(questions)))
    return found


def _report(run: Run, found: _Found) -> None:
    every: list[float] = sorted(value for values in found.latencies_s.values() for value in values)
    if not every:
        raise CallhomeError(f"no question was answered: {found.failed[:1]}")
    run.report.latencies(every, {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}, "any of them")
    for name, values in found.latencies_s.items():
        key = name.replace(" ", "_")
        value: Any = percentile(sorted(values), 0.95) * 1_000
        run.report.figure(f"{key}_p95_ms", f"{name}, p95", value, "ms")
    for failure in found.failed[:5]:
        say(failure)
    run.report.check(f"all were answered: {len(found.failed)} were not", not found.failed)


if __name__ == "__main__":
    main()
