"""``python -m bench.fanout``: how long until viewers see a ping counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final

import click
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from callhome.cli.watch import MESSAGE_BYTES, OPEN_S, websocket_url
from callhome.errors import CallhomeError, UsageError
from callhome.live.wire import LiveState, decode

from . import books
from .command import Run, bench
from .drive import Plan, connected, load_options, tell_own_part, verify
from .load import OpenLoop, Outcome
from .machine import check_open_files
from .site import Site

# The figure wanted is a second; who hasn't seen all pings long after that never will.
_SEE_S: Final = 15.0
# The opening handshakes of a room full of viewers must not be a load test of their own.
_JOINING: Final = 50


class Viewer:
    """Follows the counters as a page does; ``seen`` are the times and launches of the product since it joined."""

    def __init__(self, socket: ClientConnection, product: str) -> None:
        self._socket = socket
        self._product = product
        self._state = LiveState()
        self._base = 0
        self._joined = asyncio.Event()
        self._moved = asyncio.Event()
        self.seen: list[tuple[float, int]] = []

    async def follow(self) -> None:
        """Take message after message; raises `CallhomeError` where one is missing. Cancelling it ends it."""
        try:
            async for data in self._socket:
                now_s = perf_counter()
                self._state.receive(decode(data))
                self._take(now_s)
        except ConnectionClosed as error:
            raise CallhomeError(f"a viewer was disconnected: {error}") from None

    async def joined(self) -> None:
        """Wait for the first snapshot. Cancelling it is harmless."""
        await self._joined.wait()

    async def sees(self, launches: int) -> None:
        """Wait until so many launches were seen. Cancelling it is harmless."""
        while not self.seen or self.seen[-1][1] < launches:
            self._moved.clear()
            await self._moved.wait()

    def _take(self, now_s: float) -> None:
        state = self._state
        if state.lost:
            if self._joined.is_set():
                raise CallhomeError("a viewer missed a message")
            return
        # Of 30 days: those of today begin anew at midnight, in the midst of a run.
        total = sum(row.launches_30d for key, row in state.countries.items() if key[0] == self._product)
        if not self._joined.is_set():
            self._base = total
            self._joined.set()
        elif total < self._base:
            raise CallhomeError(
                "midnight UTC has passed, and launches of 30 days ago left the count: run it again"
            )
        elif not self.seen or total - self._base > self.seen[-1][1]:
            self.seen.append((now_s, total - self._base))
            self._moved.set()


@bench("fanout")
@click.option("--viewers", type=click.IntRange(1, 1_000), help="Websocket viewers.")
@load_options
def main(run: Run, viewers: int, rate: int, seconds: float, connections: int) -> None:
    """Viewers on the websocket, while pings come at a fixed rate: how long from a ping to each viewer's counter.

    Ping number k counts as seen when the launches of its product have grown by k; so nobody else may ping that
    product meanwhile, and of a deployment PREFIX_INSTALLS must be 0. The delay counts from when the ping was due, over
    all pings and all viewers.
    """
    plan = Plan(rate, seconds, connections)
    # All pings come from one address, and counters leave out the installs beyond its ceiling.
    with run.site(prefix_installs="0") as site:
        if site.console is None:
            raise UsageError("viewers come to the console listener: name it with --console-url")
        uvloop.run(_measure(run, site, viewers, plan))


async def _measure(run: Run, site: Site, viewers: int, plan: Plan) -> None:
    assert site.console is not None
    pings, report = run.pings(), run.report
    check_open_files(viewers + plan.connections)
    async with books.opened(site) as open_books, _audience(site, viewers, run.product) as audience:
        async with connected(site, pings, plan) as load:
            outcome = await load.run()
            await audience.see(len(outcome.acknowledged))
        delays_s = sorted(_delays(load, outcome, audience.viewers))
        report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
        what = f"from ping to {viewers} viewers"
        report.latencies(delays_s, {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}, what)
        messages = sum(len(viewer.seen) for viewer in audience.viewers) / viewers / plan.seconds
        report.figure("messages", "changes of the product a viewer saw", messages, "messages/s")
        tell_own_part(report, outcome)
        await verify(report, open_books, pings.tag, outcome)
        counts = {viewer.seen[-1][1] if viewer.seen else 0 for viewer in audience.viewers}
        exact = counts == {len(outcome.acknowledged)}
        report.check(f"every viewer saw exactly the acknowledged pings: {sorted(counts)}", exact)


class _Audience:
    def __init__(self, viewers: list[Viewer], following: list[asyncio.Task[None]]) -> None:
        self.viewers = viewers
        self._following = following

    async def see(self, launches: int) -> None:
        """Wait until all have seen so many, for `_SEE_S` at most; raises what a viewer raises.

        Cancelling it is harmless.
        """

        async def all_see() -> None:
            await asyncio.gather(*(viewer.sees(launches) for viewer in self.viewers))

        waiting = asyncio.create_task(all_see())
        await asyncio.wait({waiting, *self._following}, timeout=_SEE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self.check()

    def check(self) -> None:
        """Raise what ended a viewer."""
        for task in self._following:
            if task.done():
                task.result()


@asynccontextmanager
async def _audience(site: Site, count: int, product: str) -> AsyncIterator[_Audience]:
    gate, sockets, following = (
        asyncio.Semaphore(_JOINING),
        list[ClientConnection](),
        list[asyncio.Task[None]](),
    )

    assert site.console is not None
    address = websocket_url(site.console)

    async def join() -> Viewer:
        async with gate:
            socket = await connect(
                address,
                compression=None,
                max_size=MESSAGE_BYTES,
                open_timeout=OPEN_S,
                additional_headers=site.viewer,
            )
        sockets.append(socket)
        viewer = Viewer(socket, product)
        following.append(asyncio.create_task(viewer.follow()))
        async with asyncio.timeout(OPEN_S):
            await viewer.joined()
        return viewer

    try:
        try:
            viewers = await asyncio.gather(*(join() for _ in range(count)))
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise CallhomeError(f"a viewer can't follow {site.console}: {error or 'no answer'}") from None
        yield _Audience(viewers, following)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for socket in sockets:
            socket.transport.abort()


def _delays(load: OpenLoop, outcome: Outcome, viewers: list[Viewer]) -> list[float]:
    """Seconds from when the k-th acknowledged ping was due until each viewer had seen k launches."""
    due_s = [load.due_s(number) for number in outcome.acknowledged]
    delays = []
    for viewer in viewers:
        place = 0
        for seen_s, launches in viewer.seen:
            delays += [seen_s - due for due in due_s[place:launches]]
            place = max(place, launches)
    return delays


if __name__ == "__main__":
    main()
