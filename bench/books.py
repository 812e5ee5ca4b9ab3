"""What was really committed: counted in the database where it can be asked, else by the server's own counters."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from callhome.errors import CallhomeError, UsageError
from callhome.store.connection import Connection, connect
from callhome.store.ids import new_id

from .site import Site

# Twice what a commit may take (COMMIT_S), for what was in flight when the load ended.
SETTLE_S: Final = 20.0
# At 10 µs a ping, for a backlog of 30 million.
FOLD_S: Final = 300.0
_POLL_S: Final = 0.02
# The server has other things to do while it drains; a tenth of a second is nothing of a minute.
_DRAIN_POLL_S: Final = 0.1
_ANSWER_S: Final = 10.0
_ROWS: Final = "SELECT count(*) FROM ping WHERE id >= $1 AND channel = $2"
_IDS: Final = "SELECT id FROM ping WHERE id >= $1 AND channel = $2"
_BACKLOG: Final = "SELECT coalesce(sum(received - duplicates), 0), count(*) FROM batch"
_TOUCHED: Final = "SELECT EXISTS (SELECT FROM license_touched)"
_SUMMED: Final = (
    "SELECT coalesce(sum(launches), 0) FROM usage_daily u JOIN product p ON p.id = u.product WHERE p.key = $1"
)
_COUNTED: Final = (
    "SELECT count(*) FROM ping i JOIN product p ON p.id = i.product WHERE p.key = $1 AND i.event = 0"
)


@dataclass(frozen=True, slots=True)
class Audit:
    """Ids that were acknowledged but are ``missing``, stored twice (``doubled``), or never sent (``strange``)."""

    stored: int
    missing: int
    doubled: int
    strange: int

    @property
    def ok(self) -> bool:
        """Whether the promise was kept."""
        return not (self.missing or self.doubled or self.strange)

    def __str__(self) -> str:
        return (
            f"{self.stored:,} rows: {self.missing} missing, {self.doubled} doubled, {self.strange} never sent"
        )


def audit(acknowledged: Iterable[bytes], sent: Iterable[bytes], stored: Iterable[bytes]) -> Audit:
    """Compare the ids of pings: an acknowledged one must be stored, and each at most once."""
    rows = Counter(stored)
    return Audit(
        stored=rows.total(),
        missing=len(set(acknowledged) - rows.keys()),
        doubled=sum(count > 1 for count in rows.values()),
        strange=len(rows.keys() - set(sent)),
    )


class Books:
    """Counts the rows of the runs since it was opened.

    Without a database it has only the server's counter, which is right where nobody else pings and one replica runs.
    """

    def __init__(self, site: Site, connection: Connection | None, since_s: float | None = None) -> None:
        self._site = site
        self._connection = connection
        # Ids made from then (now) on; a minute less, as the clocks of the machines may differ.
        self._since = UUID(bytes=new_id((since_s or time.time()) - 60)[:6] + bytes(10))
        self._stored_before = 0

    @property
    def has_database(self) -> bool:
        """Whether single rows can be looked at."""
        return self._connection is not None

    async def rows(self, tag: str) -> int:
        """How many rows a run has; without a database, all that were stored since. Cancelling it is harmless."""
        if self._connection is None:
            return await self._stored_total() - self._stored_before
        return int(await self._connection.fetchval(_ROWS, self._since, tag))

    async def ids(self, tag: str) -> list[bytes]:
        """The ids of a run's rows. Cancelling it is harmless."""
        assert self._connection is not None
        return [row[0].bytes for row in await self._connection.fetch(_IDS, self._since, tag)]

    async def backlog(self) -> tuple[int, int]:
        """Pings and batches that wait for the rollup. Cancelling it is harmless."""
        assert self._connection is not None
        row = await self._connection.fetchrow(_BACKLOG)
        assert row is not None
        return int(row[0]), int(row[1])

    async def launches(self, product: str) -> tuple[int, int]:
        """Launches of a product, summed up by the rollup, and counted in the rows. Cancelling it is harmless."""
        assert self._connection is not None
        summed = await self._connection.fetchval(_SUMMED, product)
        return int(summed), int(await self._connection.fetchval(_COUNTED, product))

    async def settled(self) -> None:
        """Wait until nothing waits for its commit; raises `CallhomeError`. Cancelling it is harmless.

        In the spool neither: on a busy machine a commit may take so long that pings go there.
        """
        console = self._site.console
        if console is None:
            return

        async def is_idle() -> bool:
            told = await metrics(console)
            return not (told.get("callhome_pending_pings") or told.get("callhome_spool_pings"))

        await _until(is_idle, SETTLE_S, "commit what it has taken in")

    async def drained(self) -> float:
        """Wait until the database is back for the server, and its spool empty; return the seconds it took.

        Raises `CallhomeError`; cancelling it is harmless.
        """
        assert self._site.console is not None
        return await drained(self._site.console)

    async def folded(self) -> float:
        """Wait until the rollup's queue is empty; return the seconds it took.

        Raises `CallhomeError`; cancelling it is harmless.
        """
        begun_s = time.perf_counter()

        async def is_empty() -> bool:
            return (await self.backlog())[1] == 0

        await _until(is_empty, FOLD_S, "fold its backlog")
        return time.perf_counter() - begun_s

    async def licenses_counted(self) -> None:
        """Wait until the usage of all licenses is counted, so that what is measured next has the machine for itself.

        Raises `CallhomeError`; cancelling it is harmless.
        """
        assert self._connection is not None
        connection = self._connection

        async def is_empty() -> bool:
            return not await connection.fetchval(_TOUCHED)

        await _until(is_empty, FOLD_S, "count the licenses")

    async def _stored_total(self) -> int:
        assert self._site.console is not None
        return int((await metrics(self._site.console))["callhome_stored_pings_total"])


@asynccontextmanager
async def opened(site: Site, since_s: float | None = None) -> AsyncIterator[Books]:
    """The books of a site, on the runs since a Unix time (else now). Cancelling closes them.

    Raises `UsageError` where it tells nobody what it has stored.
    """
    if site.database is None:
        if site.console is None:
            raise UsageError(
                "without --database-url or --console-url the committed rows can't be counted: name one"
            )
        books = Books(site, None)
        books._stored_before = await books._stored_total()
        yield books
        return
    connection = await connect(site.database, "bench")
    try:
        yield Books(site, connection, since_s)
    finally:
        connection.terminate()


async def drained(console: str) -> float:
    """As `Books.drained`, also while the database is away: of the server behind ``console``."""
    begun_s = time.perf_counter()

    async def is_empty() -> bool:
        told = await metrics(console)
        return not (told["callhome_spool_pings"] or told["callhome_database_away"])

    await _until(is_empty, FOLD_S, "drain its spool", _DRAIN_POLL_S)
    return time.perf_counter() - begun_s


async def _until(
    holds: Callable[[], Awaitable[bool]], limit_s: float, what: str, poll_s: float = _POLL_S
) -> None:
    try:
        async with asyncio.timeout(limit_s):
            while True:
                if await holds():
                    return
                await asyncio.sleep(poll_s)
    except TimeoutError:
        raise CallhomeError(f"the server did not {what} within {limit_s:g} s") from None


async def metrics(console: str) -> Mapping[str, float]:
    """What ``/metrics`` says, each summed up over its labels, and 0 for what has none yet.

    Raises `CallhomeError`; cancelling it is harmless.
    """
    totals = defaultdict[str, float](float)
    for sample in await samples(console):
        totals[sample.name] += sample.value
    return totals


async def samples(console: str) -> list[Sample]:
    """The samples of ``/metrics``, with their labels. Raises `CallhomeError`; cancelling it is harmless."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{console.rstrip('/')}/metrics") as response,
        ):
            text = await response.text()
            response.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CallhomeError(f"no metrics from {console}: {error or 'no answer'}") from None
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
