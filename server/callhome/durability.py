"""How a replica's pings become durable, as its settings say: group commit, the spool and what drains it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from .ingest.batch import GroupCommit
from .ingest.drainer import Drainer
from .ingest.failover import Failover
from .metrics import Tally
from .settings import Settings
from .spool.spool import Spool
from .store import schema
from .store.catalog_cache import CatalogCache
from .store.connection import StoreUnavailable
from .store.writer import BatchWriter

logger = logging.getLogger(__name__)

# How often a stop looks whether the spool is empty, and how often it says that it waits.
_LOOK_S: Final = 0.1
_SAID_EVERY_S: Final = 60.0
# While one batch waits for the disk or for its turn on the database's cores, the next is on its way.
_WRITERS: Final = 2


class Durability:
    """What stands between rows and the table: an async context manager that opens the spool, if there is one.

    `prepare` comes first, then `committing`.
    """

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._settings = settings
        self._tally = tally
        self._prepare: Callable[[], Awaitable[None]] | None = partial(
            schema.prepare, settings.database_url.dsn, allow_fsync_off=settings.allow_fsync_off
        )
        self.spool: Spool | None = None
        self.cache: CatalogCache | None = None
        self.failover = Failover(None, commit_s=settings.commit_s, spool_after_s=settings.spool_after_s)

    async def __aenter__(self) -> Durability:
        """Open the spool. Raises `CallhomeError`, ``OSError``. Cancelling it opens nothing."""
        settings = self._settings
        if settings.spool_dir is None:
            logger.warning(
                "no spool: pings get 503 while the database is away; CALLHOME_SPOOL_DIR names a folder for one"
            )
            return self
        spool = Spool(
            settings.spool_dir, limit_bytes=settings.spool_bytes, disk_percent=settings.spool_disk_percent
        )
        self.spool = await spool.__aenter__()
        self.cache = CatalogCache(settings.spool_dir)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the spool. Cancelling it closes it all the same."""
        if self.spool is not None:
            if pings := self.spool.pings:
                logger.info(
                    "%d pings wait in the spool %s for the next start", pings, self._settings.spool_dir
                )
            await self.spool.__aexit__(None, None, None)

    async def prepare(self) -> None:
        """Bring the database to this version; where it is away, that is done later if pings can be taken meanwhile.

        Raises what `schema.prepare` raises. Cancelling it rolls it back.
        """
        assert self._prepare is not None, "once"
        try:
            await self._prepare()
        except StoreUnavailable as error:
            if self.cache is None:
                raise
            if self.cache.load_basics() is None:
                raise StoreUnavailable(
                    f"{error}; without it, a server starts only where it ran before with this spool folder "
                    f"({self._settings.spool_dir}; each worker has one)"
                ) from error
            logger.warning("starting without the database: %s", error)
        else:
            self._prepare = None

    async def emptied(self, within_s: float) -> None:
        """Return once nothing is in the spool, or after ``within_s``. Cancelling it changes nothing."""
        spool, said_s = self.spool, -_SAID_EVERY_S
        if spool is None:
            return
        began_s = time.monotonic()
        while (spool.pings or self.failover.is_spooling) and (
            past_s := time.monotonic() - began_s
        ) < within_s:
            if past_s - said_s >= _SAID_EVERY_S:
                logger.info(
                    "stopping waits until %d pings are out of the spool and in the database, for %.0f s more at most",
                    spool.pings,
                    within_s - past_s,
                )
                said_s = past_s
            await asyncio.sleep(_LOOK_S)

    @asynccontextmanager
    async def committing(
        self, on_commit: Callable[[], None], on_back: Callable[[float], None]
    ) -> AsyncIterator[GroupCommit]:
        """Commit what is submitted, and drain the spool. Cancelling the leaving cuts what is left.

        ``on_commit`` is told of each commit; ``on_back`` when the database is back, and since when it was away.
        """
        settings = self._settings
        dsn = settings.database_url.dsn
        writers = [BatchWriter(dsn) for _ in range(_WRITERS)]
        self.failover = failover = Failover(
            self.spool,
            commit_s=settings.commit_s,
            spool_after_s=settings.spool_after_s,
            prepare=self._prepare,
        )
        failover.on_back = on_back
        try:
            async with AsyncExitStack() as stack:
                if self.spool is not None:
                    await stack.enter_async_context(self._drainer(self.spool, failover, on_commit))
                commit = GroupCommit(
                    writers,
                    self._tally,
                    pending_pings=settings.pending_pings,
                    pending_bytes=settings.pending_bytes,
                    batch_pings=settings.batch_pings,
                    failover=failover,
                )
                commit.on_commit = on_commit
                yield await stack.enter_async_context(commit)
        finally:
            await asyncio.gather(*(writer.close() for writer in writers))

    def _drainer(self, spool: Spool, failover: Failover, on_commit: Callable[[], None]) -> Drainer:
        settings = self._settings
        drainer = Drainer(
            spool,
            failover,
            BatchWriter(settings.database_url.dsn),
            self._tally,
            batch_pings=settings.batch_pings,
            commit_s=settings.commit_s,
        )
        drainer.on_commit = on_commit
        return drainer
