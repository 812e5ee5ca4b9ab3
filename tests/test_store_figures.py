"""The figures of a report against a plain recount of the table ``ping``, written a second time here in Python."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from callhome.reports.figures import Counted, Figures, Moved, Product
from callhome.reports.model import SECTIONS, Order, Period
from callhome.store import figures, rollup, schema
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from rows import Row

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
KEYS = {"one": 1, "two": 2, "other": 3}


@dataclass
class Stored:
    """A database with folded pings, and the same pings for the recount."""

    connection: Any
    pings: list[Any]

    async def read(self, period: Period, *products: str) -> Figures:
        order = Order("test", products, SECTIONS, "en", period)
        return await figures.read(self.connection, order)

    async def run(self, statement: str, *values: object) -> None:
        await self.connection.execute(statement, *values)


def pings_of(seed: int) -> list[bytes]:
    """Pings of 85 days: installs that come, go, return and move; some are never verified, some change daily."""
    rng = random.Random(seed)
    midnight_s = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC).timestamp()
    rows: list[bytes] = []
    for install in range(1, 61):
        product = rng.choice((1, 1, 1, 2, 2, 3))
        habit = rng.choice((0.05, 0.1, 0.4, 0.9))
        begin, end = sorted(rng.sample(range(-85, 1), 2))
        is_known = rng.random() < 0.7
        country, version = rng.choice(["DE", "FR", "FJ", "ZZ"]), rng.choice(("1.0", "1.9", "1.10"))
        away = range(
            begin + 2, begin + 2 + rng.choice((0, 29, 30, 31, 35))
        )  # to be lost and return, or just not
        for day in range(begin, end + 1):
            if day in away:
                continue
            if rng.random() < habit * 0.1:
                country = rng.choice(["DE", "FR", "FJ", "ZZ"])
            if rng.random() < habit * 0.2:
                version = rng.choice(("1.0", "1.9", "1.10", "2.0"))
            for _ in range(rng.choice((1, 1, 2)) if rng.random() < habit else 0):
                at_s = midnight_s + day * 86_400 + rng.randrange(86_400 if day else 1)
                row = Row(
                    install=install, id=new_id(at_s), at_s=at_s, product=product, users=rng.choice((0, 1, 1, 30)),
                    event=rng.choice((0, 0, 1)), verified=is_known or rng.random() < 0.02, country=country,
                    version=version, build=rng.choice(("", "b1", "b2")),
                )  # fmt: skip
                rows.append(bytes(row))
    return rng.sample(rows, len(rows))  # in no order: most of them are late


@pytest.fixture(params=range(3))
async def stored(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Stored]:
    writer, connection = BatchWriter(database), await asyncpg.connect(database)
    await rollup.prepare(connection)
    await connection.execute(
        "INSERT INTO product (key, name) VALUES ('one', 'One'), ('two', 'Two'), ('other', 'O')"
    )
    await connection.execute("UPDATE live_seq SET today = $1", TODAY)
    rows = pings_of(request.param)
    for first in range(0, len(rows), 97):
        await writer.write(rows[first : first + 97])
        await rollup.fold(connection)
    yield Stored(connection, await connection.fetch("SELECT * FROM ping"))
    await writer.close()
    await connection.close()


# --- the recount ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """An install's day, as of its last ping."""

    launches: int
    last: Any
    verified: bool


Days = dict[date, Day]


def installs_of(pings: list[Any], product: int) -> list[Days]:
    """The days of each install of a product, in order."""
    found: dict[bytes, dict[date, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for ping in sorted(pings, key=lambda ping: (ping["at"], ping["id"])):
        if ping["product"] == product:
            found[ping["install"]][ping["day"]].append(ping)
    installs = []
    for by_day in found.values():
        days: Days = {}
        for day in sorted(by_day):
            verified = bool(days) or any(ping["verified"] for ping in by_day[day])
            launches = sum(ping["event"] == 0 for ping in by_day[day])
            days[day] = Day(launches, by_day[day][-1], verified)
        installs.append(days)
    return installs


def last_in(days: Days, first: date, last: date) -> Day | None:
    """An install's last day within a window."""
    within = [day for day in days if first <= day <= last]
    return days[max(within)] if within else None


def counted(installs: list[Days], first: date, last: date) -> tuple[Counted, int, Counter[str]]:
    """Verified installs of a window with users and launches; how many are not verified; installs by country."""
    latest = [found for days in installs if (found := last_in(days, first, last))]
    verified = [found for found in latest if found.verified]
    launches = sum(
        found.launches
        for days in installs
        for day, found in days.items()
        if first <= day <= last and found.verified
    )
    users = sum(found.last["users"] for found in verified)
    countries = Counter(found.last["country"] for found in verified)
    return Counted(len(verified), users, launches), len(latest) - len(verified), countries


def moved(installs: list[Days], first: date, last: date) -> Moved:
    """Who came and who went, day by day, from the sets of those active within 30 days."""

    def active(day: date) -> set[int]:
        found = ((at, last_in(days, day - 29 * DAY, day)) for at, days in enumerate(installs))
        return {at for at, latest in found if latest and latest.verified}

    new = returned = lost = 0
    ever = {at for at, days in enumerate(installs) if any(day < first and days[day].verified for day in days)}
    day = first
    while day <= last:
        before, now = active(day - DAY), active(day)
        new += len(now - before - ever)
        returned += len((now - before) & ever)
        lost += len(before - now)
        ever |= now
        day += DAY
    return Moved(len(active(first - DAY)), new, returned, lost, len(active(last)))


PERIODS = [
    Period(TODAY - 7 * DAY, TODAY - DAY),
    Period(TODAY - 6 * DAY, TODAY),
    Period(TODAY - DAY, TODAY - DAY),
    Period(TODAY - 30 * DAY, TODAY - DAY),
    Period(TODAY - 200 * DAY, TODAY),
]


async def test_figures_equal_a_recount(stored: Stored) -> None:
    """Usage, days, countries, comings and goings of a period and the one before are what a recount of ping gives."""
    for period in PERIODS:
        read = await stored.read(period)
        assert {product.key for product in read.products} == KEYS.keys()
        most = max(product.usage.now.installs for product in read.products)
        assert read.products[0].usage.now.installs == most
        for product in read.products:
            compare(product, period, installs_of(stored.pings, KEYS[product.key]))
    # The longest period saw something of everything.
    for name in ("new", "returned", "lost"):
        assert sum(getattr(product.moved, name) for product in read.products) > 0, name
    assert sum(product.usage.unverified for product in read.products) > 0


def compare(product: Product, period: Period, installs: list[Days]) -> None:
    """Hold a product's figures against the recount."""
    first, last = period.first_day, period.last_day
    length = last - first + DAY
    now, unverified, by_country = counted(installs, first, last)
    before, _, by_country_before = counted(installs, first - length, last - length)
    assert (product.usage.now, product.usage.before, product.usage.unverified) == (now, before, unverified)
    for begin, by_day in ((first, product.usage.by_day), (first - length, product.usage.by_day_before)):
        days = [begin + at * DAY for at in range(length.days)]
        assert list(by_day) == [counted(installs, day, day)[0].installs for day in days]
    codes = by_country | by_country_before
    assert {(country.code, country.installs, country.before) for country in product.countries} == {
        (code, by_country[code], by_country_before[code]) for code in codes
    }
    assert len(product.countries) == len(codes)
    assert product.moved == moved(installs, first, last)
    assert product.moved_before == moved(installs, first - length, first - DAY)


async def test_builds_and_updates_equal_a_recount(stored: Stored) -> None:
    """Builds in use, flows between versions and the adoption of the latest release are what a recount gives."""
    await stored.run(
        "INSERT INTO release (product, version, day, channel, share, withdrawn_at) VALUES "
        "(1, '1.9', $1, 'stable', 100, NULL), (1, '1.10', $1, 'stable', 50, NULL), (1, '2.0', $1, 'beta', 100, NULL), "
        "(1, '2.1', $1, 'stable', 100, now()), (1, '2.2', $1, 'stable', 0, NULL), (1, '2.3', $2, 'stable', 100, NULL)",
        TODAY - 9 * DAY,
        datetime.now(UTC).date() + 2 * DAY,
    )
    period = PERIODS[3]
    read = await stored.read(period, "one", "two", "no-such")
    assert sorted(product.key for product in read.products) == ["one", "two"]
    for product in read.products:
        installs = installs_of(stored.pings, KEYS[product.key])
        latest = [
            found for days in installs if (found := last_in(days, TODAY - 29 * DAY, TODAY)) and found.verified
        ]
        builds = Counter((found.last["version"], found.last["build"]) for found in latest)
        assert {(build.version, build.build): build.installs for build in product.builds} == builds
        assert product.in_use == len(latest)
        flows: Counter[tuple[str, str]] = Counter()
        for days in installs:
            for day, after in zip(list(days), list(days)[1:], strict=False):
                was, now = days[day].last["version"], days[after].last["version"]
                if was != now and period.first_day <= after <= period.last_day:
                    flows[was, now] += 1
        assert {(flow.from_version, flow.to_version): flow.installs for flow in product.flows} == flows
        assert product.updates == flows.total()
        adopted = sum(count for (version, _), count in builds.items() if version == "1.10")
        if product.key == "one":
            assert product.adoption is not None
            assert (product.adoption.version, product.adoption.installs) == ("1.10", adopted)
            assert product.adoption.day == TODAY - 9 * DAY
        else:
            assert product.adoption is None


async def test_older_database_is_filled(stored: Stored, database: str) -> None:
    """A database of before usage_again gets it from activity, with the rows that the rollup would have kept."""
    kept = await stored.connection.fetch(
        "SELECT * FROM usage_again ORDER BY product, day, prev_day, country, verified"
    )
    await stored.run("DROP TABLE usage_again")
    await schema.upgrade(database)
    await schema.upgrade(database)
    made = await stored.connection.fetch(
        "SELECT * FROM usage_again ORDER BY product, day, prev_day, country, verified"
    )
    assert made == kept
    assert len(kept) > 100


# --- findings and licenses --------------------------------------------------------------------------------------------


@pytest.fixture
async def empty(database: str) -> AsyncIterator[Stored]:
    """Three products without a ping."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO product (key, name) VALUES ('one', 'One'), ('two', 'Two'), ('other', 'O')"
    )
    yield Stored(connection, [])
    await connection.close()


WEEK = Period(TODAY - 7 * DAY, TODAY - DAY)


async def test_findings_are_those_of_the_period_and_those_that_stand(empty: Stored) -> None:
    """Opened, confirmed and closed count by the period's days; what was closed before and other products' are out."""
    await empty.run(
        "INSERT INTO license (key_hash, last4, customer, product, seats) VALUES ('a', '9F2A', 'Northwind', 1, 5)"
    )
    begin = datetime.combine(WEEK.first_day, datetime.min.time(), UTC)
    end = begin + 7 * DAY
    rows: list[tuple[Any, ...]] = [
        # product, license, state, opened, confirmed, closed
        (1, 1, "confirmed", begin - DAY, begin, None),
        (1, None, "open", begin, None, None),
        (2, None, "open", end, None, None),
        (2, None, "closed", begin - 9 * DAY, begin - DAY, end - timedelta(microseconds=1)),
        (2, None, "closed", begin - 9 * DAY, None, begin - DAY),
        (3, None, "open", begin, None, None),
    ]
    for at, row in enumerate(rows):
        await empty.run(
            "INSERT INTO finding (rule, measure, allowed, evidence, install, product, license, state, opened_at, "
            "confirmed_at, closed_at) VALUES ('over_seats', 7, 5, '{}', $1, $2, $3, $4, $5, $6, $7)",
            bytes([at]), *row,
        )  # fmt: skip
    found = (await empty.read(WEEK, "one", "two")).findings
    assert (found.opened, found.confirmed, found.closed) == (1, 1, 1)
    assert (found.open_now, found.confirmed_now) == (2, 1)
    assert [finding.id for finding in found.listed] == [1, 3, 2, 4]
    first = found.listed[0]
    assert (first.product, first.customer, first.last4, first.measure, first.allowed) == (
        "One", "Northwind", "9F2A", 7, 5,
    )  # fmt: skip
    assert found.listed[1].customer is None


async def test_licenses_are_those_that_end_within_sixty_days(empty: Stored) -> None:
    """Licenses that end today to in 60 days, the first first, without revoked ones, with the seats used now."""
    today = (await empty.read(WEEK)).today
    ends = {"yesterday": -1, "today": 0, "in 60": 60, "in 61": 61, "revoked": 5, "other": 5, "never": None}
    for at, (customer, days) in enumerate(ends.items()):
        await empty.run(
            "INSERT INTO license (key_hash, customer, product, seats, ends, revoked_on) VALUES ($1, $2, $3, 5, $4, $5)",
            bytes([at]), customer, 3 if customer == "other" else 1, None if days is None else today + days * DAY,
            today if customer == "revoked" else None,
        )  # fmt: skip
    await empty.run(
        "INSERT INTO license_state (license, seats_used, used_max, counted_day, counted_at) "
        "SELECT id, 4, 9, current_date, now() FROM license WHERE customer = 'in 60'"
    )
    found = (await empty.read(WEEK, "one", "two")).endings
    assert found.count == 2
    assert [(ending.customer, ending.used, ending.seats) for ending in found.listed] == [
        ("today", None, 5), ("in 60", 4, 5),
    ]  # fmt: skip


async def test_all_is_of_one_moment(empty: Stored, database: str) -> None:
    """What is committed while the figures are read is in none of them, and the moment is told."""
    before = datetime.now(UTC)
    other = await asyncpg.connect(database)

    class Slow:
        """Lets another connection commit behind the first statement."""

        def __getattr__(self, name: str) -> Any:
            return getattr(empty.connection, name)

        async def fetch(self, *given: Any) -> Any:
            rows = await empty.connection.fetch(*given)
            await other.execute(
                "INSERT INTO usage_daily VALUES ($1, 1, '1', '', 'DE', '', true, 5, 5, 5) ON CONFLICT DO NOTHING",
                WEEK.last_day,
            )
            return rows

    slow: Any = Slow()
    read = await figures.read(slow, Order("test", (), SECTIONS, "en", WEEK))
    assert all(product.usage.now == Counted(0, 0, 0) for product in read.products)
    assert before <= read.as_of + timedelta(seconds=1)
    assert read.as_of.tzinfo is UTC
    later = await empty.read(WEEK)
    assert later.products[0].usage.now == Counted(5, 5, 5)
    await other.close()


async def test_what_strangers_send_is_bounded(empty: Stored) -> None:
    """Of a million builds or flows a bounded number is read, and the totals count all."""
    today = (await empty.read(WEEK)).today
    await empty.run(
        "INSERT INTO live_build SELECT 1, i::text, '', 1 + i % 2 FROM generate_series(1, 3000) i;"
        "INSERT INTO live_count VALUES (1, 'DE', 0, 0, 0, 4500, 0, 0)"
    )
    await empty.run(
        "INSERT INTO upgrade_daily SELECT $1, 1, i::text, 'x', 1 + i % 2 FROM generate_series(1, 3000) i",
        today - DAY,
    )
    product = (await empty.read(Period(today - DAY, today - DAY), "one")).products[0]
    assert (len(product.builds), product.in_use) == (figures.BUILDS, 4500)
    assert (len(product.flows), product.updates) == (figures.FLOWS, 4500)
    assert {flow.installs for flow in product.flows} == {2}


async def test_no_product_is_no_trouble(database: str) -> None:
    """Without a product there are figures, all of them empty."""
    connection = await asyncpg.connect(database)
    read = await Stored(connection, []).read(WEEK)
    assert (read.products, read.findings.listed, read.endings.count) == ((), (), 0)
    await connection.close()
