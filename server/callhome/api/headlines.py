"""The headline numbers: of all products at a glance, and of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ..releases.version import sort_key
from ..statistics import releases as pure
from ..statistics.model import Count, Counts, Days, Dimension, Measure, Window
from ..store import products, statistics
from ..store.connection import Connection
from . import shapes
from .endpoint import Asked
from .scope import Scope, range_of

# Versions that are looked at one by one, those with the most installs; a product has some dozens in use.
VERSIONS: Final = 500

_EVERY: Final = [
    *(Count(measure, window) for measure in (Measure.INSTALLS, Measure.USERS) for window in Window),
    Count(Measure.LAUNCHES, Window.DAY),
]


async def overview(connection: Connection, query: shapes.Range) -> shapes.Overview:
    """Return all products, of one moment. Raises `ApiError`. Cancelling it changes nothing."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        known = await products.list_all(connection)
        ids = [product.id for product in known]
        standing = await statistics.standing(connection, ids)
        days = range_of(query, standing)
        found = await statistics.every(connection, ids, Days(days.before.first, days.last))
        in_use = await statistics.versions_in_use(connection, ids, days.last, most=VERSIONS)
        released = await statistics.registered(connection, ids, days.last)
    rows = []
    for product in known:
        installs = in_use[product.id]
        # Where nobody has registered any, what enough installs run counts as released; on which day is no matter here.
        seen = [] if released[product.id] else [pure.Release(each, days.last, False) for each in installs]
        latest = _latest([*released[product.id], *seen], installs)
        share = installs.get(latest, 0) / sum(installs.values()) if latest and installs else None
        rows.append(_row(product, found[product.id], days, (latest, share)))
    rows.sort(key=lambda row: (-(row.installs.month.now or 0), row.key))
    return shapes.Overview(
        first=days.first, last=days.last, counted_at=standing.counted_at, first_day=standing.first_day,
        products=rows,
    )  # fmt: skip


def _row(
    product: products.Product,
    found: Mapping[Count, Counts],
    days: Days,
    latest: tuple[str | None, float | None],
) -> shapes.ProductRow:
    trend = found[Count(Measure.INSTALLS, Window.DAY)][len(days) :]
    return shapes.ProductRow(
        product.key, product.name, _windows(found, Measure.INSTALLS, len(days)),
        _windows(found, Measure.USERS, len(days)), _launches(found, len(days)), trend, *latest,
    )  # fmt: skip


def _windows(found: Mapping[Count, Counts], measure: Measure, length: int) -> shapes.ByWindow:
    """As of the last day of ``found``, which is twice as long as the range, and as of the day before the range."""
    day, week, month = (
        shapes.Compared(found[Count(measure, window)][-1], found[Count(measure, window)][length - 1])
        for window in Window
    )
    return shapes.ByWindow(day, week, month)


def _launches(found: Mapping[Count, Counts], length: int) -> shapes.Compared:
    launches = found[Count(Measure.LAUNCHES, Window.DAY)]
    before, now = launches[:length], launches[length:]
    return shapes.Compared(sum(count or 0 for count in now), sum(count or 0 for count in before))


async def summary(connection: Connection, scope: Scope, _asked: Asked[Any, Any]) -> shapes.Summary:
    """Return the headline numbers of a product. Cancelling it changes nothing."""
    days, both = scope.days, Days(scope.days.before.first, scope.days.last)
    if scope.is_whole:
        found = (await statistics.every(connection, [scope.product.id], both))[scope.product.id]
    else:
        found = {count: (await scope.source.daily(count, both))["", ""] for count in _EVERY}
    new = returned = lost = unverified = None
    if scope.is_whole:
        moved = await statistics.moved(connection, scope.product.id, both)
        new, returned, lost = (_compared(moved, at, days) for at in range(3))
        unverified = moved.get(days.last, (0, 0, 0, 0))[3]
    age, behind = await _versions(connection, scope)
    return shapes.Summary(
        first=days.first, last=days.last, counted_at=scope.standing.counted_at, first_day=scope.standing.first_day,
        product=shapes.ProductName(scope.product.key, scope.product.name),
        installs=_windows(found, Measure.INSTALLS, len(days)), users=_windows(found, Measure.USERS, len(days)),
        launches=_launches(found, len(days)), new=new, returned=returned, lost=lost, unverified=unverified,
        median_age_days=age, versions_behind=behind,
    )  # fmt: skip


def _compared(moved: Mapping[date, tuple[int, ...]], at: int, days: Days) -> shapes.Compared:
    now, before = (
        sum(row[at] for day, row in moved.items() if span.first <= day <= span.last)
        for span in (days, days.before)
    )
    return shapes.Compared(now, before)


async def _versions(connection: Connection, scope: Scope) -> tuple[float | None, list[shapes.Behind]]:
    """The median age of what runs, and how far behind; of one version, or of what isn't told by version, nothing."""
    if scope.filters.version is not None or (
        scope.filters.slice(Dimension.VERSION) is None and not scope.is_licensed
    ):
        return None, []
    installs = await _by_version(scope.source, scope.days.last)
    released = await statistics.releases(connection, scope.product.id, list(installs), scope.days.last)
    age = pure.median_age(released, installs, scope.days.last)
    counted = pure.behind(pure.counted_as_released(released, installs), installs)
    return age, [shapes.Behind(steps, count) for steps, count in counted.items()]


async def _by_version(source: Any, day: date) -> dict[str, int]:
    ranked = await source.ranked(Dimension.VERSION, Window.MONTH, day, limit=VERSIONS)
    return {place.key[0]: place.installs for place in ranked.places}


def _latest(released: list[pure.Release], installs: Mapping[str, int]) -> str | None:
    """The newest release that counts as one."""
    counted = pure.counted_as_released(released, installs)
    newest = max(counted, key=lambda release: (sort_key(release.version), release.day), default=None)
    return None if newest is None else newest.version
