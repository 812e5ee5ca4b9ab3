"""``python -m bench.slow``: what a thousand slow clients do to the others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

import click
import psutil
import uvloop

from . import books
from .command import Run, bench
from .drive import Plan, connected, sampling
from .machine import check_open_files, find_program
from .report import percentile, say
from .site import Site

# How slowhttptest is slow: a header line of up to 32 bytes a second, never the last; a body of which so much comes; an
# answer, asked for ten times, of which a few bytes are read a second, through a window of as few.
MODES: Final = {
    "header": ("-H", "-i", "1", "-x", "24", "-t", "POST"),
    "body": ("-B", "-i", "1", "-x", "8", "-s", "4096", "-t", "POST", "-f", "application/json"),
    "read": ("-X", "-k", "10", "-n", "1", "-w", "8", "-y", "32", "-z", "8"),
}
# Where the slow ones go; only readers need an answer that they would have got at once.
_PATHS: Final = {"header": "/v1/ping", "body": "/v1/ping", "read": "/livez"}
# All of them are there within a second or two.
_JOINING_HZ: Final = 500
# It ends by itself where the server has closed all its connections, and is begun anew: not in a tight loop.
_AGAIN_S: Final = 0.2
# How often the server's descriptors are counted: half a millisecond for a thousand, in each stroke.
_LOOK_S: Final = 1.0
# Until the slow ones are connected, what is measured is not what was asked.
_WARM_UP_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """The p99 of the others' latencies, and of how late this program sent: where that is much, it is the limit."""

    p99_ms: float
    late_ms: float


@bench("slow", remote=False)
@click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second of the others.")
@click.option("--connections", type=click.IntRange(1, 50_000), help="Open connections of the others.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help="How long each stroke takes.")
@click.option("--slow", type=click.IntRange(1, 20_000), help="Slow connections.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Strokes of each kind; medians count.")
def main(run: Run, rate: int, connections: int, seconds: float, slow: int, rounds: int) -> None:
    """Pings at a fixed rate, beside slowhttptest: slow headers, slow bodies, slow readers, in turns with nobody.

    Always on servers of our own. Those whose connections the server closes come again. The first seconds of a stroke,
    in which the slow ones connect, don't count.
    """
    find_program("slowhttptest", "slowhttptest")
    check_open_files(slow + connections)
    plan = Plan(rate, seconds, connections)
    with run.site() as site:
        uvloop.run(_measure(run, site, plan, slow, rounds))


async def _measure(run: Run, site: Site, plan: Plan, slow: int, rounds: int) -> None:
    report = run.report
    alone = {mode: list[Stroke]() for mode in MODES}
    beside = {mode: list[Stroke]() for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            alone[mode].append(await _stroke(run, site, plan, None, 0))
            beside[mode].append(await _stroke(run, site, plan, mode, slow))
    for mode in MODES:
        without_ms, with_ms = (median(one.p99_ms for one in ones[mode]) for ones in (alone, beside))
        report.figure(f"{mode}_alone_ms", f"others' p99 before {slow:,} of slow {mode}", without_ms, "ms")
        report.figure(f"{mode}_p99_ms", f"others' p99 beside {slow:,} of slow {mode}", with_ms, "ms")
        late_ms = median(one.late_ms for one in beside[mode])
        report.figure(f"{mode}_late_ms", f"slow {mode}: sent late by this program, p99", late_ms, "ms")
        report.figure(f"{mode}_ratio", f"slow {mode}: p99 with ÷ without", with_ms / without_ms, "")


async def _stroke(run: Run, site: Site, plan: Plan, mode: str | None, slow: int) -> Stroke:
    """Pings beside slow clients, or nobody."""
    pings, name = run.pings(), f"slow {mode}" if mode else "nobody"
    server = psutil.Process(site.pid)

    async def descriptors() -> float:
        return float(server.num_fds())

    async with books.opened(site) as open_books:
        await open_books.folded()
        async with connected(site, pings, plan) as load:
            before = await descriptors()
            async with (
                slowly(site.ingest, mode, slow, plan.seconds),
                sampling(descriptors, _LOOK_S) as samples,
            ):
                say(f"beside {name}")
                outcome = await load.run()
                samples.append(await descriptors())
        await open_books.settled()
        acknowledged = [outcome.ids[number] for number in outcome.acknowledged]
        result = books.audit(acknowledged, outcome.ids, await open_books.ids(pings.tag))
    run.report.check(f"beside {name}: acknowledged = committed, each once: {result}", result.ok)
    failed = len(outcome.latency_s) - len(acknowledged)
    run.report.check(f"beside {name}: all were acknowledged ({failed} failed)", not failed)
    if mode:
        there = int(max(samples) - before)
        run.report.check(f"beside {name}: {there:,} slow connections at once", there >= slow // 2)
    late_s = sorted(late_s for late_s in outcome.late_s if not math.isnan(late_s))
    latencies_s = outcome.latencies(min(_WARM_UP_S, plan.seconds / 2))
    return Stroke(percentile(latencies_s, 0.99) * 1000, percentile(late_s, 0.99) * 1000)


@asynccontextmanager
async def slowly(url: str, mode: str | None, connections: int, seconds: float) -> AsyncIterator[None]:
    """Slow clients of a server while this is entered; none without a mode. Cancelling it ends them."""
    if mode is None:
        yield
        return
    program = find_program("slowhttptest", "slowhttptest")
    lasting = ("-l", str(int(seconds) + 60), "-c", str(connections), "-r", str(_JOINING_HZ), "-v", "0")
    command = (program, *MODES[mode], *lasting, "-u", url.rstrip("/") + _PATHS[mode])
    task = asyncio.create_task(_keep_running(command))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_running(command: tuple[str, ...]) -> None:
    """Run a program again whenever it ends. Cancelling it ends the program too."""
    while True:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    main()
