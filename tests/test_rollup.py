"""The rollup against a plain recount of the table ``ping``, written a second time here in Python."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callhome.store import partitions, rollup
from callhome.store.encoding import encode_license, encode_row
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter

TODAY = datetime.now(UTC).date()
DAY_S = 86_400
MIDNIGHT_S = int(datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp())
SUMMARIES = ("activity", "usage_daily", "usage_again", "upgrade_daily", "install", "live_count", "live_build")
TABLES = ("ping", "batch", *SUMMARIES)

# --- what happens -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """One ping as it reaches the store; ``at_s`` counts from today's midnight, ``clock_s`` is the id's own error."""

    install: int
    product: int
    at_s: int
    clock: str
    version: str
    country: str
    users: int
    event: int
    verified: bool
    os: str
    license: bytes | None
    id: bytes = field(default=b"")

    def row(self) -> bytes:
        at_us = (MIDNIGHT_S + self.at_s) * 1_000_000
        return encode_row(
            self.id, self.install.to_bytes(16, "big"), at_us, self.product, self.users, self.event, self.verified,
            False, self.country, self.version, "b" + self.version, self.os, None, None, None, None,
            encode_license(self.license, None), None,
        )  # fmt: skip

    def with_id(self) -> Arrival:
        clock_s = {"right": MIDNIGHT_S + self.at_s, "1970": 5, "2100": 4_102_444_800}[self.clock]
        return Arrival(**{**self.__dict__, "id": new_id(clock_s)})


# Few values, so that they meet: several versions and countries within a day, late first pings, both sides of midnight.
MOMENTS = st.sampled_from(
    [
        *(day * DAY_S + second for day in (-40, -31, -30, -29, -2, -1, 0, 1) for second in (0, 1, DAY_S - 1)),
        3600,
        7200,
    ]
)
ARRIVALS = st.builds(
    Arrival,
    install=st.integers(1, 3),
    product=st.integers(1, 2),
    at_s=MOMENTS,
    clock=st.sampled_from(["right", "right", "right", "1970", "2100"]),
    version=st.sampled_from(["1.0", "1.1", "2.0"]),
    country=st.sampled_from(["DE", "FJ", "ZZ"]),
    users=st.sampled_from([0, 1, 7, 10**9]),
    event=st.integers(0, 2),
    verified=st.sampled_from([True, True, False]),
    os=st.sampled_from(["linux", "linux", "macos"]),
    license=st.sampled_from([None, b"1" * 16, b"2" * 16]),
).map(Arrival.with_id)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("batch"), st.lists(ARRIVALS, min_size=1, max_size=6)),
        st.tuples(st.just("twins"), st.lists(ARRIVALS, min_size=1, max_size=3)),
        st.tuples(st.just("replay"), st.integers(0, 9)),
        st.tuples(st.just("fold"), st.none()),
        st.tuples(st.just("two folds at once"), st.none()),
        st.tuples(st.just("midnight"), st.none()),
    ),
    min_size=1,
    max_size=14,
)


class World:
    """A database, a writer and two rollups."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.writer = BatchWriter(dsn)
        self.folders: list[Any] = []
        self.batches: list[list[bytes]] = []
        self.today = TODAY

    async def open(self) -> None:
        self.folders = [await asyncpg.connect(self.dsn) for _ in range(2)]
        for folder in self.folders:
            await rollup.prepare(folder)
        connection = self.folders[0]
        await connection.execute("INSERT INTO product (key, name) VALUES ('one', 'One'), ('two', 'Two')")
        await partitions.ensure(connection, TODAY)

    async def close(self) -> None:
        await self.writer.close()
        for folder in self.folders:
            await folder.close()

    async def reset(self) -> None:
        self.batches, self.today = [], TODAY
        for table in TABLES:  # emptied, not truncated: that takes as long as the rest of an example
            await self.folders[0].execute(f"DELETE FROM {table}")
        await self.folders[0].execute("UPDATE live_seq SET today = $1", TODAY)

    async def step(self, what: str, given: Any) -> None:
        if what in ("batch", "twins"):
            rows = [arrival.row() for arrival in given] * (2 if what == "twins" else 1)
            self.batches.append(rows)
            await self.writer.write(rows)
        elif what == "replay" and self.batches:
            await self.writer.write(self.batches[given % len(self.batches)], replay=bool(given % 2))
        elif what == "fold":
            await rollup.fold(self.folders[0])
        elif what == "two folds at once":
            await asyncio.gather(*(rollup.fold(folder) for folder in self.folders))
        elif what == "midnight":
            self.today += timedelta(days=1)
            assert await rollup.recount(self.folders[0], self.today)

    async def finish(self) -> None:
        while (folded := await rollup.fold(self.folders[0])) is None or folded.batches:
            pass


# --- the recount ------------------------------------------------------------------------------------------------------

Table = dict[tuple[Any, ...], tuple[Any, ...]]


def recount(pings: list[Any], today: date) -> dict[str, Table]:
    """Every summary, from nothing but the pings."""
    by_install: dict[tuple[bytes, int], dict[date, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for ping in sorted(pings, key=lambda ping: (ping["at"], ping["id"])):
        by_install[ping["install"], ping["product"]][ping["day"]].append(ping)
    tables: dict[str, Table] = {"activity": {}, "install": {}}
    sums: dict[str, dict[tuple[Any, ...], Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for (install, product), days in by_install.items():
        before = None
        for day in sorted(days):
            last = days[day][-1]
            launches = sum(ping["event"] == 0 for ping in days[day])
            verified = any(ping["verified"] for ping in days[day]) or before is not None
            tables["activity"][install, product, day] = (
                launches, last["at"], last["id"], last["version"], last["build"], last["country"], last["os"],
                last["license"], last["users"], verified, before and before["day"], before and before["version"],
            )  # fmt: skip
            key = (day, product, last["version"], last["build"], last["country"], last["os"], verified)
            sums["usage_daily"][key].update(installs=1, users=last["users"], launches=launches)
            if before is not None:
                was_verified = tables["activity"][install, product, before["day"]][9]
                again = (product, day, before["day"], before["country"], was_verified)
                sums["usage_again"][again].update(installs=1, users=before["users"])
            if before is not None and before["version"] != last["version"]:
                sums["upgrade_daily"][day, product, before["version"], last["version"]].update(installs=1)
            if verified and day > today - timedelta(days=30):
                live = sums["live_count"][product, last["country"]]
                live.update(launches_30d=launches)
                if day == today:
                    live.update(installs_today=1, users_today=last["users"], launches_today=launches)
            before = last
        assert before is not None
        verified = len(days) > 1 or any(ping["verified"] for ping in days[before["day"]])
        tables["install"][install, product] = (
            min(days), max(days), before["version"], before["build"], before["country"], before["os"],
            before["license"], before["users"], verified,
        )  # fmt: skip
        if verified and max(days) > today - timedelta(days=30):
            sums["live_count"][product, before["country"]].update(installs_30d=1, users_30d=before["users"])
            sums["live_build"][product, before["version"], before["build"]].update(installs=1)
    columns = {
        "usage_daily": ("installs", "users", "launches"),
        "usage_again": ("installs", "users"),
        "upgrade_daily": ("installs",),
        "live_count": (
            "installs_today",
            "users_today",
            "launches_today",
            "installs_30d",
            "users_30d",
            "launches_30d",
        ),
        "live_build": ("installs",),
    }
    for name, values in columns.items():
        tables[name] = {key: tuple(counts[value] for value in values) for key, counts in sums[name].items()}
    return tables


KEYS = {
    "activity": 3, "install": 2, "usage_daily": 7, "usage_again": 5, "upgrade_daily": 4, "live_count": 2,
    "live_build": 3,
}  # fmt: skip


async def stored(connection: Any, name: str) -> Table:
    """A summary as it stands; live counters that came to nothing count as absent, since viewers are told so."""
    rows = [tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")]
    table = {row[: KEYS[name]]: row[KEYS[name] :] for row in rows}
    if name.startswith("live_"):
        return {key: values for key, values in table.items() if any(values)}
    return table


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(database: str) -> Iterator[tuple[World, asyncio.Runner]]:
    with asyncio.Runner() as runner:
        world = World(database)
        runner.run(world.open())
        yield world, runner
        runner.run(world.close())


async def play(world: World, steps: list[tuple[str, Any]]) -> None:
    await world.reset()
    for what, given_ in steps:
        await world.step(what, given_)
    await world.finish()
    connection = world.folders[0]
    expected = recount(await connection.fetch("SELECT * FROM ping"), world.today)
    for name in SUMMARIES:
        live = {
            key: values
            for key, values in expected[name].items()
            if not name.startswith("live_") or any(values)
        }
        assert await stored(connection, name) == live, name
    assert await connection.fetchval("SELECT count(*) FROM batch") == 0


UNHURRIED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@UNHURRIED
@given(steps=STEPS)
def test_any_interleaving_equals_a_recount(
    world: tuple[World, asyncio.Runner], steps: list[tuple[str, Any]]
) -> None:
    """Pings, twins, replays, late batches, wrong clocks, midnights, two rollups: summaries equal a recount of ping."""
    the_world, runner = world
    runner.run(play(the_world, steps))


@pytest.mark.long
@settings(UNHURRIED, max_examples=3_000)
@given(steps=STEPS)
def test_any_interleaving_equals_a_recount_at_length(
    world: tuple[World, asyncio.Runner], steps: list[tuple[str, Any]]
) -> None:
    """The same with twenty times as many interleavings."""
    the_world, runner = world
    runner.run(play(the_world, steps))


def test_a_late_ping_corrects_its_day_and_the_next(world: tuple[World, asyncio.Runner]) -> None:
    """A ping of yesterday that comes after today's turns today's first day into an update and verifies it."""
    the_world, runner = world

    def arrival(at_s: int, version: str) -> Arrival:
        return Arrival(1, 1, at_s, "right", version, "DE", 3, 0, False, "linux", None).with_id()

    late = [
        ("batch", [arrival(0, "2.0")]),
        ("fold", None),
        ("batch", [arrival(-DAY_S, "1.0")]),
        ("fold", None),
    ]
    runner.run(play(the_world, late))

    async def upgrades() -> list[Any]:
        return [tuple(row) for row in await the_world.folders[0].fetch("SELECT * FROM upgrade_daily")]

    assert runner.run(upgrades()) == [(TODAY, 1, "1.0", "2.0", 1)]
