"""The common course of a bench: connect, load, look at something meanwhile, compare with the books."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from callhome.errors import UsageError

from .books import Books, audit
from .load import OpenLoop, Outcome, Target
from .machine import check_open_files
from .pings import Pings
from .report import Report, percentile, say
from .site import Site

# 5 M × (an id of 49 bytes, its place in a list, two numbers of 8) is 365 MB of notes.
PINGS_MAX: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How many pings a second, for how many seconds, over how many connections; raises `UsageError`."""

    rate: float
    seconds: float
    connections: int

    def __post_init__(self) -> None:
        if (pings := round(self.rate * self.seconds)) > PINGS_MAX:
            raise UsageError(f"{pings:,} pings are more than {PINGS_MAX:,}: lower --rate or --seconds")


def load_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a `Plan`."""
    options = (
        click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second."),
        click.option("--seconds", type=click.FloatRange(0.1, 3600), help="How long."),
        click.option(
            "--connections", type=click.IntRange(1, 50_000), help="Open connections that they share."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@asynccontextmanager
async def connected(
    site: Site, pings: Pings, plan: Plan, origins: Sequence[str] = ()
) -> AsyncIterator[OpenLoop]:
    """An open-loop load of single pings, with all its connections open. Cancelling it cuts them.

    ``origins`` are lines of the head, one or another of which each ping has.
    """
    check_open_files(plan.connections)
    target = Target.of(site.ingest)
    heads = [target.head("/v1/ping", "application/json", *more) for more in ([line] for line in origins)]
    requests = pings.requester(*(heads or [target.head("/v1/ping", "application/json")]))
    load = OpenLoop(target, requests, plan.rate, plan.seconds, plan.connections)
    try:
        await load.connect()
        say(f"{plan.rate:,g} pings/s for {plan.seconds:g} s over {plan.connections:,} connections")
        yield load
    finally:
        load.close()


@asynccontextmanager
async def sampling(probe: Callable[[], Awaitable[float]], every_s: float) -> AsyncIterator[list[float]]:
    """What ``probe`` says, at regular times, in the list it yields. Cancelling it ends the probing."""
    samples: list[float] = []

    async def look() -> None:
        while True:
            samples.append(await probe())
            await asyncio.sleep(every_s)

    task = asyncio.create_task(look())
    try:
        yield samples
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


async def verify(report: Report, books: Books, tag: str, outcome: Outcome) -> None:
    """Check that what was acknowledged is stored, once; tell what was not acknowledged. Cancelling it is harmless."""
    acknowledged = outcome.acknowledged
    failed = len(outcome.latency_s) - len(acknowledged)
    report.figure("acknowledged", "pings acknowledged", len(acknowledged), "pings")
    report.figure("failed", "pings not acknowledged", failed, "pings")
    if failed:
        others = {status: count for status, count in outcome.statuses.items() if not 200 <= status < 300}
        report.check(
            f"told of {failed} failures: statuses {others}, {outcome.cut} cut, others without an answer", True
        )
    report.check(f"something was acknowledged: {len(acknowledged):,} pings", bool(acknowledged))
    await books.settled()
    if books.has_database:
        result = audit((outcome.ids[number] for number in acknowledged), outcome.ids, await books.ids(tag))
        report.check(f"acknowledged = committed, each once: {result}", result.ok)
        return
    stored = await books.rows(tag)
    fits = len(acknowledged) <= stored <= len(outcome.ids)
    report.check(f"acknowledged = committed, by the server's counter: {stored:,} rows", fits)


def tell_own_part(report: Report, outcome: Outcome) -> None:
    """Tell how late this program sent, and how busy it was: where that is much, the latencies are its own."""
    late_ms = sorted(late_s * 1000 for late_s in outcome.late_s if not math.isnan(late_s))
    report.figure("late_p99_ms", "sent late by this program, p99", percentile(late_ms, 0.99), "ms")
    report.figure("own_core", "this program's use of its core", outcome.own_core * 100, "%")
