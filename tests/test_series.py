"""The series of the pages of statistics against a plain recount of ``ping``, written a second time here in Python."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings

from apis import row, store
from callhome.jobs import series as job
from callhome.statistics.model import SLICES, Count, Days, Dimension, Filters, Measure, Window
from callhome.store import series
from callhome.store.counts import SeriesSource
from running import until
from test_rollup import STEPS, TODAY, World

DAYS = Days(TODAY - timedelta(days=75), TODAY)
TABLES = ("series_touched", "usage_series", "usage_flow", "usage_cohort")
SEVERAL = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def world(database: str) -> Iterator[tuple[World, asyncio.Runner]]:
    with asyncio.Runner() as runner:
        world = World(database)
        runner.run(world.open())
        runner.run(series.prepare(world.folders[0]))
        yield world, runner
        runner.run(world.close())


async def play(world: World, steps: list[tuple[str, Any]]) -> None:
    await world.reset()
    connection = world.folders[0]
    for table in TABLES:
        await connection.execute(f"DELETE FROM {table}")
    for number, (what, given_) in enumerate(steps):
        await world.step(what, given_)
        if number % 4 == 3:
            await job.look(connection)
    await world.finish()
    await job.look(connection)
    assert await connection.fetchval("SELECT count(*) FROM series_touched") == 0


# --- the recount ------------------------------------------------------------------------------------------------------


def last_pings(pings: list[Any], product: int) -> dict[bytes, dict[date, dict[str, Any]]]:
    """Of each install and active day: what its last ping of the day says, and whether the day is verified."""
    found: dict[bytes, dict[date, dict[str, Any]]] = defaultdict(dict)
    for ping in sorted(pings, key=lambda ping: (ping["at"], ping["id"])):
        if ping["product"] == product:
            before = found[ping["install"]].get(ping["day"], {"launches": 0, "verified": False})
            now = dict(ping)
            now["launches"] = before["launches"] + (ping["event"] == 0)
            now["verified"] = before["verified"] or ping["verified"]
            found[ping["install"]][ping["day"]] = now
    for days in found.values():
        for day in sorted(days)[1:]:
            days[day]["verified"] = True
    return found


def recount(
    pings: list[Any], product: int, window: int, day: date, told: frozenset[Dimension]
) -> Counter[tuple[Any, ...]]:
    """Installs, users and launches of one day by what is told apart."""
    found: Counter[tuple[Any, ...]] = Counter()
    for days in last_pings(pings, product).values():
        within = [each for each in days if day - timedelta(days=window) < each <= day]
        if within and (last := days[max(within)])["verified"]:
            key = tuple(sorted((each.value, last[each.value]) for each in told))
            found["installs", key] += 1
            found["users", key] += last["users"]
            if window == 1:
                found["launches", key] += last["launches"]
    return +found


async def kept(
    connection: Any, product: int, window: Window, told: frozenset[Dimension]
) -> dict[date, Counter[Any]]:
    """The same from ``usage_series``, for each day of `DAYS`."""
    found: dict[date, Counter[Any]] = {day: Counter() for day in DAYS}
    measures = [Measure.INSTALLS, Measure.USERS, *([Measure.LAUNCHES] if window is Window.DAY else [])]
    filterable = sorted(told - {Dimension.BUILD})
    by = Dimension.BUILD if Dimension.BUILD in told else (filterable[0] if filterable else None)
    narrowed: list[Filters] = [Filters()]
    if len(filterable) == 2:
        values = await connection.fetch(f"SELECT DISTINCT {filterable[1].value} FROM ping")
        narrowed = [Filters(**{filterable[1].value: row[0]}) for row in values]
    for filters in narrowed:
        source = SeriesSource(connection, product, filters)
        for measure in measures:
            for key, counts in (await source.daily(Count(measure, window), DAYS, by)).items():
                parts = dict(filters.given)
                if by is Dimension.BUILD:
                    parts |= {Dimension.VERSION: key[0], Dimension.BUILD: key[1]}
                elif by is not None:
                    parts[by] = key[0]
                name = tuple(sorted((each.value, value) for each, value in parts.items()))
                for day, count in zip(DAYS, counts, strict=True):
                    found[day][measure.value, name] += count or 0
    return {day: +counter for day, counter in found.items()}


async def compare(world: World) -> None:
    connection = world.folders[0]
    pings = await connection.fetch("SELECT * FROM ping")
    for product in (1, 2):
        for window in Window:
            for told in SLICES:
                stored = await kept(connection, product, window, told)
                for day in DAYS:
                    assert stored[day] == recount(pings, product, window.days, day, told), (day, window, told)


@SEVERAL
@given(steps=STEPS)
def test_series_are_what_a_recount_gives(
    world: tuple[World, asyncio.Runner], steps: list[tuple[str, Any]]
) -> None:
    """Whatever arrives, late or twice: each count of each day and window is what a recount of the pings gives."""
    there, runner = world
    runner.run(play(there, steps))
    runner.run(compare(there))


async def compare_flows(world: World) -> None:
    connection = world.folders[0]
    pings = await connection.fetch("SELECT * FROM ping")
    rows = await connection.fetch("SELECT * FROM usage_flow WHERE day <= $1", TODAY)
    stored = {(row["product"], row["day"]): tuple(row)[2:] for row in rows}
    expected: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    cohorts: Counter[Any] = Counter()
    for product in (1, 2):
        for days in last_pings(pings, product).values():
            known = sorted(day for day in days if days[day]["verified"])
            for day in sorted(days):
                if not days[day]["verified"]:
                    expected[product, day][3] += 1
            for number, day in enumerate(known):
                if number == 0:
                    expected[product, day][0] += 1
                elif (day - known[number - 1]).days > 30:
                    expected[product, day][1] += 1
                gone = day + timedelta(days=30)
                if not any(day < other <= gone for other in known):
                    expected[product, gone][2] += 1
            for month in {day.replace(day=1) for day in days}:
                last = max(day for day in days if day.replace(day=1) == month)
                if days[last]["verified"]:
                    cohorts[product, min(days).replace(day=1), month] += 1
    assert stored == {key: tuple(value) for key, value in expected.items() if key[1] <= TODAY}
    rows = await connection.fetch("SELECT product, cohort, month, installs FROM usage_cohort")
    assert {tuple(row)[:3]: row["installs"] for row in rows} == dict(cohorts)


@SEVERAL
@given(steps=STEPS)
def test_comings_and_goings_are_what_a_recount_gives(
    world: tuple[World, asyncio.Runner], steps: list[tuple[str, Any]]
) -> None:
    """New, returned and lost installs of each day, and cohorts, are what a recount of the pings gives."""
    there, runner = world
    runner.run(play(there, [step for step in steps if step[0] != "midnight"]))
    runner.run(compare_flows(there))


async def test_older_months_have_their_turn_while_pings_come(database: str) -> None:
    """Though the running month waits again after each ping, a month before it is made, and as of when is told."""
    await store(database, [row(0)], "one")
    connection = await asyncpg.connect(database)
    old = (TODAY.replace(day=1) - timedelta(days=1)).replace(day=1)
    running = job.SeriesJob(database)
    await connection.execute("DELETE FROM series_state")
    await connection.execute("INSERT INTO series_touched VALUES (1, $1, 1)", old)
    await series.prepare(connection)
    for _ in range(3):
        await connection.execute(
            "INSERT INTO series_touched VALUES (1, $1, 1) ON CONFLICT DO NOTHING", TODAY.replace(day=1)
        )
        await running._step(connection)
    assert await connection.fetchval("SELECT count(*) FROM series_touched WHERE month = $1", old) == 0
    assert await connection.fetchval("SELECT count(*) FROM series_state") == 1
    await connection.close()


async def test_the_job_makes_what_waits(database: str) -> None:
    """While it runs, what is folded is in the series within seconds, and again when more comes."""
    await store(database, [row(1)], "one")
    connection = await asyncpg.connect(database)
    await connection.execute("DELETE FROM usage_series")
    await connection.execute(
        "INSERT INTO series_touched VALUES (1, $1, 1)", (TODAY - timedelta(days=1)).replace(day=1)
    )

    async with job.SeriesJob(database) as running:

        async def is_made() -> bool:
            return (
                await connection.fetchval("SELECT count(*) FROM usage_series")
                and running.session.succeeded_s > 0
            )

        await until(is_made)
    await connection.close()


async def test_a_new_month_needs_no_ping(database: str) -> None:
    """Installs of the month before count on in the new one; what is made is not made again at each start."""
    last = TODAY.replace(day=1) - timedelta(days=1)
    await store(database, [row((TODAY - last).days)], "one", "two")
    connection = await asyncpg.connect(database)
    await connection.execute("DELETE FROM usage_series WHERE month > $1", last)
    await series.touch_month(connection, TODAY.replace(day=1))
    waits = "SELECT array_agg(product ORDER BY product) FROM series_touched"
    assert await connection.fetchval(waits) == [1, 2]
    await series.prepare(connection)
    await job.look(connection)
    counts = await SeriesSource(connection, 1, Filters()).daily(Count(Measure.INSTALLS, Window.MONTH), DAYS)
    assert counts["", ""][-1] == (TODAY - last < timedelta(days=30))
    await series.touch_month(connection, TODAY.replace(day=1))
    assert await connection.fetchval(waits) == [2]
    await connection.close()
