"""The catalogue in memory: products, releases, notices, licenses; within a moment of a change in the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import asyncpg

from ..persistent import Persistent, cut_after
from . import licenses, notices, products, releases
from .catalog_cache import CatalogCache
from .connection import Connection, StoreUnavailable, connect

if TYPE_CHECKING:
    from ..licenses.model import Terms
    from ..releases.model import Notice, Release

logger = logging.getLogger(__name__)

# A notification can be lost with its connection in ways that only time tells.
_REFRESH_S: Final = 10.0
# The same for licenses, of which there may be a hundred thousand: reading those takes a second.
_LICENSES_REFRESH_S: Final = 300.0
# Reading them takes a fifth of the event loop's time at most: many changes in a row are told at once.
_LICENSES_PAUSE_SHARE: Final = 4.0
# Reading some hundred products takes milliseconds: no answer for so long is no connection.
_QUERY_S: Final = 10.0
_LICENSES_QUERY_S: Final = 60.0


class Advised(Protocol):
    """What is told of releases, notices and licenses: `callhome.releases.advice.Advisor`."""

    def set_releases(self, releases: Iterable[Release]) -> None:
        """Know these, and no others."""

    def set_notices(self, found: Sequence[Notice]) -> None:
        """Know these, and no others."""

    def set_licenses(self, licenses: Mapping[bytes, Terms]) -> None:
        """Know these, and no others."""


class Catalog:
    """What ingest must know. ``product_ids`` maps the keys of products to numbers, and changes in place.

    An async context manager; it is filled when entered, and keeps what it has while the database is away. With a
    ``cache`` it can be filled from there too. `advise` names whom to tell of everything else, before it is entered.
    """

    def __init__(self, dsn: str, cache: CatalogCache | None = None) -> None:
        self._dsn = dsn
        self._cache = cache
        self._ids: dict[str, int] = {}
        self.product_ids: Mapping[str, int] = MappingProxyType(self._ids)
        self._advised: Advised | None = None
        self._changed = asyncio.Event()
        self._licenses_due_s = self._licenses_free_s = 0.0
        self.session = Persistent("catalogue", partial(connect, dsn, "catalogue"), self._follow)

    def advise(self, advised: Advised) -> None:
        """Keep that one informed of releases, notices and licenses."""
        self._advised = advised

    async def __aenter__(self) -> Self:
        """Fill it, then follow changes. Raises `StoreUnavailable` and what asyncpg raises. Cancelling it: neither.

        Where the database is away, what was cached last will do; then only `StoreUnavailable` is raised.
        """
        try:
            connection = await connect(self._dsn, "catalogue")
            try:
                await self._refresh(connection)
            finally:
                connection.terminate()
        except (StoreUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if self._cache is None or not self._fill_from(self._cache):
                raise
        await self.session.__aenter__()
        return self

    def _fill_from(self, cache: CatalogCache) -> bool:
        basics = cache.load_basics()
        if basics is None:
            return False
        self._ids.update(basics.products)
        if self._advised is not None:
            self._advised.set_releases(basics.releases)
            self._advised.set_notices(basics.notices)
            self._advised.set_licenses(cache.load_licenses())
        logger.warning("the database is away: %d products are known from before", len(basics.products))
        return True

    async def __aexit__(self, *_: object) -> None:
        """Stop following. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _follow(self, connection: Connection) -> None:
        connection.add_termination_listener(lambda _: self._changed.set())
        with cut_after(connection, _QUERY_S):
            await connection.add_listener(products.CATALOG_CHANNEL, self._hear)
        self._licenses_due_s = 0.0  # whatever was told while nobody listened
        while True:
            self._changed.clear()
            await self._refresh(connection)
            self.session.went_well()
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _hear(self, _connection: Any, _pid: int, _channel: str, what: Any) -> None:
        if what == products.LICENSES_CHANGED:
            self._licenses_due_s = 0.0
        self._changed.set()

    def _wait_s(self) -> float:
        due_s = max(self._licenses_due_s, self._licenses_free_s)
        return max(0.0, min(_REFRESH_S, due_s - time.monotonic()))

    async def _refresh(self, connection: Connection) -> None:
        with cut_after(connection, _QUERY_S):
            found = {product.key: product.id for product in await products.list_all(connection)}
            self._ids.update(found)
            for gone in self._ids.keys() - found.keys():
                del self._ids[gone]
            found_releases = await releases.current(connection)
            found_notices = await notices.current(connection)
        if self._advised is not None:
            self._advised.set_releases(found_releases)
            self._advised.set_notices(found_notices)
        if self._cache is not None:
            await self._cache.save_basics(self._ids, found_releases, found_notices)
        begun_s = time.monotonic()
        if begun_s >= max(self._licenses_due_s, self._licenses_free_s):
            await self._refresh_licenses(connection, begun_s)

    async def _refresh_licenses(self, connection: Connection, begun_s: float) -> None:
        self._licenses_due_s = begun_s + _LICENSES_REFRESH_S  # sooner, if a change is told meanwhile
        with cut_after(connection, _LICENSES_QUERY_S):
            found = {key_hash: terms async for key_hash, terms in licenses.load_terms(connection)}
        if self._advised is not None:
            self._advised.set_licenses(found)
        if self._cache is not None:
            await self._cache.save_licenses(found)
        ended_s = time.monotonic()
        self._licenses_free_s = ended_s + _LICENSES_PAUSE_SHARE * (ended_s - begun_s)
