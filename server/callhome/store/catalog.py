"""The catalogue in memory: the registered products, refreshed within a moment of a change in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Self

from ..persistent import Persistent, cut_after
from . import products
from .connection import Connection, connect

# A notification can be lost with its connection in ways that only time tells.
_REFRESH_S: Final = 10.0
# Reading some hundred products takes milliseconds: no answer for so long is no connection.
_QUERY_S: Final = 10.0


class Catalog:
    """Which products may call home: ``product_ids`` maps key to number, and changes in place.

    An async context manager; it is filled when entered, and keeps what it has while the database is away.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._ids: dict[str, int] = {}
        self.product_ids: Mapping[str, int] = MappingProxyType(self._ids)
        self._changed = asyncio.Event()
        self._session = Persistent("catalogue", partial(connect, dsn, "catalogue"), self._follow)

    async def __aenter__(self) -> Self:
        """Fill it, then follow changes. Raises `StoreUnavailable` and what asyncpg raises. Cancelling it: neither."""
        connection = await connect(self._dsn, "catalogue")
        try:
            with cut_after(connection, _QUERY_S):
                await self._refresh(connection)
        finally:
            connection.terminate()
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following. Cancelling it stops all the same."""
        await self._session.__aexit__()

    async def _follow(self, connection: Connection) -> None:
        connection.add_termination_listener(lambda _: self._changed.set())
        with cut_after(connection, _QUERY_S):
            await connection.add_listener(products.CATALOG_CHANNEL, lambda *_: self._changed.set())
        while True:
            self._changed.clear()
            with cut_after(connection, _QUERY_S):
                await self._refresh(connection)
            self._session.went_well()
            try:
                async with asyncio.timeout(_REFRESH_S):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _refresh(self, connection: Connection) -> None:
        found = {product.key: product.id for product in await products.list_all(connection)}
        self._ids.update(found)
        for gone in self._ids.keys() - found.keys():
            del self._ids[gone]
