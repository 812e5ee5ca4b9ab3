"""Makes the series that the pages of statistics read from ``activity``, a month at a time.

The rollup says which months of which products have changed (``series_touched``). Making one reads two months of
``activity`` once, whatever changed in it, so it is exact by its nature, also after late pings; what was made stays when
``activity`` is pruned. docs/decisions/0028 has the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ..statistics.model import SLICES, next_month
from .connection import Connection
from .statements import sql

# Held by whoever makes a month, so that two replicas don't make the same.
SERIES_LOCK: Final = 0x63616C6C_00000008
# Active days count for up to so long; docs/definitions.md.
MONTH_DAYS: Final = 30
# Sorting two months of activity: 50 bytes a row. More of it is spilled.
_PLANNER: Final = "SET LOCAL work_mem = '128MB'"


@dataclass(frozen=True, slots=True)
class Touched:
    """A month that is to be made anew for some products, each with how often it has changed."""

    month: date
    folds: dict[int, int]

    @property
    def products(self) -> list[int]:
        """The products."""
        return list(self.folds)


async def prepare(connection: Connection) -> None:
    """Make the scratch table of a connection that is to make series. Cancelling it: close the connection."""
    await connection.execute(sql("series_tables"))


async def touch_month(connection: Connection, month: date) -> None:
    """Have a month made for the products that have none yet: in a new one, installs of the last count without a ping.

    Cancelling it: done or not.
    """
    await connection.execute(
        "INSERT INTO series_touched (product, month, folds) SELECT id, $1, 1 FROM product p WHERE NOT EXISTS ("
        "SELECT FROM usage_series WHERE product = p.id AND slice = 'all' AND month = $1) ORDER BY id "
        "ON CONFLICT (product, month) DO NOTHING",
        month,
    )


async def due(connection: Connection, but: date | None = None) -> Touched | None:
    """Return the newest month that is to be made, ``None`` where none is; ``but`` only if no other waits.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT product, month, folds FROM series_touched WHERE month = ("
        "SELECT month FROM series_touched ORDER BY month IS NOT DISTINCT FROM $1, month DESC LIMIT 1)",
        but,
    )
    if not rows:
        return None
    return Touched(rows[0]["month"], {row["product"]: row["folds"] for row in rows})


async def make(connection: Connection, touched: Touched) -> bool:
    """Make a month anew, in one transaction; ``False`` where another replica is at it.

    What is read is of one moment, so what is folded meanwhile is either all in it or makes the month to be made again.
    Raises what asyncpg raises. Cancelling it rolls it back: the month stays in the queue.
    """
    async with connection.transaction(isolation="repeatable_read"):
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", SERIES_LOCK):
            return False
        await connection.execute(_PLANNER)
        now = await _folds_now(connection, touched)
        first = touched.month
        is_whole = await _reaches_back(connection, first)
        products = touched.products if is_whole else await _never_whole(connection, touched.products, first)
        if products:
            await _make(connection, products, first, is_whole)
    # Apart from it, since a row that a fold has changed meanwhile can't be deleted from within that moment.
    for product, folds in sorted(now.items()):
        await connection.execute(
            "DELETE FROM series_touched WHERE product = $1 AND month = $2 AND folds = $3",
            product,
            first,
            folds,
        )
    return True


async def _folds_now(connection: Connection, touched: Touched) -> dict[int, int]:
    """How often each has changed as of this transaction's moment."""
    rows = await connection.fetch(
        "SELECT product, folds FROM series_touched WHERE month = $1 AND product = ANY ($2::integer[])",
        touched.month,
        touched.products,
    )
    return {row["product"]: row["folds"] for row in rows}


async def _make(connection: Connection, products: list[int], first: date, is_whole: bool) -> None:
    after = next_month(first)
    steps = "series_steps" if is_whole else "series_steps_daily"
    await connection.execute(sql(steps), products, first, after)
    await connection.execute("ANALYZE series_step")
    await connection.execute(
        "DELETE FROM usage_series WHERE product = ANY ($1::integer[]) AND slice = ANY ($2::text[]) AND month = $3",
        products,
        sorted(SLICES.values()),
        first,
    )
    await connection.execute(
        "DELETE FROM usage_cohort WHERE product = ANY ($1::integer[]) AND month = $2", products, first
    )
    await connection.execute(sql("series_make"), first, is_whole)
    await connection.execute(sql("series_cohort"), products, first, after)
    await connection.execute(
        "DELETE FROM usage_flow WHERE product = ANY ($1::integer[]) AND day >= $2 AND day < $3",
        products,
        first,
        after,
    )
    await connection.execute(sql("series_flow"), products, first, after)


async def _never_whole(connection: Connection, products: list[int], first: date) -> list[int]:
    """Leave out what can't be made as well again: its ``activity`` is pruned, but it was made while that was there."""
    rows = await connection.fetch(
        "SELECT DISTINCT product FROM usage_series WHERE product = ANY ($1::integer[]) AND slice = 'all' "
        "AND month = $2 AND month_installs IS NOT NULL",
        products,
        first,
    )
    made = {row["product"] for row in rows}
    return [product for product in products if product not in made]


async def _reaches_back(connection: Connection, first: date) -> bool:
    """Whether ``activity`` has all that counts from ``first`` on: nothing was pruned, or it begins early enough."""
    oldest = await connection.fetchval(
        "SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = 'activity'::regclass"
    )
    if oldest is None:
        return False
    if oldest <= first - timedelta(days=MONTH_DAYS - 1):
        return True
    pruned = await connection.fetchval("SELECT EXISTS (SELECT FROM usage_daily WHERE day < $1)", oldest)
    return oldest <= first and not pruned


async def tell_counted(connection: Connection, at: datetime) -> None:
    """Write down up to when all that was folded is in the series. Cancelling it: done or not."""
    await connection.execute(
        "INSERT INTO series_state (counted_at) VALUES ($1) "
        "ON CONFLICT (one) DO UPDATE SET counted_at = greatest(series_state.counted_at, excluded.counted_at)",
        at,
    )


async def utc_now(connection: Connection) -> datetime:
    """Return the database's clock. Cancelling it changes nothing."""
    now: datetime = await connection.fetchval("SELECT now()")
    return now
