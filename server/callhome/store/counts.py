"""Reads counts for the pages of statistics from ``usage_series``: never single installs, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import asyncpg

from ..statistics.model import Count, Counts, Days, Dimension, Filters, Key, Measure, Place, Ranked, Window
from ..statistics.months import Month, counts
from .connection import Connection

# Of each count its column.
COLUMNS: Final[Mapping[tuple[Measure, Window], str]] = MappingProxyType(
    {
        (Measure.INSTALLS, Window.DAY): "installs",
        (Measure.USERS, Window.DAY): "users",
        (Measure.LAUNCHES, Window.DAY): "launches",
        (Measure.INSTALLS, Window.WEEK): "week_installs",
        (Measure.USERS, Window.WEEK): "week_users",
        (Measure.INSTALLS, Window.MONTH): "month_installs",
        (Measure.USERS, Window.MONTH): "month_users",
    }
)
# What a slice tells apart; the others are empty in it, which is said in each query: it is what the key begins with.
_TOLD: Final = (Dimension.VERSION, Dimension.BUILD, Dimension.COUNTRY, Dimension.OS)


class NotCounted(Exception):
    """Counts are not kept apart by all that was asked for at once."""


class SeriesSource:
    """The counts of one product, narrowed down; on a connection of the caller's."""

    def __init__(self, connection: Connection, product: int, filters: Filters) -> None:
        self._connection = connection
        self._product = product
        self._filters = filters

    async def daily(
        self, count: Count, days: Days, by: Dimension | None = None, keys: Sequence[Key] | None = None
    ) -> dict[Key, Counts]:
        """Return the counts of each day by ``by``, of these ``keys`` or of all; of all together under ``("", "")``.

        Keys that have no count are left out. Raises `NotCounted`. Cancelling it changes nothing.
        """
        column = COLUMNS[count.measure, count.window]
        where, given = self._where(by, keys)
        rows = await self._connection.fetch(
            f"SELECT version, build, country, os, month, days, {column} AS numbers FROM usage_series "  # noqa: S608
            f"WHERE {where} AND month BETWEEN ${len(given) + 1} AND ${len(given) + 2}",
            *given,
            days.first_month,
            days.last_month,
        )
        found: dict[Key, list[Month]] = defaultdict(list)
        for row in rows:
            if row["numbers"] is not None:
                found[_key(row, by)].append(Month(row["month"], row["days"], row["numbers"]))
        unknown = await self._unknown(count.window, days)
        if by is None:
            found.setdefault(("", ""), [])
        return {key: counts(months, count.window, days, unknown) for key, months in found.items()}

    async def ranked(
        self, by: Dimension, window: Window, day: date, *, limit: int, offset: int = 0
    ) -> Ranked:
        """Return the values of a dimension with the most installs as of a day.

        Raises `NotCounted`. Cancelling it changes nothing.
        """
        where, given = self._where(by, None)
        numbers = [COLUMNS[measure, window] for measure in (Measure.INSTALLS, Measure.USERS)]
        day_of_month, until = len(given) + 1, "=" if window is Window.DAY else "<="
        rows = await self._connection.fetch(
            "SELECT version, build, country, os, installs, users, count(*) OVER () AS total, "  # noqa: S608
            "sum(installs) OVER ()::bigint AS all_installs, sum(users) OVER ()::bigint AS all_users FROM ("
            " SELECT version, build, country, os, s.installs, s.users FROM usage_series u CROSS JOIN LATERAL ("
            " SELECT sum(i)::bigint AS installs, sum(n)::bigint AS users "
            f" FROM unnest(days, {numbers[0]}, {numbers[1]}) AS each (day, i, n) WHERE day {until} ${day_of_month}"
            f") s WHERE {where} AND month = ${day_of_month + 1} AND s.installs > 0"
            f") place ORDER BY installs DESC, version, build, country, os LIMIT ${day_of_month + 2} "
            f"OFFSET ${day_of_month + 3}",
            *given,
            day.day,
            day.replace(day=1),
            limit,
            offset,
        )
        places = tuple(Place(_key(row, by), row["installs"], row["users"]) for row in rows)
        if rows or not offset:
            totals = (rows[0]["total"], rows[0]["all_installs"], rows[0]["all_users"]) if rows else (0, 0, 0)
            return Ranked(places, *totals)
        first = await self.ranked(by, window, day, limit=1)
        return Ranked((), first.total, first.installs, first.users)

    def _where(self, by: Dimension | None, keys: Sequence[Key] | None) -> tuple[str, list[Any]]:
        """The condition on all but the month, and its parameters."""
        name = self._filters.slice(by)
        if name is None:
            raise NotCounted
        given: list[Any] = [self._product, name]
        clauses = ["product = $1", "slice = $2"]
        told = set(self._filters.given) | ({by} if by else set())
        if by is Dimension.BUILD:
            told.add(Dimension.VERSION)
        for dimension in _TOLD:
            if dimension not in told:
                clauses.append(f"{dimension.value} = ''")
            elif dimension in self._filters.given:
                given.append(self._filters.given[dimension])
                clauses.append(f"{dimension.value} = ${len(given)}")
        if keys is not None and by is not None:
            # Of builds the versions: a few more rows, which the caller leaves out.
            column = Dimension.VERSION if by is Dimension.BUILD else by
            given.append(sorted({value for value, _ in keys}))
            clauses.append(f"{column.value} = ANY (${len(given)}::text[])")
        return " AND ".join(clauses), given

    async def _unknown(self, window: Window, days: Days) -> list[date]:
        """The months in which counts over this window are not known."""
        if window is Window.DAY:
            return []
        rows = await self._connection.fetch(
            "SELECT month FROM usage_series WHERE product = $1 AND slice = 'all' AND version = '' AND build = '' "
            "AND country = '' AND os = '' AND month BETWEEN $2 AND $3 AND month_installs IS NULL",
            self._product,
            days.first_month,
            days.last_month,
        )
        return [row["month"] for row in rows]


def _key(row: asyncpg.Record, by: Dimension | None) -> Key:
    if by is None:
        return "", ""
    if by is Dimension.BUILD:
        return row["version"], row["build"]
    return row[by.value], ""
