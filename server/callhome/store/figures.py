"""Reads all figures of one report at one moment.

Nothing here reads installs one by one: windows of days are told apart by ``usage_again``, whatever their length. So it
takes as long for five million installs as for five thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import asyncpg

from ..releases.version import sort_key
from ..reports.figures import (
    ENDING_DAYS,
    Adoption,
    Build,
    Counted,
    Country,
    Ending,
    Endings,
    Figures,
    Finding,
    Findings,
    Flow,
    Moved,
    Product,
    Usage,
)  # fmt: skip
from ..reports.model import Order, Period
from .connection import Connection
from .statements import sql

# Of each product: a mail shows a handful and its tables the rest. Versions are what strangers send; a million of them
# must not become a mail.
BUILDS: Final = 1_000
FLOWS: Final = 1_000
FINDINGS: Final = 1_000
ENDINGS: Final = 1_000

Rows = list[asyncpg.Record]
ByProduct = dict[int, Rows]


@dataclass(frozen=True, slots=True)
class _Window:
    """The period, the first day of the one before, and the products' numbers."""

    period: Period
    first_day_before: date
    products: list[int]

    @property
    def days(self) -> tuple[date, date, date]:
        return self.period.first_day, self.period.last_day, self.first_day_before

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """Begin and end of the period."""
        begin, end = self.period.first_day, self.period.last_day + timedelta(days=1)
        return datetime.combine(begin, time(), UTC), datetime.combine(end, time(), UTC)


async def read(connection: Connection, order: Order) -> Figures:
    """Read the figures of a report: all of them as of one moment, in one transaction that changes nothing.

    Keys that are no product's are left out. Raises what asyncpg raises. Cancelling it leaves nothing behind.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        as_of: datetime = await connection.fetchval("SELECT now()")
        today = as_of.astimezone(UTC).date()
        rows = await connection.fetch(sql("report_products"), list(order.products))
        length = order.period.last_day - order.period.first_day + timedelta(days=1)
        window = _Window(order.period, order.period.first_day - length, [row["id"] for row in rows])
        parts = await _read_parts(connection, window, today)
        findings = await _read_findings(connection, window)
        endings = await _read_endings(connection, window, today)
    products = [_product(row, window, parts) for row in rows]
    products.sort(key=lambda product: (-product.usage.now.installs, product.key))
    return Figures(as_of.astimezone(UTC), today, tuple(products), findings, endings)


async def _read_parts(connection: Connection, window: _Window, today: date) -> dict[str, ByProduct]:
    """The rows of each statement, by product."""
    first, last, first_before = window.days
    statements: dict[str, tuple[Any, ...]] = {
        "usage": (first, last, first_before),
        "days": (last, first_before),
        "moved": (first, last, first_before),
        "builds": (BUILDS,),
        "flows": (first, last, FLOWS),
        "releases": (today,),
    }
    return {
        name: _by_product(await connection.fetch(sql(f"report_{name}"), window.products, *given))
        for name, given in statements.items()
    }


def _by_product(rows: Rows) -> ByProduct:
    found: ByProduct = defaultdict(list)
    for row in rows:
        found[row["product"]].append(row)
    return found


def _product(row: asyncpg.Record, window: _Window, parts: dict[str, ByProduct]) -> Product:
    of = {name: rows.get(row["id"], []) for name, rows in parts.items()}
    before, now = _moved(of["moved"])
    return Product(
        key=row["key"],
        name=row["name"],
        usage=_usage(of["usage"], of["days"], window),
        in_use=row["in_use"],
        builds=tuple(Build(build["version"], build["build"], build["installs"]) for build in of["builds"]),
        updates=of["flows"][0]["total"] if of["flows"] else 0,
        flows=tuple(Flow(flow["from_version"], flow["to_version"], flow["installs"]) for flow in of["flows"]),
        adoption=_adoption(of["releases"]),
        moved=now,
        moved_before=before,
        countries=_countries(of["usage"]),
    )


def _usage(rows: Rows, days: Rows, window: _Window) -> Usage:
    by_day = {row["day"]: row["installs"] for row in days}
    first, last, first_before = window.days

    def of_days(begin: date, end: date) -> tuple[int, ...]:
        return tuple(by_day.get(begin + timedelta(days=at), 0) for at in range((end - begin).days + 1))

    return Usage(
        now=_counted(row for row in rows if row["verified"] and row["is_now"]),
        before=_counted(row for row in rows if row["verified"] and not row["is_now"]),
        unverified=sum(row["installs"] for row in rows if row["is_now"] and not row["verified"]),
        by_day=of_days(first, last),
        by_day_before=of_days(first_before, first - timedelta(days=1)),
    )


def _counted(rows: Iterable[asyncpg.Record]) -> Counted:
    installs = users = launches = 0
    for row in rows:
        installs, users, launches = (
            installs + row["installs"],
            users + row["users"],
            launches + row["launches"],
        )
    return Counted(installs, users, launches)


def _countries(rows: Rows) -> tuple[Country, ...]:
    installs: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row["verified"]:
            installs[row["country"]][row["is_now"]] += row["installs"]
    found = (Country(code, now, before) for code, (before, now) in installs.items() if now or before)
    return tuple(sorted(found, key=lambda country: (-country.installs, -country.before, country.code)))


def _moved(rows: Rows) -> tuple[Moved, Moved]:
    """What came and went in the period before, and in this one, which begins as that one ends."""
    of = {row["is_now"]: row for row in rows}

    def after(at_begin: int, row: asyncpg.Record | None) -> Moved:
        new, returned, lost = (row["new"], row["returned"], row["lost"]) if row else (0, 0, 0)
        return Moved(at_begin, new, returned, lost, at_begin + new + returned - lost)

    before = after(of[False]["at_begin"] if False in of else 0, of.get(False))
    return before, after(before.at_end, of.get(True))


def _adoption(rows: Rows) -> Adoption | None:
    latest = max(rows, key=lambda row: (sort_key(row["version"]), row["day"], row["version"]), default=None)
    return None if latest is None else Adoption(latest["version"], latest["day"], latest["installs"])


async def _read_findings(connection: Connection, window: _Window) -> Findings:
    begin, end = window.moments
    counts = await connection.fetchrow(sql("report_finding_counts"), window.products, begin, end)
    assert counts is not None, "an aggregate has a row"
    rows = await connection.fetch(sql("report_findings"), window.products, begin, end, FINDINGS)
    return Findings(**counts, listed=tuple(Finding(**row) for row in rows))


async def _read_endings(connection: Connection, window: _Window, today: date) -> Endings:
    until = today + timedelta(days=ENDING_DAYS)
    count: int = await connection.fetchval(sql("report_ending_count"), window.products, today, until)
    rows = await connection.fetch(sql("report_endings"), window.products, today, until, ENDINGS)
    return Endings(count, tuple(Ending(**row) for row in rows))
