"""``callhome watch`` as people run it: a process of its own against a real console."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import pty
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from callhome.cli.text import printable
from callhome.cli.watch import websocket_url
from callhome.cli.watch_view import Choice
from callhome.errors import UsageError
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.live.wire import SNAPSHOT_REQUEST, LiveState, Stamp, encode_alive, encode_snapshot
from callhome.store.live import Snapshot
from consoles import console as console_over
from signed import TOKEN

TODAY = dt.date(2026, 11, 22)
PATIENCE_S = 30.0
Rows = Sequence[tuple[object, ...]]
NAMES = {"es": "Example Server", "db": "Database"}
ROWS = [("es", "DE", 1, 2, 3, 1_400, 5, 6), ("es", "FR", 1, 1, 1, 1, 1, 1), ("db", "US", 2, 2, 2, 2, 2, 2)]
BUILDS = [("es", "1.0", "b7", 4), ("es", "2.0", "", 9)]
TOTALS = {
    "installs_today": 2, "users_today": 3, "launches_today": 4,
    "installs_30d": 1_401, "users_30d": 6, "launches_30d": 7,
}  # fmt: skip


def load(hub: Hub, rows: Rows, names: dict[str, str] = NAMES) -> None:
    """Put rows into the counters, and tell the hub."""
    hub.changed(hub.counters.load(Snapshot(hub.counters.seq + 1, TODAY, names, [*rows], [*BUILDS])))


@asynccontextmanager
async def console(
    rows: Rows | None = ROWS, *, names: dict[str, str] = NAMES, port: int = 0
) -> AsyncIterator[tuple[Hub, str]]:
    """A console over a hub with ``rows`` (``None``: nothing was ever loaded); the hub and its URL."""
    hub = Hub(Counters(), viewers_max=100)
    if rows is not None:
        load(hub, rows, names)
    async with console_over(hub, port=port) as running:
        yield hub, f"http://127.0.0.1:{running.port}"
    hub.close()


@asynccontextmanager
async def watching(*args: str, stdout: int = PIPE) -> AsyncIterator[Process]:
    """The command in a process of its own, killed at the end if it still runs."""
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    command = [sys.executable, "-m", "callhome", "watch", *args]
    process = await asyncio.create_subprocess_exec(*command, stdout=stdout, stderr=PIPE, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: Process) -> str:
    """The next line of its stdout."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stdout.readline()).decode().rstrip("\n")


async def error_line(process: Process) -> str:
    """The next line of its stderr."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await process.stderr.readline()).decode().rstrip("\n")


async def outcome(*args: str) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of the command."""
    async with watching(*args) as process, asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def test_once_prints_the_present_numbers_and_ends() -> None:
    """One line a product, the one with the most installs first."""
    async with console() as (_, url):
        code, out, _ = await outcome("--once", "--url", url)
    first, second = out.splitlines()
    assert code == 0
    assert first.endswith("Z es " + " ".join(f"{name}={value}" for name, value in TOTALS.items()))
    assert " db installs_today=2 " in second


async def test_json_has_a_line_for_each_change() -> None:
    """With --json each change of the chosen product is an object, others are not shown."""
    async with console() as (hub, url), watching("--json", "--product", "es", "--url", url) as process:
        said = json.loads(await line_of(process))
        assert said == {"at": said["at"], "product": "es", "name": "Example Server", **TOTALS}
        load(hub, [*ROWS[:2], ("db", "US", *[9] * 6)])
        await asyncio.sleep(0.3)
        load(hub, [("es", "DE", *[5] * 6), ("db", "US", *[9] * 6)])
        assert json.loads(await line_of(process))["installs_today"] == 5


async def test_interrupt_ends_it_with_zero() -> None:
    """Ctrl-C is how one stops watching: no error, no traceback."""
    async with console() as (_, url), watching("--url", url) as process:
        await line_of(process)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            _, err = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in err


async def test_restarted_server_is_followed_again() -> None:
    """A lost connection is said and made anew, and then only what differs is shown."""
    async with AsyncExitStack() as first:
        _, url = await first.enter_async_context(console())
        async with watching("--url", url) as process:
            assert [(await line_of(process)).split()[1] for _ in NAMES] == ["es", "db"]
            assert await error_line(process) == f"callhome: connected to {url}"
            await first.aclose()
            assert await error_line(process) == "callhome: connection lost, trying again"
            async with console([*ROWS[:2], ("db", "US", *[3] * 6)], port=int(url.rpartition(":")[2])):
                assert " db installs_today=3 " in await line_of(process)
                while await error_line(process) != f"callhome: connected to {url}":
                    pass


async def test_numbers_without_a_database_are_called_old() -> None:
    """While the server has lost its database, that is said; and when it is back."""
    async with console() as (hub, url), watching("--url", url) as process:
        await error_line(process)
        hub.stale(time.monotonic() - 60)
        assert (
            await error_line(process)
            == "callhome: the server lost its database 60 s ago: the numbers are old"
        )
        hub.stale(None)
        assert await error_line(process) == f"callhome: connected to {url}"


async def test_once_calls_old_numbers_old() -> None:
    """A server that has lost its database is told of with --once too, beside its numbers; else nothing is."""
    async with console() as (hub, url):
        hub.stale(time.monotonic() - 60)
        code, out, err = await outcome("--once", "--url", url)
        assert (code, len(out.splitlines())) == (0, 2)
        assert re.fullmatch(r"callhome: the server lost its database 6\d s ago: the numbers are old\n", err)
        hub.stale(None)
        code, out, err = await outcome("--once", "--url", url)
        assert (code, len(out.splitlines()), err) == (0, 2, "")


async def test_gap_is_answered_by_asking_for_a_snapshot() -> None:
    """When a number is missing it asks once, and goes on with the snapshot it gets."""
    asked = []

    async def leaky(socket: ServerConnection) -> None:
        counters = Counters()
        counters.load(Snapshot(1, TODAY, NAMES, list(ROWS), []))
        stamp = Stamp("e1", 1, dt.datetime.now(dt.UTC))
        await socket.send(encode_snapshot(stamp, counters).decode())
        for seq in (3, 4):
            await socket.send(encode_alive("e1", seq, 0.0).decode())
        asked.append(await socket.recv())
        counters.load(Snapshot(4, TODAY, NAMES, [("es", "DE", *[7] * 6)], []))
        await socket.send(encode_snapshot(stamp._replace(seq=4), counters).decode())
        await socket.wait_closed()

    async with serve(leaky, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with watching("--url", url, "--product", "es") as process:
            await line_of(process)
            assert " es installs_today=7 " in await line_of(process)
    assert asked == [SNAPSHOT_REQUEST]


@pytest.mark.parametrize(
    ("args", "code", "expected"),
    [
        (["--url", "http://127.0.0.1:1"], 1, "nothing listens at http://127.0.0.1:1: start `callhome serve`"),
        (["--url", "ftp://x"], 2, "'ftp://x' is no address of a server"),
        (["--top", "0"], 2, "--top"),
    ],
)
async def test_wrong_address_says_what_to_do(args: list[str], code: int, expected: str) -> None:
    """A command that can't begin ends with a message and the documented code."""
    returned, out, err = await outcome(*args)
    assert (returned, out) == (code, "")
    assert expected in err
    assert "Traceback" not in err


async def test_unknown_product_says_how_to_register_it() -> None:
    """A product that isn't there is an error rather than an endless wait."""
    async with console() as (_, url):
        code, _, err = await outcome("--product", "ex", "--url", url)
    assert code == 2
    assert "callhome product add ex" in err


async def test_once_without_numbers_is_an_error() -> None:
    """A server that has read nothing yet has no present numbers."""
    async with console(None) as (_, url):
        code, out, err = await outcome("--once", "--url", url)
    assert (code, out) == (1, "")
    assert "try again in a moment" in err


@pytest.mark.parametrize("speech", ["<html>", '{"hello":1}'])
async def test_stranger_is_recognised(speech: str) -> None:
    """A websocket of something else is called that."""

    async def talk(socket: ServerConnection) -> None:
        await socket.send(speech)
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        code, _, err = await outcome("--url", url)
    assert (code, "not as callhome does" in err, "Traceback" in err) == (1, True, False)


async def test_without_a_token_it_says_how_to_get_one() -> None:
    """A console that lets no guests in is told apart from one that is away; a text that is no token is not sent."""
    async with console_over(map_guests=False) as running:
        url = f"http://127.0.0.1:{running.port}"
        code, _, err = await outcome("--url", url)
        assert (code, "callhome token add NAME --role viewer" in err) == (1, True)
    code, _, err = await outcome("--url", url, "--token", "my secret")
    assert (code, "is no token" in err, "my secret" in err) == (2, True, False)


async def test_other_server_is_recognised() -> None:
    """A web server without live counters is told apart by its answer."""
    async with console() as (_, url):
        code, _, err = await outcome("--url", f"{url}/elsewhere", "--token", TOKEN)
    assert code == 1
    assert "CALLHOME_CONSOLE_LISTEN" in err


async def test_terminal_shows_a_table() -> None:
    """On a terminal it is a table with totals, top countries and builds, safe against hostile names."""
    hostile = {"es": "[red]Ex\x1b[31mample\u202e", "db": "Database"}
    master, slave = pty.openpty()
    async with console(names=hostile) as (_, url):
        try:
            async with watching("--url", url, "--top", "1", stdout=slave) as process:
                os.close(slave)
                shown = await read_terminal(master, "connected to")
                process.send_signal(signal.SIGINT)
                async with asyncio.timeout(PATIENCE_S):
                    assert await process.wait() == 0
        finally:
            os.close(master)
    for expected in (
        "UTC day 2026-11-22",
        "[red]Ex�[31mample�",
        "1,401",
        "DE 1,400, and 1 more",
        "2.0 9, and 1 more",
    ):
        assert expected in shown
    assert "\x1b[31m" not in shown


async def read_terminal(master: int, last: str) -> str:
    """What a terminal shows, until ``last`` is among it."""
    shown = b""
    async with asyncio.timeout(PATIENCE_S):
        while last not in shown.decode(errors="replace"):
            shown += await asyncio.to_thread(os.read, master, 65_536)
    return shown.decode(errors="replace")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8081", "ws://127.0.0.1:8081/live"),
        ("https://callhome.example/console/", "wss://callhome.example/console/live"),
        ("ws://[::1]:1", "ws://[::1]:1/live"),
        ("localhost:8081", "ws://localhost:8081/live"),
        ("http://", None),
        ("http://x:port", None),
        ("file:///etc/passwd", None),
    ],
)
def test_websocket_is_below_the_console(url: str, expected: str | None) -> None:
    """The websocket's address follows from the console's; anything else is a usage error."""
    if expected is None:
        with pytest.raises(UsageError):
            websocket_url(url)
    else:
        assert websocket_url(url) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe 1.0", "Größe 1.0"),
        ("a\x1b]0;title\x07b", "a�]0;title�b"),
        ("a\nb\x00\x9b", "a�b��"),
        ("\u202egpj.exe", "�gpj.exe"),
        ("x" * 65, "x" * 63 + "…"),
    ],
)
def test_hostile_text_is_made_printable(text: str, expected: str) -> None:
    """No character that a terminal obeys is left, nor more than a column takes."""
    assert printable(text) == expected


def test_products_are_ranked_by_installs() -> None:
    """The most installs come first, equal ones by key; a choice leaves only its product."""
    state = LiveState()
    state.load(Snapshot(1, TODAY, {**NAMES, "aa": ""}, [*ROWS, ("aa", "US", *[2] * 6)], []))
    assert Choice(None, 5).products(state) == ["es", "aa", "db"]
    assert Choice("db", 5).products(state) == ["db"]
