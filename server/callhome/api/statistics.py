"""The endpoints of statistics: a question becomes a `Scope`, its counts are read and put into the answer's shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final, TypeVar

from ..access.model import Access
from ..releases.version import step
from ..statistics import months
from ..statistics.model import Count, Counts, Days, Dimension, Key, Measure, Window
from ..store import counts as store_counts
from ..store import products, statistics
from ..store.connection import Connection
from ..store.line import Lines
from . import shapes
from .endpoint import Asked, Endpoint, invalid
from .headlines import overview, summary
from .scope import Scope, not_counted, require_no_filter, scope_of
from .uptake import releases

TOP_MAX: Final = 50
COHORTS: Final = 36

_T = TypeVar("_T")
# What reads an answer once it is known what is asked about.
Read = Callable[[Connection, Scope, Asked[Any, Any]], Awaitable[Any]]


class StatisticsApi:
    """Reads over ``lines``."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def endpoints(self) -> list[Endpoint]:
        """All of them, in the order of the documents."""
        of_product = "/statistics/{product}"
        viewer = Access.VIEWER
        return [
            Endpoint("/products", viewer, "The registered products.", self._products, shapes.Products, rows="products"),
            Endpoint(
                "/statistics", viewer, "All products at a glance.", self._overview, shapes.Overview, shapes.Range,
                rows="products",
            ),
            Endpoint(
                of_product, viewer, "The headline numbers of a product.", self._scoped(summary), shapes.Summary,
                shapes.Narrowed,
            ),
            Endpoint(
                f"{of_product}/series", viewer, "Counts day by day, and how they are made up.", self._scoped(_series),
                shapes.Series, shapes.SeriesQuery, rows="rows",
            ),
            Endpoint(
                f"{of_product}/breakdown", viewer, "Versions, builds, countries or systems in use.",
                self._scoped(_breakdown), shapes.Breakdown, shapes.BreakdownQuery, rows="rows",
            ),
            Endpoint(
                f"{of_product}/releases", viewer, "How far releases have come, and how fast.", self._scoped(releases),
                shapes.Releases, shapes.ListQuery, rows="rows",
            ),
            Endpoint(
                f"{of_product}/updates", viewer, "From which version to which installs went.", self._scoped(_updates),
                shapes.Updates, shapes.ListQuery, rows="rows",
            ),
            Endpoint(
                f"{of_product}/moved", viewer, "New, returned and lost installs day by day.", self._scoped(_moved),
                shapes.Moved, shapes.Narrowed, rows="rows",
            ),
            Endpoint(
                f"{of_product}/cohorts", viewer, "Of the installs first seen in a month: how many stay.",
                self._scoped(_cohorts), shapes.Cohorts, shapes.Narrowed, rows="cohorts",
            ),
        ]  # fmt: skip

    def _scoped(self, read: Read) -> Callable[[Asked[Any, Any]], Awaitable[Any]]:
        async def handle(asked: Asked[Any, Any]) -> Any:
            return await self._lines.do(lambda connection: _read(connection, read, asked))

        return handle

    async def _products(self, _asked: Asked[Any, Any]) -> shapes.Products:
        found = await self._lines.do(products.list_all)
        named = [shapes.ProductName(product.key, product.name) for product in found]
        return shapes.Products(sorted(named, key=lambda product: (product.name.casefold(), product.key)))

    async def _overview(self, asked: Asked[Any, Any]) -> shapes.Overview:
        return await self._lines.do(lambda connection: overview(connection, asked.query))


async def _read(connection: Connection, read: Read, asked: Asked[Any, Any]) -> Any:
    """One answer is of one moment, so that its numbers go together. Cancelling it changes nothing."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        scope = await scope_of(connection, asked)
        try:
            return await read(connection, scope, asked)
        except store_counts.NotCounted:
            raise not_counted("this is not counted apart by so much at once: take a filter away") from None


async def _series(_connection: Connection, scope: Scope, asked: Asked[Any, Any]) -> shapes.Series:
    query: shapes.SeriesQuery = asked.query
    if query.measure is Measure.LAUNCHES and query.window is not Window.DAY:
        raise invalid("window", "day, since launches are counted by day")
    if not 1 <= query.top <= TOP_MAX:
        raise invalid("top", f"1 to {TOP_MAX}")
    count, days = Count(query.measure, query.window), scope.days
    total = await _total(scope, count, days)
    lines: dict[Key, Counts] = {}
    if query.by is not None:
        ranked = await scope.source.ranked(query.by, query.window, days.last, limit=query.top)
        keys = [place.key for place in ranked.places]
        found = await scope.source.daily(count, days, query.by, keys) if keys else {}
        lines = {key: found[key] for key in keys if key in found}
    others = months.others(total, lines) if query.by is not None else None
    answer = shapes.Series(
        first=days.first, last=days.last, measure=query.measure, window=query.window, by=query.by, days=list(days),
        total=total, before=await _total(scope, count, days.before),
        series=[shapes.Line(value, build, counts) for (value, build), counts in lines.items()], others=others,
    )  # fmt: skip
    if asked.is_table:
        answer.rows = [*_day_rows("", total, days)] if query.by is None else []
        for (value, build), counts in lines.items():
            answer.rows += _day_rows(f"{value} {build}".rstrip(), counts, days)
        answer.rows += _day_rows("(others)", others, days) if others is not None else []
    return answer


async def _total(scope: Scope, count: Count, days: Days) -> Counts:
    return (await scope.source.daily(count, days))["", ""]


def _day_rows(value: str, counts: Counts, days: Days) -> list[shapes.DayRow]:
    return [shapes.DayRow(day, value, count) for day, count in zip(days, counts, strict=True)]


async def _breakdown(_connection: Connection, scope: Scope, asked: Asked[Any, Any]) -> shapes.Breakdown:
    query: shapes.BreakdownQuery = asked.query
    limit, offset = asked.page()
    day = scope.days.last
    ranked = await scope.source.ranked(query.by, query.window, day, limit=limit, offset=offset)
    keys = [place.key for place in ranked.places]
    before_day = scope.last_before
    count = Count(Measure.INSTALLS, query.window)
    before = await scope.source.daily(count, Days(before_day, before_day), query.by, keys) if keys else {}
    # Where nothing is known of that day, nothing is compared with it.
    known = (await _total(scope, count, Days(before_day, before_day)))[0] is not None
    rows = [
        shapes.BreakdownRow(
            value=place.key[0],
            build=place.key[1],
            installs=place.installs,
            users=place.users,
            share=place.installs / ranked.installs,
            before=before.get(place.key, [0])[0] if known else None,
        )
        for place in ranked.places
    ]
    return shapes.Breakdown(
        by=query.by, as_of=day, window=query.window, sum=shapes.Sum(ranked.installs, ranked.users),
        total=ranked.total, next=_next(offset, len(rows), ranked.total), rows=rows,
    )  # fmt: skip


def _next(offset: int, count: int, total: int) -> int | None:
    """Where the next part of a list begins, if there is one."""
    return offset + count if count and offset + count < total else None


async def _updates(connection: Connection, scope: Scope, asked: Asked[Any, Any]) -> shapes.Updates:
    require_no_filter(scope, Dimension.VERSION)
    limit, offset = asked.page()
    flows, total, whole = await statistics.updates(
        connection, scope.product.id, scope.days, scope.filters.version, limit=limit, offset=offset
    )
    rows = [
        shapes.UpdateRow(
            before=flow.before,
            after=flow.after,
            installs=flow.installs,
            direction=step(flow.before, flow.after),
        )
        for flow in flows
    ]
    return shapes.Updates(sum=whole, total=total, next=_next(offset, len(rows), total), rows=rows)


async def _moved(connection: Connection, scope: Scope, asked: Asked[Any, Any]) -> shapes.Moved:
    require_no_filter(scope)
    found = await statistics.moved(connection, scope.product.id, scope.days)
    days = list(scope.days)
    rows = [shapes.MovedRow(day, *found.get(day, (0, 0, 0, 0))[:3]) for day in days]
    answer = shapes.Moved(
        days, [row.new for row in rows], [row.returned for row in rows], [row.lost for row in rows]
    )
    if asked.is_table:
        answer.rows = rows
    return answer


async def _cohorts(connection: Connection, scope: Scope, _asked: Asked[Any, Any]) -> shapes.Cohorts:
    require_no_filter(scope)
    last = scope.days.last_month
    first = _months_before(last, COHORTS - 1)
    found = await statistics.cohorts(connection, scope.product.id, first, last)
    answer = []
    for cohort in sorted(found):
        active = [found[cohort].get(month, 0) for month in Days(cohort, scope.days.last).months()]
        answer.append(shapes.Cohort(f"{cohort:%Y-%m}", active[0] if active else 0, active))
    return shapes.Cohorts(answer)


def _months_before(month: date, count: int) -> date:
    number = month.year * 12 + month.month - 1 - count
    return date(number // 12, number % 12 + 1, 1)
