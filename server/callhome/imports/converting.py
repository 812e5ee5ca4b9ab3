"""Blocks of records to runs of sorted rows, in this process or in several."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Final, NamedTuple

from ..ingest.geo import Countries
from ..store.encoding import row_id
from ..store.ids import id_ms
from .mapping import parse
from .picking import BadRow
from .reading import Block
from .records import Converter, LeftOut, Means, Span, UnknownProduct
from .sorting import Page, pages

# Blocks that are under way, for each process: one that it works at, and one that waits for it. Bound of memory: so many
# × processes × some 10 MB.
_AHEAD: Final = 2
# This is read in the time that a process takes to start.
_SMALL_BYTES: Final = 4 << 20
# A mapping that names the wrong column for the product has as many unknown products as rows.
_UNKNOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a process needs to make a `Converter`."""

    mapping: str
    file_name: str
    columns: tuple[str, ...]
    secret: bytes = field(repr=False)
    product_ids: tuple[tuple[str, int], ...]
    geo_database: Path | None
    span: Span


class Reach(NamedTuple):
    """How many rows there are, and the first and the last time of them in Unix milliseconds."""

    rows: int
    first_ms: int
    last_ms: int

    def joined(self, other: Reach) -> Reach:
        """Return that of both."""
        return Reach(
            self.rows + other.rows, min(self.first_ms, other.first_ms), max(self.last_ms, other.last_ms)
        )


@dataclass(slots=True)
class Converted:
    """What became of a block. ``reach`` is by the number of the product, ``bad`` by the place in the block.

    ``broken`` is that of the block, once it is split.
    """

    run: list[Page] = field(default_factory=list)
    reach: dict[int, Reach] = field(default_factory=dict)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    bad: list[tuple[int, str, object, str]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    left_out: int = 0


@lru_cache(maxsize=1)
def converter(plan: Plan) -> Converter:
    """Return the converter of a plan. Raises `BadMapping`, and `UsageError` where the file of countries is none."""
    countries = asyncio.run(_opened(plan.geo_database))
    means = Means(plan.secret, dict(plan.product_ids), countries.country_of)
    return Converter(parse(plan.mapping, plan.file_name), plan.columns, means, plan.span)


async def _opened(path: Path | None) -> Countries:
    """Open the file of countries; it needs no following. Cancelling it opens nothing."""
    async with Countries(path) as countries:
        return countries


def convert(plan: Plan, block: Block) -> Converted:
    """Convert all records of a block."""
    block = block.split()
    make, done = converter(plan).row, Converted(broken=block.broken)
    by_product: dict[int, list[bytes]] = {}
    for at, record in enumerate(block.records):
        try:
            product, row = make(record)
            by_product.setdefault(product, []).append(row)
        except BadRow as error:
            done.bad.append((at, error.column, error.given, error.expected))
        except LeftOut:
            done.left_out += 1
        except UnknownProduct as error:
            known = error.key in done.unknown or len(done.unknown) < _UNKNOWN
            done.unknown[error.key if known else "…"] += 1
    for product, rows in by_product.items():
        done.reach[product] = Reach(len(rows), _ms(min(rows)), _ms(max(rows)))
    done.run = pages([row for rows in by_product.values() for row in rows])
    return done


def _ms(row: bytes) -> int:
    return id_ms(row_id(row))


@contextmanager
def converting(
    plan: Plan, processes: int
) -> Iterator[Callable[[Iterable[Block]], Iterator[tuple[Block, Converted]]]]:
    """Yield what converts blocks, in their order, with so many processes; 1: in this one.

    What they are at when the block is left is thrown away.
    """
    if processes == 1:
        yield lambda blocks: ((block, convert(plan, block)) for block in blocks)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        yield lambda blocks: _in_turn(pool, plan, blocks, _AHEAD * processes)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_turn(
    pool: ProcessPoolExecutor, plan: Plan, blocks: Iterable[Block], ahead: int
) -> Iterator[tuple[Block, Converted]]:
    under_way: deque[tuple[Block, Future[Converted]]] = deque()
    for block in blocks:
        under_way.append((block, pool.submit(convert, plan, block)))
        if len(under_way) > ahead:
            first, future = under_way.popleft()
            yield first, future.result()
    for block, future in under_way:
        yield block, future.result()


def _begin() -> None:
    """Ctrl-C is the parent's to handle; and when the parent is killed, nobody is left to end this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "this is a child"
    parent.join()
    os._exit(1)


def processes(size_bytes: int, cores: int) -> int:
    """Return how many processes are worth their start for a file of this size; 0: nobody knows it."""
    return 1 if 0 < size_bytes < _SMALL_BYTES else cores


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
