"""What a vendor has registered: releases and licenses, so that each ping of a bench is told something."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from callhome.licenses.badlines import BadLines
from callhome.licenses.fields import Sold
from callhome.licenses.keys import KeyHasher
from callhome.releases.model import Severity
from callhome.store import licenses, releases
from callhome.store.connection import connect

from .command import Run
from .site import SECRET

_LICENSE: Final = re.compile(rb'"license":"([^"]+)"')
# Seats enough that no license is over: what is measured is the answer, not the findings.
_SEATS: Final = 1_000_000


def fill(dsn: str, run: Run, n_licenses: int, n_releases: int) -> None:
    """Register so many licenses, those of the workload's pings first, and so many releases of its product.

    ``dsn`` is the database of a server that `site.serving` has started. Raises `CallhomeError`.
    """
    keys = {found[1].decode() for tail in run.pings().tails if (found := _LICENSE.search(tail))}
    made = (f"UNUSED-{number:08d}" for number in range(n_licenses))
    every = [*sorted(keys), *made][:n_licenses]
    asyncio.run(_fill(dsn, run.product, list(_sold(every, run.product)), n_releases))


def _sold(keys: list[str], product: str) -> Iterator[tuple[int, Sold]]:
    hasher, ends = KeyHasher(SECRET.encode()), datetime.now(UTC).date() + timedelta(days=200)
    for number, key in enumerate(keys):
        yield (
            number + 1,
            Sold(*hasher(key), customer=f"Customer {number}", product=product, seats=_SEATS, ends=ends),
        )


async def _fill(dsn: str, product: str, sold: list[tuple[int, Sold]], n_releases: int) -> None:
    connection = await connect(dsn, "bench")
    try:
        if sold:
            await licenses.import_many(connection, sold, ("ends",), BadLines())
        for number in range(n_releases):
            await releases.add(
                connection,
                releases.Given(
                    product,
                    f"{number // 20}.{number % 20}.{number % 3}",
                    severity=list(Severity)[number % 3],
                    url=f"https://www.example.com/download/{number}",
                ),
            )
    finally:
        await connection.close()
