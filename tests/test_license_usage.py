"""`callhome.store.license_usage` against a plain recount of the table ``ping``, written again here in Python."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callhome.store import license_usage, partitions, rollup
from callhome.store.encoding import encode_license, encode_row
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter

TODAY = datetime.now(UTC).date()
MIDNIGHT_S = int(datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp())
DAY_S, HOUR_S = 86_400, 3_600
DAYS_BACK = 12
TABLES = (
    "ping", "batch", "activity", "install", "usage_daily", "upgrade_daily", "live_count", "live_build",
    "license_hour", "license_touched", "flip", "license",
)  # fmt: skip


@dataclass(frozen=True)
class Sold:
    """A license; its key is ``number`` sixteen times."""

    number: int
    product: int
    counts: str
    use: str
    window_days: int

    @property
    def key(self) -> bytes:
        return bytes([self.number]) * 16


@dataclass(frozen=True)
class Arrival:
    """A ping as it reaches the store, ``at_s`` from today's midnight on; ``license`` is its number, 0 for none."""

    install: int
    product: int
    at_s: int
    users: int
    verified: bool
    license: int
    country: str = "DE"
    weak: bool = False
    id: bytes = b""

    def row(self) -> bytes:
        key = bytes([self.license]) * 16 if self.license else None
        return encode_row(
            self.id, self.install.to_bytes(16, "big"), (MIDNIGHT_S + self.at_s) * 1_000_000, self.product, self.users,
            0, self.verified, self.weak, self.country, "1.0", "b", "linux", None, None, None, None,
            encode_license(key, None), None,
        )  # fmt: skip


LICENSES = st.tuples(
    *(
        st.builds(
            Sold,
            number=st.just(number),
            product=st.integers(1, 2),
            counts=st.sampled_from(["install", "user"]),
            use=st.sampled_from(["named", "concurrent"]),
            window_days=st.sampled_from([1, 2, 3, 5, 30]),
        )
        for number in (1, 2)
    )
)
ARRIVALS = st.builds(
    Arrival,
    install=st.integers(1, 4),
    product=st.sampled_from([1, 1, 1, 2]),
    at_s=st.builds(
        lambda day, second: day * DAY_S + second,
        st.integers(-DAYS_BACK, 0),
        st.sampled_from([0, 10, HOUR_S, 9 * HOUR_S + 1, 9 * HOUR_S + 3599, DAY_S - 1]),
    ),
    users=st.sampled_from([0, 1, 5]),
    verified=st.sampled_from([True, True, False]),
    license=st.sampled_from([1, 1, 1, 2, 0, 3]),
).map(lambda arrival: replace(arrival, id=new_id(MIDNIGHT_S + arrival.at_s)))
# Batches, how many are folded before the next look, and days that pass before it.
STEPS = st.lists(
    st.tuples(st.lists(ARRIVALS, min_size=1, max_size=12), st.booleans(), st.booleans()),
    min_size=1,
    max_size=6,
)


# --- the recount ------------------------------------------------------------------------------------------------------

Usage = dict[tuple[int, date], tuple[int, int, int, int]]


def recount(licenses: tuple[Sold, ...], pings: list[Any], today: date) -> Usage:
    """Seats used, held, active and elsewhere of each license and day, from nothing but the pings."""
    days = defaultdict[tuple[bytes, int], dict[date, list[Any]]](lambda: defaultdict(list))
    for ping in sorted(pings, key=lambda ping: (ping["at"], ping["id"])):
        days[ping["install"], ping["product"]][ping["day"]].append(ping)
    last_of_day = {
        (install, product, day): of_day[-1]
        for (install, product), by_day in days.items()
        for day, of_day in by_day.items()
        if any(ping["verified"] for ping in of_day) or day != min(by_day)
    }
    usage: Usage = {}
    for sold in licenses:
        of_key = {where: ping for where, ping in last_of_day.items() if ping["license"] == sold.key}
        for back in range(DAYS_BACK + 40):
            day = today - timedelta(days=back)
            elsewhere = sum(product != sold.product and of == day for _, product, of in of_key)
            if sold.use == "concurrent":
                counted = _concurrent(
                    sold,
                    [
                        ping
                        for ping in pings
                        if (ping["install"], ping["product"], ping["day"]) in last_of_day
                    ],
                    day,
                )
            else:
                counted = _named(
                    sold,
                    {where: ping for where, ping in of_key.items() if where[1] == sold.product},
                    day,
                    today,
                )
            if any((*counted, elsewhere)):
                usage[sold.number, day] = (*counted, elsewhere)
    return usage


def _seats(sold: Sold, users: int) -> int:
    return users if sold.counts == "user" else 1


def _named(sold: Sold, active: dict[Any, Any], day: date, today: date) -> tuple[int, int, int]:
    used = held = active_now = 0
    for install in {install for install, _, _ in active}:
        by_day = {of: ping for (who, _, of), ping in active.items() if who == install and of <= today}
        before = [of for of in by_day if of <= day]
        if not before:
            continue
        latest = max(before)
        seats = _seats(sold, by_day[latest]["users"])
        if (day - latest).days < sold.window_days:
            used += seats
        after = [of for of in by_day if of > day]
        near = [of for of in by_day if of != day and abs((of - day).days) < sold.window_days]
        if (after and (min(after) - latest).days < sold.window_days) or (latest == day and not near):
            held += seats
        active_now += seats if latest == day else 0
    return used, held, active_now


def _concurrent(sold: Sold, pings: list[Any], day: date) -> tuple[int, int, int]:
    under = [ping for ping in pings if ping["license"] == sold.key and ping["product"] == sold.product]
    hours = defaultdict[datetime, dict[bytes, int]](dict)
    for ping in under:
        hour = hours[ping["at"].replace(minute=0, second=0, microsecond=0)]
        hour[ping["install"]] = max(hour.get(ping["install"], 0), ping["users"])
    peaks = defaultdict[date, int](int)
    for at, installs in hours.items():
        seats = sum(_seats(sold, users) for users in installs.values())
        peaks[at.date()] = max(peaks[at.date()], seats)
    most = defaultdict[bytes, int](int)
    for ping in under:
        if ping["day"] == day:
            most[ping["install"]] = max(most[ping["install"]], ping["users"])
    window = [peaks[day - timedelta(days=back)] for back in range(sold.window_days)]
    return max(window), peaks[day], sum(_seats(sold, users) for users in most.values())


# --- the tests --------------------------------------------------------------------------------------------------------


class World:
    """A database, a writer, a rollup."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.writer = BatchWriter(dsn)
        self.connection: Any = None

    async def open(self) -> None:
        self.connection = await asyncpg.connect(self.dsn)
        await rollup.prepare(self.connection)
        await self.connection.execute("INSERT INTO product (key, name) VALUES ('one', 'One'), ('two', 'Two')")
        await partitions.ensure(self.connection, TODAY)

    async def close(self) -> None:
        await self.writer.close()
        await self.connection.close()

    async def sell(self, licenses: tuple[Sold, ...]) -> None:
        for table in TABLES:
            await self.connection.execute(f"DELETE FROM {table}")
        for sold in licenses:
            await self.connection.execute(
                "INSERT INTO license (id, key_hash, customer, product, seats, counts, use, window_days) "
                "OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'c', $3, 10, $4, $5, $6)",
                sold.number, sold.key, sold.product, sold.counts, sold.use, sold.window_days,
            )  # fmt: skip

    async def fold(self) -> None:
        while (folded := await rollup.fold(self.connection)) is None or folded.batches:
            pass

    async def count(self, today: date, most: int = 500) -> None:
        await license_usage.touch_due(self.connection, today)
        while touched := await self._count(today, most):
            assert len(touched) <= most

    async def _count(self, today: date, most: int) -> list[license_usage.Touched]:
        async with self.connection.transaction():
            touched = await license_usage.take(self.connection, today, most)
            await license_usage.count(self.connection, touched, today)
        return touched

    async def usage(self) -> Usage:
        rows = await self.connection.fetch("SELECT * FROM license_usage")
        return {(row["license"], row["day"]): tuple(row)[2:] for row in rows}


@pytest.fixture
def world(database: str) -> Iterator[tuple[World, asyncio.Runner]]:
    with asyncio.Runner() as runner:
        world = World(database)
        runner.run(world.open())
        yield world, runner
        runner.run(world.close())


async def play(
    world: World, licenses: tuple[Sold, ...], steps: list[tuple[list[Arrival], bool, bool]]
) -> None:
    await world.sell(licenses)
    for arrivals, is_folded, is_counted in steps:
        await world.writer.write([arrival.row() for arrival in arrivals])
        if is_folded:
            await world.fold()
        if is_counted:
            await world.count(TODAY, most=1)
    await world.fold()
    pings = await world.connection.fetch("SELECT * FROM ping")
    for today in (TODAY, TODAY + timedelta(days=2)):
        await world.count(today)
        expected = recount(licenses, pings, today)
        assert await world.usage() == expected
        for row in await world.connection.fetch("SELECT * FROM license_state"):
            used = {
                day: values[0] for (license, day), values in expected.items() if license == row["license"]
            }
            assert row["seats_used"] == used.get(today, 0)
            assert row["used_max"] >= max(used.values(), default=0)
            assert row["counted_day"] == today or not row["seats_used"]


UNHURRIED = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@UNHURRIED
@given(licenses=LICENSES, steps=STEPS)
def test_usage_equals_a_recount(
    world: tuple[World, asyncio.Runner],
    licenses: tuple[Sold, ...],
    steps: list[tuple[list[Arrival], bool, bool]],
) -> None:
    """Late pings, changes of license, unverified days, other products, any order: usage equals a recount of ping."""
    the_world, runner = world
    runner.run(play(the_world, licenses, steps))


@pytest.mark.long
@settings(UNHURRIED, max_examples=2_000)
@given(licenses=LICENSES, steps=STEPS)
def test_usage_equals_a_recount_at_length(
    world: tuple[World, asyncio.Runner],
    licenses: tuple[Sold, ...],
    steps: list[tuple[list[Arrival], bool, bool]],
) -> None:
    """The same with twenty times as many examples."""
    the_world, runner = world
    runner.run(play(the_world, licenses, steps))


def _arrival(
    day: int, second: int = 0, *, users: int = 1, verified: bool = True, license: int = 1
) -> Arrival:
    at_s = day * DAY_S + second
    return Arrival(1, 1, at_s, users, verified, license, id=new_id(MIDNIGHT_S + at_s))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param([_arrival(-4)], [_arrival(-1)], id="seen again: held in between"),
        pytest.param([_arrival(-1)], [_arrival(-1, 60, users=5)], id="other users on the same day"),
        pytest.param([_arrival(-1)], [_arrival(-1, 60, license=2)], id="another license on the same day"),
        pytest.param([_arrival(-1)], [_arrival(-1, 60, license=0)], id="no license any more"),
        pytest.param(
            [_arrival(-1, verified=False)], [_arrival(-3, license=0)], id="verified by an earlier day"
        ),
    ],
)
@pytest.mark.parametrize("counts", ["install", "user"])
def test_what_comes_after_a_count_is_counted_anew(
    world: tuple[World, asyncio.Runner], first: list[Arrival], then: list[Arrival], counts: str
) -> None:
    """Each change that matters touches its license, as far back as it matters."""
    the_world, runner = world
    licenses = (Sold(1, 1, counts, "named", 5), Sold(2, 1, counts, "named", 5))
    runner.run(play(the_world, licenses, [(first, True, True), (then, True, False)]))


async def _played(world: World, batches: list[list[Arrival]], replayed: bool) -> tuple[Any, Any, Any]:
    """What hours, flips and touched licenses are left by batches, each folded on its own."""
    await world.sell((Sold(1, 1, "install", "concurrent", 5), Sold(2, 1, "install", "named", 5)))
    for arrivals in batches:
        for _ in range(1 + replayed):
            await world.writer.write([arrival.row() for arrival in arrivals])
            await world.fold()
    hours = await world.connection.fetch("SELECT * FROM license_hour ORDER BY license, hour, install")
    flips = await world.connection.fetch("SELECT * FROM flip ORDER BY at, install, product")
    touched = await world.connection.fetch("SELECT DISTINCT license FROM license_touched ORDER BY 1")
    return hours, flips, touched


@UNHURRIED
@given(arrivals=st.lists(ARRIVALS, min_size=1, max_size=12), data=st.data())
def test_hours_are_the_same_in_any_order_and_batches(
    world: tuple[World, asyncio.Runner], arrivals: list[Arrival], data: st.DataObject
) -> None:
    """Folded twice, late, out of order or in other batches, pings leave the same hours behind."""
    the_world, runner = world
    once = runner.run(_played(the_world, [arrivals], replayed=False))
    shuffled = data.draw(st.permutations(arrivals))
    cut = data.draw(st.integers(0, len(arrivals)))
    again = runner.run(
        _played(the_world, [part for part in (shuffled[:cut], shuffled[cut:]) if part], replayed=True)
    )
    assert again[0] == once[0]
    # A license that a day had for a while only is touched where that was between two folds.
    assert {row["license"] for row in once[2]} <= {row["license"] for row in again[2]}


COUNTRIES = st.lists(st.sampled_from(["DE", "DE", "FR", "CH"]), min_size=1, max_size=10)


@UNHURRIED
@given(countries=COUNTRIES, weak=st.booleans(), data=st.data())
def test_each_flip_is_found_once_however_pings_are_folded(
    world: tuple[World, asyncio.Runner], countries: list[str], weak: bool, data: st.DataObject
) -> None:
    """In the order of time, each ping that differs from the one before is a flip, within a fold and between two."""
    the_world, runner = world
    pings = [
        replace(_arrival(0, number * 60), country=country, weak=weak)
        for number, country in enumerate(countries)
    ]
    cuts = sorted(data.draw(st.lists(st.integers(1, len(pings)), max_size=3)))
    batches = [pings[a:b] for a, b in zip([0, *cuts], [*cuts, len(pings)], strict=True) if a < b]
    _, flips, _ = runner.run(_played(the_world, batches, replayed=True))
    found = [(row["from_country"], row["to_country"]) for row in flips]
    expected = [pair for pair in pairwise(countries) if pair[0] != pair[1]]
    assert found == ([] if weak else expected)


async def test_windows_move_on_without_a_ping(database: str) -> None:
    """A month later nothing is used any more, each day in between is counted, and the maximum stays."""
    world = World(database)
    await world.open()
    await world.sell((Sold(1, 1, "user", "named", 3),))
    await world.writer.write([_arrival(-1, users=5).row()])
    await world.fold()
    await world.count(TODAY)
    later = TODAY + timedelta(days=30)
    await world.count(later)
    days = {day - TODAY: values[:2] for (_, day), values in (await world.usage()).items()}
    assert days == {timedelta(-1): (5, 5), timedelta(0): (5, 0), timedelta(1): (5, 0)}
    state = await world.connection.fetchrow("SELECT * FROM license_state")
    assert (state["seats_used"], state["used_max"], state["max_day"]) == (0, 5, TODAY - timedelta(days=1))
    assert state["counted_day"] == later
    await world.connection.execute("UPDATE license SET updated_at = now() - interval '3 days'")
    await license_usage.touch_due(world.connection, later + timedelta(days=1))
    assert not await world.connection.fetchval("SELECT count(*) FROM license_touched")
    await world.close()


async def test_what_lies_ahead_waits_for_its_day(database: str) -> None:
    """A ping that is an hour ahead of midnight is counted on the day it belongs to."""
    world = World(database)
    await world.open()
    await world.sell((Sold(1, 1, "install", "named", 3),))
    await world.writer.write([_arrival(1).row()])
    await world.fold()
    await world.count(TODAY)
    assert not await world.usage()
    await world.count(TODAY + timedelta(days=1))
    assert await world.usage() == {(1, TODAY + timedelta(days=1)): (1, 1, 1, 0)}
    await world.close()


async def test_old_hours_and_flips_are_pruned(database: str) -> None:
    """Hours beyond window and lateness, hours of no concurrent license, and flips of 90 days ago go; others stay."""
    world = World(database)
    await world.open()
    await world.sell((Sold(1, 1, "install", "concurrent", 30), Sold(2, 1, "install", "named", 30)))
    for license, back in ((1, 121), (1, 123), (2, 1), (9, 1)):
        await world.connection.execute(
            "INSERT INTO license_hour VALUES ($1, $2, '\\x01', 1)", license, _midnight(back)
        )
    for back in (90, 91):
        await world.connection.execute(
            "INSERT INTO flip VALUES ('\\x01', 1, $1, 'DE', 'FR', '1', '1')", _midnight(back)
        )
    await license_usage.prune(world.connection, TODAY, retention_days=400)
    hours = await world.connection.fetch("SELECT license, hour FROM license_hour")
    assert [tuple(row) for row in hours] == [(1, _midnight(121))]
    assert [row["at"] for row in await world.connection.fetch("SELECT at FROM flip")] == [_midnight(90)]
    await license_usage.prune(world.connection, TODAY, retention_days=60)
    assert not await world.connection.fetchval("SELECT count(*) FROM license_hour")
    await world.close()


def _midnight(back: int) -> datetime:
    day = TODAY - timedelta(days=back)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
