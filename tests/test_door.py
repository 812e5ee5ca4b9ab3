"""The door: it can be shut for a moment, and who knocks meanwhile is let in afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import cast

import pytest
import uvloop

from callhome.ingest import door
from callhome.ingest.door import Door
from listener import LIVEZ, config_of, get, listening, until


class Greeter(asyncio.Protocol):
    """Says hello and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Do so."""
        sending = cast(asyncio.Transport, transport)
        sending.write(b"hello")
        sending.close()


async def greeting(port: int) -> bytes:
    """Return what is said to who connects."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await reader.read()
        finally:
            writer.transport.abort()


LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@LOOPS
def test_who_knocks_while_it_is_shut_is_let_in_afterwards(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shut, the port still takes connections, into the kernel's backlog; open again, each is served."""
    monkeypatch.setattr(door, "SHUT_S", 0.3)

    async def use() -> None:
        made = Door(Greeter, config_of(turned_away_s=1))
        await made.open()
        try:
            for _ in range(2):
                assert await greeting(made.port) == b"hello"
                made.turn_away()
                knocking = [asyncio.create_task(greeting(made.port)) for _ in range(20)]
                done, _ = await asyncio.wait(knocking, timeout=0.05)
                assert not done
                assert await asyncio.gather(*knocking) == [b"hello"] * 20
        finally:
            made.close()
        made.close()
        with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
            await greeting(made.port)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(use())


@LOOPS
def test_closed_while_shut_or_opening_it_stays_closed(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Whenever it is closed, nobody listens afterwards."""

    async def use() -> None:
        for turns in range(6):
            made = Door(Greeter, config_of(turned_away_s=1))
            await made.open()
            made.turn_away()
            made._go_on()
            for _ in range(turns):
                await asyncio.sleep(0)
            made.close()
            with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
                await greeting(made.port)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(use())


@LOOPS
def test_a_storm_of_connections_is_told_in_bounded_numbers(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room, only so many at a time are accepted and told 503, and who has a connection is served meanwhile."""
    monkeypatch.setattr(door, "SHUT_S", 3_600.0)  # one while

    async def use() -> None:
        async with (
            listening(connections=1, turned_away_s=0) as listener,
            AsyncExitStack() as stack,
        ):
            only = await stack.enter_async_context(listener.client())
            await only.send(LIVEZ).answer()
            crowd = [await stack.enter_async_context(listener.client()) for _ in range(200)]
            await until(lambda: not listener.server._door._listeners)
            for each in crowd:
                each.send(get("/livez"))
            assert (await crowd[0].answer()).status == 503
            for _ in range(50):
                assert (await only.send(LIVEZ).answer()).status == 200
            # Those that the loop had accepted before it was told; the asyncio loop takes up to 64 at once.
            assert listener.tally.refused["overloaded"] <= (64 if new_loop is asyncio.new_event_loop else 5)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(use())


async def test_shutting_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A storm does not flood the log."""
    made = Door(Greeter, config_of(turned_away_s=1))
    await made.open()
    try:
        for _ in range(3):
            made.turn_away()
            await made._open_again()
    finally:
        made.close()
    assert len(caplog.records) == 1
