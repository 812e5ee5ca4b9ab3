"""``python -m bench.overload``: three times as many pings, and as many new connections, as a server takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import click
import psutil
import uvloop

from callhome.errors import CallhomeError

from . import apart, books, flood, storm, wrk
from .command import Run, bench
from .drive import Plan, connected, sampling
from .flood import Flood, Flooded
from .load import DRAIN_S, Target
from .machine import check_open_files, find_program
from .report import percentile, say
from .site import Site
from .storm import Storm, Stormed

_LOOK_S: Final = 0.1
# Beyond its duration a load waits for its last answers (`flood.DRAIN_S`).
_OVER_S: Final = flood.DRAIN_S + 10
_MB: Final = 1e6
# What is back to normal: a ping over a new connection is answered within this.
_NORMAL_S: Final = 0.1
# Whoever isn't normal so long after is broken.
_RECOVER_S: Final = 60.0
# How long the rate of new connections is measured.
_DIAL_S: Final = 5.0
# Open at once while the rate of new connections is measured: enough that none waits for another.
_DIALLING: Final = 64
# In a storm, new connections that are open at most, answered or not: more than a listener's backlog (4,096), and at
# half a second each enough for 20,000 a second.
_STORMING: Final = 10_000
# Room in CONNECTIONS beside those of the load, which a storm has to fill: for wrk's, the probe's, the console's.
_SPARE: Final = 500


@bench("overload", remote=False)
@click.option("--connections", type=click.IntRange(1, 10_000), help="Kept ones, of wrk and of the load.")
@click.option("--seconds", type=click.IntRange(1, 600), help="How long each overload takes.")
@click.option(
    "--times", type=click.FloatRange(1, 20), help="The load, as a multiple of what the server takes."
)
@click.option(
    "--saturate", "saturate_s", type=click.IntRange(1, 600), help="Seconds of wrk, to find that out."
)
@click.option("--processes", type=click.IntRange(1, 64), help="That make the load.")
def main(run: Run, connections: int, seconds: int, times: float, saturate_s: int, processes: int) -> None:
    """Overload: first of pings over kept connections, then of new connections beyond those that are allowed.

    Always on servers of our own. wrk finds what the server takes. Then an open loop sends three times as many without
    waiting for answers; what sockets don't take is held back, as TCP does it to every client. Then CONNECTIONS are
    all in use, and new ones come at three times the rate that the server takes, beside a third of the pings it takes.
    """
    find_program("wrk", "wrk")
    check_open_files(connections + _SPARE + _STORMING)
    connections = max(processes, connections)
    crowd = Crowd(connections, float(seconds), times, processes)
    with run.site(connections=str(connections + _SPARE)) as site:
        assert site.pid is not None
        say(f"{saturate_s} s of wrk over {connections:,} connections")
        stroke = wrk.run(f"{site.ingest}/v1/ping", run.pings(), connections, saturate_s, run.layout.load)
        run.report.figure("saturation", "durable pings, wrk", stroke.rate, "pings/s")
        stage = Stage(run, site, psutil.Process(site.pid), crowd)
        uvloop.run(_flood(stage, stroke.rate))
        uvloop.run(_storm(stage, stroke.rate / 3))


@dataclass(frozen=True, slots=True)
class Crowd:
    """How much there is of an overload."""

    connections: int
    seconds: float
    times: float
    processes: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What both overloads work with: the server and its process."""

    run: Run
    site: Site
    server: psutil.Process
    crowd: Crowd

    def resident_mb(self) -> float:
        """The server's resident memory."""
        return float(self.server.memory_info().rss / _MB)

    @asynccontextmanager
    async def watched(self, key: str, what: str, before_mb: float, begins_s: float) -> AsyncIterator[None]:
        """The server is overloaded from ``begins_s`` (monotonic) on: tell its memory, and when it is back to normal.

        Cancelling it ends the watch.
        """
        ends_s, meanwhile_s = begins_s + self.crowd.seconds, list[float]()

        async def look() -> float:
            return self.resident_mb()

        async with sampling(look, _LOOK_S) as samples_mb:
            watch = asyncio.create_task(self._normal(begins_s, ends_s, meanwhile_s))
            try:
                yield
                normal_s = await watch
            finally:
                watch.cancel()
        report, name = self.run.report, f"{key}_" if key else ""
        report.figure(f"{name}rss_mb", f"{what}: resident, before", before_mb, "MB")
        report.figure(f"{name}growth_mb", f"{what}: growth of it", max(samples_mb) - before_mb, "MB")
        report.figure(f"{name}normal_s", f"{what}: back to normal after its end", normal_s, "s")
        if meanwhile_s:
            p50_ms = percentile(sorted(meanwhile_s), 0.5) * 1000
            report.figure(f"{name}other_ms", f"{what}: a ping of another meanwhile, median", p50_ms, "ms")

    async def _normal(self, begins_s: float, ends_s: float, meanwhile_s: list[float]) -> float:
        """Ping over new connections until, after the end, one is answered at once; return how long that took."""
        request = self.run.pings().requester(Target.of(self.site.ingest).head("/v1/ping", "application/json"))
        gives_up_s = ends_s + _RECOVER_S
        await asyncio.sleep(begins_s - time.monotonic())
        while (begun_s := time.monotonic()) < gives_up_s:
            is_after = begun_s >= ends_s
            is_taken = await _probe(self.site.ingest, request()[1], _NORMAL_S if is_after else DRAIN_S)
            took_s = time.monotonic() - begun_s
            if is_taken and is_after and took_s <= _NORMAL_S:
                return time.monotonic() - ends_s
            if is_taken and not is_after:
                meanwhile_s.append(took_s)
            await asyncio.sleep(_LOOK_S / 2)
        raise CallhomeError(f"the server was not back to normal within {_RECOVER_S:g} s")


async def _flood(stage: Stage, saturation_hz: float) -> None:
    """More pings than go, over kept connections."""
    run, crowd, pings = stage.run, stage.crowd, stage.run.pings()
    rate_hz, count = crowd.times * saturation_hz, crowd.processes
    order = flood.Order(
        stage.site.ingest, dict(run.workload.pings), run.product, pings.tag,
        rate_hz / count, crowd.seconds, crowd.connections // count,
    )  # fmt: skip
    found = Flooded()
    async with books.opened(stage.site) as open_books:
        await open_books.folded()
        before_mb = stage.resident_mb()
        async with apart.ready(Flood, [order] * count) as loads:
            say(f"{rate_hz:,.0f} pings/s for {crowd.seconds:g} s over {crowd.connections:,} connections")
            begins_s = loads.begin()
            async with stage.watched("", "overload", before_mb, begins_s):
                for one in await loads.found(crowd.seconds + _OVER_S):
                    assert isinstance(one, Flooded)
                    found.add(one)
        await open_books.settled()
        rows = await open_books.rows(pings.tag)
        await open_books.folded()
    _tell_flood(stage, found, rows, saturation_hz, begins_s)


def _tell_flood(stage: Stage, found: Flooded, rows: int, saturation_hz: float, begins_s: float) -> None:
    report, seconds = stage.run.report, stage.crowd.seconds
    taken = sum(count for status, count in found.statuses.items() if status < 300)
    in_time = sum(count for status, count in found.in_time.items() if status < 300)
    committed_hz = rows / max(seconds, found.last_s - begins_s)
    report.figure("offered", "overload: due", (found.sent + found.held) / seconds, "pings/s")
    report.figure("held", "overload: held back by TCP", found.held / seconds, "pings/s")
    report.figure("committed", "overload: committed rows", committed_hz, "rows/s")
    report.figure("goodput", "overload: committed rows ÷ saturation", committed_hz / saturation_hz, "")
    report.figure("goodput_2xx", "overload: answers 2xx ÷ saturation", in_time / seconds / saturation_hz, "")
    for status in (429, 503):
        report.figure(f"answers_{status}", f"overload: answers {status}", found.statuses[status], "answers")
    unanswered = found.sent - found.statuses.total()
    report.check(f"overload: something was acknowledged: {taken:,} pings", taken > 0)
    report.check(
        f"overload: {rows:,} rows committed for {taken:,} answers 2xx (and {unanswered} pings without an answer)",
        taken <= rows <= taken + unanswered,
    )
    if found.cut or unanswered:
        report.check(f"overload: told of {found.cut} connections cut, {unanswered} without an answer", True)


async def _storm(stage: Stage, rate_hz: float) -> None:
    """More new connections than go, beside pings over kept ones."""
    run, crowd = stage.run, stage.crowd
    dialled_hz = await _dial(stage)
    pings, found, plan = run.pings(), Stormed(), Plan(rate_hz, crowd.seconds, crowd.connections)
    async with books.opened(stage.site) as open_books:
        async with connected(stage.site, pings, plan) as load:
            before_mb = stage.resident_mb()
            async with apart.ready(Storm, _orders(stage, crowd.seconds, crowd.times * dialled_hz)) as loads:
                begins_s = loads.begin()
                async with stage.watched("storm", "storm", before_mb, begins_s):
                    outcome = await load.run()
                    for one in await loads.found(crowd.seconds + _OVER_S):
                        assert isinstance(one, Stormed)
                        found.add(one)
        _tell_storm(stage, found, dialled_hz)
        report = run.report
        report.figure("storm_goodput", "storm: rate of others' pings ÷ due", outcome.rate / rate_hz, "")
        quantiles = {"storm_p50_ms": 0.5, "storm_p99_ms": 0.99}
        report.latencies(outcome.latencies(), quantiles, "storm: pings of others")
        await open_books.settled()
        acknowledged = (outcome.ids[number] for number in outcome.acknowledged)
        result = books.audit(acknowledged, outcome.ids, await open_books.ids(pings.tag))
        report.check(f"storm: acknowledged = committed, each once: {result}", result.ok)


def _tell_storm(stage: Stage, found: Stormed, dialled_hz: float) -> None:
    report, seconds = stage.run.report, stage.crowd.seconds
    opened_hz, beyond = found.opened / seconds, found.opened - found.taken
    report.figure("dialled", "new connections, a ping each, as many as go", dialled_hz, "connections/s")
    report.figure("storm_opened", "storm: new connections", opened_hz, "connections/s")
    report.figure("storm_times", "storm: these ÷ as many as go", opened_hz / dialled_hz, "")
    report.figure("storm_held", "storm: due, but held back", found.held / seconds, "connections/s")
    report.figure("storm_taken", "storm: with their ping taken", found.taken / seconds, "connections/s")
    report.figure("storm_503", "storm: told 503", found.statuses[503] / seconds, "connections/s")
    report.figure("storm_cut", "storm: closed without a word", found.cut / seconds, "connections/s")
    report.figure("storm_waiting", "storm: without an answer at its end", found.waiting, "connections")
    report.check(f"storm: {beyond:,} of {found.opened:,} new connections were not taken", beyond > 0)


async def _dial(stage: Stage) -> float:
    """The rate at which the server takes new connections with a ping each."""
    seconds, found = min(stage.crowd.seconds, _DIAL_S), Stormed()
    say(f"{seconds:g} s of new connections")
    async with apart.ready(Storm, _orders(stage, seconds)) as loads:
        loads.begin()
        for one in await loads.found(seconds + _OVER_S):
            assert isinstance(one, Stormed)
            found.add(one)
    stage.run.report.check(f"new connections: {found.taken:,} pings taken", found.taken > 0)
    return max(1.0, found.taken / seconds)


def _orders(stage: Stage, seconds: float, rate_hz: float | None = None) -> list[storm.Order]:
    """An order a process: at a rate, with holders that fill what the load leaves of CONNECTIONS; or as many as go."""
    run, count = stage.run, stage.crowd.processes
    at_once, holders = (_DIALLING // count + 1, 0) if rate_hz is None else (_STORMING // count, _SPARE)
    return [
        storm.Order(
            stage.site.ingest, dict(run.workload.pings), run.product, run.pings().tag,
            (rate_hz or 0.0) / count, seconds, at_once,
            holders // count + (number < holders % count),
        )
        for number in range(count)
    ]  # fmt: skip


async def _probe(url: str, request: bytes, within_s: float) -> bool:
    """Whether a ping over a new connection is acknowledged in time. Cancelling it cuts the connection."""
    target = Target.of(url)
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            return head.startswith(b"HTTP/1.1 2")
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


if __name__ == "__main__":
    main()
