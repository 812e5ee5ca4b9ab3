"""What a question about statistics is about: which product, which days, narrowed down to what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Protocol

from ..access.model import Role
from ..statistics.installs import InstallSource
from ..statistics.model import Count, Counts, Days, Dimension, Filters, Key, Ranked, Window
from ..store import counts, products, statistics
from ..store.connection import Connection
from ..store.products import Product
from .endpoint import ApiError, Asked, invalid
from .shapes import Narrowed, Range

USUAL_DAYS: Final = 30
# Three years; each day of it is a number for each line of a chart.
DAYS_MAX: Final = 1_100
# Of one customer: read one by one, some 100 ms; more would be read for as long as others wait.
ACTIVE_DAYS_MAX: Final = 200_000


class Source(Protocol):
    """Where counts come from."""

    async def daily(
        self, count: Count, days: Days, by: Dimension | None = None, keys: Sequence[Key] | None = None
    ) -> dict[Key, Counts]:
        """Return the counts of each day. Cancelling it changes nothing."""

    async def ranked(
        self, by: Dimension, window: Window, day: date, *, limit: int, offset: int = 0
    ) -> Ranked:
        """Return the values with the most installs as of a day. Cancelling it changes nothing."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One product, or all, over some days, and where its counts come from."""

    product: Product
    days: Days
    standing: statistics.Standing
    filters: Filters
    source: Source
    is_licensed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it is not narrowed down at all."""
        return not self.filters.given and not self.is_licensed

    @property
    def last_before(self) -> date:
        """The last day of the time before: what is compared with."""
        return self.days.before.last


def range_of(query: Range, standing: statistics.Standing) -> Days:
    """Return the days that are asked for: the last 30 that are over, unless something else is said.

    Raises `ApiError`.
    """
    today, first_day = standing.today, standing.first_day
    is_new = first_day is None or first_day >= today
    last = query.last if query.last is not None else (today if is_new else today - timedelta(days=1))
    if last > today:
        raise invalid("to", f"a UTC day up to today, {today}")
    if last.year < 2000:
        raise invalid("to", "a day since 2000-01-01")
    first = query.first if query.first is not None else last - timedelta(days=USUAL_DAYS - 1)
    if not last - timedelta(days=DAYS_MAX - 1) <= first <= last:
        raise invalid("from", f"a day up to {last} (to), and at most {DAYS_MAX} days before it")
    return Days(first, last)


async def product_of(connection: Connection, asked: Asked[Any, Any]) -> Product:
    """Return the product that the path names. Raises `ApiError`. Cancelling it changes nothing."""
    # All of them, some hundred at most: what isn't a key might hold what can't be sent to PostgreSQL at all.
    for product in await products.list_all(connection):
        if product.key == asked.path["product"]:
            return product
    raise ApiError(404, "unknown_product", "no product is registered with this key", "product")


async def scope_of(connection: Connection, asked: Asked[Any, Any]) -> Scope:
    """Return what is asked about. Raises `ApiError`. Cancelling it changes nothing."""
    query: Narrowed = asked.query
    product = await product_of(connection, asked)
    standing = await statistics.standing(connection, [product.id])
    days = range_of(query, standing)
    filters = Filters(query.version, query.country, query.os)
    if query.license is None and query.customer is None:
        if filters.slice() is None:
            raise not_counted("version, country and os are counted two at a time: take one away")
        return Scope(product, days, standing, filters, counts.SeriesSource(connection, product.id, filters))
    asked.require(Role.ANALYST, "what licenses and customers do")
    source = await _licensed(connection, product, query, days)
    return Scope(product, days, standing, filters, source, is_licensed=True)


async def _licensed(connection: Connection, product: Product, query: Narrowed, days: Days) -> Source:
    if query.license is not None and not 0 < query.license < 2**31:
        raise invalid("license", "the number of a license")
    hashes = await statistics.license_hashes(connection, product.id, query.license, query.customer)
    if not hashes:
        raise ApiError(
            404, "unknown_license", "the product has no such license, or no license of that customer"
        )
    both = Days(days.before.first, days.last)
    found = await statistics.licensed(connection, product.id, hashes, both, most=ACTIVE_DAYS_MAX)
    if found is None:
        raise not_counted("these licenses have too many active days in this range: ask for fewer days")
    return InstallSource(found, Filters(query.version, query.country, query.os))


def not_counted(message: str) -> ApiError:
    """Return the error of a question whose answer is kept nowhere."""
    return ApiError(400, "not_counted", message)


def require_no_filter(scope: Scope, *but: Dimension) -> None:
    """Raise `ApiError` where the scope is narrowed down by anything else than these."""
    other = set(scope.filters.given) - set(but)
    if scope.is_licensed or other:
        names = ", ".join(sorted(each.value for each in other) or ["license"])
        raise not_counted(f"this is not counted apart by {names}: take it away")
