"""``python -m bench.slow``: what a thousand slow clients do to the others."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
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
from .nginx import answering
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


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many clients that are slow in one way, at one server."""

    count: int
    mode: str
    url: str

    @property
    def name(self) -> str:
        """What a report calls them."""
        return f"slow {self.mode} at {self.url.removeprefix('http://')}"


@bench("slow", remote=False)
@click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second of the others.")
@click.option("--connections", type=click.IntRange(1, 50_000), help="Open connections of the others.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help="How long each stroke takes.")
@click.option("--slow", type=click.IntRange(1, 20_000), help="Slow connections.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Strokes of each kind; medians count.")
def main(run: Run, rate: int, connections: int, seconds: float, slow: int, rounds: int) -> None:
    """Pings at a fixed rate, beside slowhttptest: slow headers, slow bodies, slow readers, in turns with nobody.

    And in turns with the same slow clients at an nginx beside the server: what they cost the others then, they cost by
    the cores they take, not by the server.
    Always on servers of our own. Those whose connections the server closes come again. The first seconds of a stroke,
    in which the slow ones connect, don't count.
    """
    find_program("slowhttptest", "slowhttptest")
    check_open_files(slow + connections)
    plan = Plan(rate, seconds, connections)
    with run.site() as site, answering(run.layout.server) as bystander:
        uvloop.run(_measure(run, site, plan, (slow, bystander), rounds))


async def _measure(run: Run, site: Site, plan: Plan, slow: tuple[int, str], rounds: int) -> None:
    """Measure ``slow``: so many slow clients, and the URL of a bystander that they may be slow at."""
    report = run.report
    count, bystander = slow
    strokes: dict[tuple[str, str], list[Stroke]] = defaultdict(list)
    for _ in range(rounds):
        for mode in MODES:
            strokes[mode, "alone"].append(await _stroke(run, site, plan, None))
            strokes[mode, "at nginx"].append(await _stroke(run, site, plan, Crowd(count, mode, bystander)))
            strokes[mode, "here"].append(await _stroke(run, site, plan, Crowd(count, mode, site.ingest)))
    for mode in MODES:
        alone_ms, nginx_ms, here_ms = (
            median(stroke.p99_ms for stroke in strokes[mode, where])
            for where in ("alone", "at nginx", "here")
        )
        report.figure(f"{mode}_alone_ms", f"others' p99 before {count:,} of slow {mode}", alone_ms, "ms")
        report.figure(f"{mode}_nginx_ms", f"others' p99, {count:,} of slow {mode} at nginx", nginx_ms, "ms")
        report.figure(f"{mode}_p99_ms", f"others' p99 beside {count:,} of slow {mode}", here_ms, "ms")
        late_ms = median(stroke.late_ms for stroke in strokes[mode, "here"])
        report.figure(f"{mode}_late_ms", f"slow {mode}: sent late by this program, p99", late_ms, "ms")
        report.figure(f"{mode}_ratio", f"slow {mode}: p99 with ÷ without", here_ms / alone_ms, "")
        report.figure(f"{mode}_own_ratio", f"slow {mode}: p99 here ÷ at nginx", here_ms / nginx_ms, "")


async def _stroke(run: Run, site: Site, plan: Plan, crowd: Crowd | None) -> Stroke:
    """Pings beside slow clients, or nobody."""
    pings, name = run.pings(), crowd.name if crowd else "nobody"
    is_here = crowd is not None and crowd.url == site.ingest
    server = psutil.Process(site.pid)

    async def descriptors() -> float:
        return float(server.num_fds())

    async with books.opened(site) as open_books:
        await open_books.folded()
        async with connected(site, pings, plan) as load:
            before = await descriptors()
            async with (
                slowly(crowd, plan.seconds),
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
    if crowd and is_here:
        there = int(max(samples) - before)
        run.report.check(f"beside {name}: {there:,} slow connections at once", there >= crowd.count // 2)
    late_s = sorted(late_s for late_s in outcome.late_s if not math.isnan(late_s))
    latencies_s = outcome.latencies(min(_WARM_UP_S, plan.seconds / 2))
    return Stroke(percentile(latencies_s, 0.99) * 1000, percentile(late_s, 0.99) * 1000)


@asynccontextmanager
async def slowly(crowd: Crowd | None, seconds: float) -> AsyncIterator[None]:
    """Slow clients while this is entered, or none. Cancelling it ends them."""
    if crowd is None:
        yield
        return
    program = find_program("slowhttptest", "slowhttptest")
    lasting = ("-l", str(int(seconds) + 60), "-c", str(crowd.count), "-r", str(_JOINING_HZ), "-v", "0")
    command = (program, *MODES[crowd.mode], *lasting, "-u", crowd.url.rstrip("/") + _PATHS[crowd.mode])
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
