"""``python -m bench.batch``: the batch route, beside a bare COPY of the same rows into the same table."""

from __future__ import annotations

import asyncio
import gzip
import io
import time
from statistics import median
from typing import Final, NamedTuple

import click
import orjson
import uvloop

from callhome.errors import CallhomeError
from callhome.ingest.decode import decode_ping
from callhome.ingest.enrich import Enricher
from callhome.store.connection import connect
from callhome.store.encoding import PING_COLUMNS, copy_payload, without_twins
from callhome.store.ids import new_id

from . import books
from .books import Books
from .command import Run, bench
from .load import Target, parse_answer
from .machine import pinned
from .pings import Pings
from .report import say
from .site import Site

# A commit may take 10 s, and a body of 1,000 lines may wait for several.
_ANSWER_S: Final = 60.0
_READ_BYTES: Final = 65_536
# gzip's own default, as clients use it.
_GZIP_LEVEL: Final = 6


class Sizes(NamedTuple):
    """How much: requests of each kind, pings in each, requests at a time, rows in a bare COPY."""

    bodies: int
    lines: int
    connections: int
    copy_rows: int


@bench("batch")
@click.option("--bodies", type=click.IntRange(1, 5_000), help="Requests of each kind and round.")
@click.option("--lines", type=click.IntRange(1, 1_000), help="Pings in a request.")
@click.option("--connections", type=click.IntRange(1, 100), help="Requests at a time.")
@click.option("--copy-rows", type=click.IntRange(1, 100_000), help="Rows in each bare COPY.")
@click.option(
    "--rounds", type=click.IntRange(1, 20), help="Rounds of plain, gzip and COPY in turns; medians count."
)
def main(run: Run, bodies: int, lines: int, connections: int, copy_rows: int, rounds: int) -> None:
    """Batches of pings, plain and gzipped, and in turns a bare asyncpg COPY of such rows, made ready before.

    The COPY goes into the table `ping` with all its keys, over a connection as the server's and from the server's
    core; a deployment (--url) is measured without it.
    """
    sizes = Sizes(bodies, lines, connections, copy_rows)
    found: dict[str, list[float]] = {"plain": [], "gzip": [], "copy": []}
    with run.site() as site:
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: {bodies * lines:,} pings each way")
            for kind in ("plain", "gzip"):
                found[kind].append(uvloop.run(_through_route(run, site, kind, sizes)))
            if site.is_own:
                found["copy"].append(uvloop.run(_bare_copy(run, site, sizes)))
    for kind, rates in found.items():
        if rates:
            what = "bare COPY" if kind == "copy" else f"batch route, {kind}"
            run.report.figure(f"rate_{kind}", what, median(rates), "rows/s")
    for kind in ("plain", "gzip") if found["copy"] else ():
        ratio = median(found[kind]) / median(found["copy"])
        run.report.figure(f"ratio_{kind}", f"batch route, {kind} ÷ bare COPY", ratio, "")


async def _through_route(run: Run, site: Site, kind: str, sizes: Sizes) -> float:
    """Post the bodies; return the stored rows a second."""
    pings, target = run.pings(), Target.of(site.ingest)
    requests = _requests(target, pings, sizes, is_gzip=kind == "gzip")
    async with books.opened(site) as open_books:
        stored, taken_s = await _post_all(target, requests, sizes.connections)
        await _check(run, open_books, kind, pings.tag, stored)
    return stored / taken_s


async def _bare_copy(run: Run, site: Site, sizes: Sizes) -> float:
    """COPY such rows from the server's core, as the server does; return the rows a second."""
    assert site.database is not None
    pings, count = run.pings(), sizes.bodies * sizes.lines
    payloads = _payloads(pings, run.product, count, sizes.copy_rows)
    async with books.opened(site) as open_books:
        with pinned(run.layout.server):
            taken_s = await _copy_all(site.database, payloads)
        await _check(run, open_books, "bare COPY", pings.tag, count)
    return count / taken_s


async def _check(run: Run, open_books: Books, what: str, tag: str, stored: int) -> None:
    rows = await open_books.rows(tag)
    run.report.check(f"{what}: {rows:,} rows committed for {stored:,} acknowledged", 0 < stored == rows)
    if open_books.has_database:
        await open_books.folded()  # the next measurement shall not share the machine with it


def _requests(target: Target, pings: Pings, sizes: Sizes, *, is_gzip: bool) -> list[bytes]:
    coding = ("Content-Encoding: gzip",) if is_gzip else ()
    head = target.head("/v1/pings", "application/x-ndjson", *coding)
    made = []
    for _ in range(sizes.bodies):
        body = b"\n".join(pings.ping().body for _ in range(sizes.lines))
        sent = gzip.compress(body, _GZIP_LEVEL) if is_gzip else body
        made.append(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(sent), sent))
    return made


async def _post_all(target: Target, requests: list[bytes], connections: int) -> tuple[int, float]:
    """Post over some connections, a request at a time on each; return the stored rows and the seconds."""
    waiting = requests[::-1]
    stored = 0

    async def client() -> None:
        nonlocal stored
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=target.tls)
        try:
            while waiting:
                writer.write(waiting.pop())
                taken = await _answer(reader)
                stored += taken
        finally:
            writer.close()

    begun_s = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return stored, time.perf_counter() - begun_s


async def _answer(reader: asyncio.StreamReader) -> int:
    """How many lines the server has stored."""
    data = b""
    async with asyncio.timeout(_ANSWER_S):
        while (found := parse_answer(data)) is None:
            chunk = await reader.read(_READ_BYTES)
            if not chunk:
                raise CallhomeError("the server closed a connection of the batch route without an answer")
            data += chunk
    status, body = found
    if status != 200:
        raise CallhomeError(f"the batch route answers {status}: {body[:500].decode('utf-8', 'replace')}")
    return int(orjson.loads(body)["stored"])


def _payloads(pings: Pings, product: str, count: int, copy_rows: int) -> list[bytes]:
    """The rows that the server makes of such pings, sorted, in COPY's binary format."""
    enrich, now_s = Enricher(b"bench", {product: 1}), time.time()
    rows = [enrich.row(decode_ping(pings.ping().body), "", "ZZ", now_s) for _ in range(count)]
    parts = (rows[first : first + copy_rows] for first in range(0, count, copy_rows))
    return [copy_payload(without_twins(part), new_id()) for part in parts]


async def _copy_all(dsn: str, payloads: list[bytes]) -> float:
    """COPY one payload a transaction; return the seconds."""
    connection = await connect(dsn, "bench")
    try:
        begun_s = time.perf_counter()
        for payload in payloads:
            await connection.copy_to_table(
                "ping", source=io.BytesIO(payload), format="binary", columns=PING_COLUMNS
            )
        return time.perf_counter() - begun_s
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
