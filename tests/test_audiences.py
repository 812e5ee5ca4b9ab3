"""Two audiences over real sockets: each gets its own messages under its own numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from callhome.live.audiences import Audiences
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.live.wire import SNAPSHOT_REQUEST
from callhome.store.live import Snapshot
from test_push import TODAY, Client, Line, opened, quiet, until

FEW = (None,) * 6


class BothLine(Line):
    """A line on which every second connection is a guest's; it begins with a guest."""

    hub: Audiences  # type: ignore[assignment]

    def __init__(self, hub: Audiences) -> None:
        super().__init__(cast(Hub, hub))

    def joined(self, transport: asyncio.Transport) -> None:
        """A connection was accepted."""
        self.transports.append(transport)
        self.hub.join(transport, is_guest=len(self.transports) % 2 == 1)


def set_installs(hub: Audiences, counters: Counters, germany: int, fiji: int) -> None:
    """Give the two countries so many installs, and tell the hub."""
    rows = [("es", "DE", *[germany] * 6), ("es", "FJ", *[fiji] * 6)]
    hub.changed(
        counters.load(Snapshot(counters.seq + 1, TODAY, {"es": "ES"}, rows, [("es", "1", "", germany)]))
    )


@pytest.fixture
def counters() -> Counters:
    """Empty ones."""
    return Counters()


@pytest.fixture
def hub(counters: Counters) -> Audiences:
    """A hub with a floor of five over them."""
    return Audiences(counters, viewers_max=10, floor=5)


@pytest.fixture
async def line(hub: Audiences, counters: Counters) -> AsyncIterator[BothLine]:
    """A line to it, once it has numbers."""
    set_installs(hub, counters, 9, 2)
    async with opened(BothLine(hub)) as line:
        yield line


async def both(line: BothLine) -> tuple[Client, Client]:
    """A guest and somebody who is signed in, both joined."""
    clients = []
    for joined in (1, 2):
        clients.append(await line.connect())
        await until(lambda joined=joined: line.hub.viewers == joined)  # type: ignore[misc]
    return clients[0], clients[1]


async def test_each_audience_sees_its_own(line: BothLine, hub: Audiences) -> None:
    """Who is signed in gets all numbers, a guest those from the floor on; as JSON, too."""
    guest, signed_in = await both(line)
    seen, all_ = await guest.receive(), await signed_in.receive()
    assert (seen.floor, seen.countries) == (5, [("es", "DE", *[9] * 6), ("es", "FJ", *FEW)])
    assert (all_.floor, all_.countries[1], all_.builds) == (
        None,
        ("es", "FJ", *[2] * 6),
        [("es", "1", "", 9)],
    )
    assert hub.version(is_guest=True) != hub.version(is_guest=False)
    assert b'"FJ",null,' in hub.snapshot(is_guest=True)
    assert b'"FJ",2,' in hub.snapshot(is_guest=False)


async def test_a_guest_hears_nothing_of_what_is_hidden(
    line: BothLine, hub: Audiences, counters: Counters
) -> None:
    """A ping where there are few is told to who is signed in; guests get no message, and no other version."""
    guest, signed_in = await both(line)
    first, _ = await guest.receive(), await signed_in.receive()
    version = hub.version(is_guest=True)
    await quiet()
    set_installs(hub, counters, 9, 3)
    assert (await signed_in.receive()).countries == [("es", "FJ", *[3] * 6)]
    await quiet()
    assert hub.version(is_guest=True) == version
    set_installs(hub, counters, 10, 3)
    change = await guest.receive()
    assert (change.seq, change.countries) == (first.seq + 1, [("es", "DE", *[10] * 6)])


async def test_guests_may_ask_again_and_leave(line: BothLine, hub: Audiences) -> None:
    """A request is answered by the hub of who asks; who leaves is forgotten, whoever it was."""
    guest, _ = await both(line)
    await guest.receive()
    assert hub.heard(line.transports[0], SNAPSHOT_REQUEST) is None
    assert (await guest.receive()).floor == 5
    for transport in line.transports:
        transport.abort()
    await until(lambda: hub.viewers == 0)
    assert hub.cut_total == 0


async def test_staleness_is_told_to_both(line: BothLine, hub: Audiences) -> None:
    """Guests hear as well that the numbers are old."""
    guest, signed_in = await both(line)
    await guest.receive()
    await signed_in.receive()
    hub.stale(asyncio.get_running_loop().time() - 7)
    assert {(await client.receive()).type for client in (guest, signed_in)} == {"alive"}
    assert hub.stale_s > 0


def test_without_numbers_neither_is_ready(hub: Audiences) -> None:
    """Before anything was read from the database there is nothing for anybody."""
    assert not hub.ready
