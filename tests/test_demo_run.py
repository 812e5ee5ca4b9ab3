"""`callhome demo` as a user runs it: the map's address, exact counts, and nothing that stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from callhome.demo.caller import Caller
from callhome.demo.fleet import OLD_FIELDS, old_query
from callhome.demo.story import OLD_VERSION, installs
from callhome.demo.world import countries
from callhome.ingest.legacy import decode_legacy

PINGS: Final = 3_000
SMALL: Final = (
    *("--days", "3", "--pings", str(PINGS), "--rate", "100"),
    *("--ingest-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0"),
)
# The start of PostgreSQL and server, and a few thousand pings, on a machine that does other things too.
PATIENCE_S: Final = 90
ENVIRON: Final = {**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


class Demo:
    """A running demo, its lines so far, and its processes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def until(self, said: str) -> str:
        """Read up to the line with that; return the line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if said in line:
                return line
        raise AssertionError("".join(self.lines))

    def family(self) -> list[psutil.Process]:
        """All processes that it has started, PostgreSQL's and the fleet."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def caught_up(self) -> dict[str, Any]:
        """The live counters, as soon as they have all of the past: they follow the count by a message."""
        deadline_s = time.monotonic() + PATIENCE_S
        while past(said := self.live()) != PINGS:
            assert time.monotonic() < deadline_s, past(said)
            time.sleep(0.1)
        return said

    def live(self) -> dict[str, Any]:
        """The live counters."""
        (line,) = [line for line in self.lines if "The map:" in line]
        address = line.split()[-1]
        console = address.partition("/demo/")[0]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address, timeout=PATIENCE_S) as page:
            assert page.url == f"{console}/map"
        with browser.open(f"{console}/api/v1/live", timeout=PATIENCE_S) as answer:
            said: dict[str, Any] = json.loads(answer.read())
        return said


@contextmanager
def demo(*words: str) -> Iterator[Demo]:
    command = [sys.executable, "-m", "callhome", "demo", *SMALL, *words]
    process = subprocess.Popen(
        command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Demo(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def past(said: dict[str, Any]) -> int:
    """Launches of the days before today."""
    return sum(row[7] - row[4] for row in said["countries"])


def ended(family: list[psutil.Process]) -> bool:
    """Whether all of them end soon."""
    return not psutil.wait_procs(family, timeout=30)[1]


def test_a_demo_from_its_start_to_ctrl_c() -> None:
    """The address comes first, the past is counted to the last ping, old copies count, Ctrl-C leaves nothing."""
    with demo() as run:
        run.until("Live: 100 pings a second")
        text = "".join(run.lines)
        assert text.index("/map") < text.index("pings counted") < text.index("pings of the past are counted")
        said = run.caught_up()
        assert [product["key"] for product in said["products"]] == ["field", "server", "studio"]
        assert len({row[1] for row in said["countries"]} - {"ZZ"}) > 50
        deadline_s = time.monotonic() + PATIENCE_S
        while not any(row[1] == OLD_VERSION for row in run.live()["builds"]):
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        family = run.family()
        assert len(family) > 3
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(PATIENCE_S) == 0
        assert ended(family)
        assert "refused" not in "".join(run.lines)


def test_nothing_outlives_a_demo_that_is_killed() -> None:
    """After kill -9 the fleet and PostgreSQL end by themselves."""
    with demo() as run:
        run.until("/map")
        run.until("counted")
        family = run.family()
        run.process.kill()
        run.process.wait()
        assert ended(family)


def test_a_kept_demo_goes_on(open_tmp_path: Path) -> None:
    """Started again with its folder, it has the past already, and sends none of it twice."""
    for sent in (True, False):
        with demo("--keep", str(open_tmp_path / "demo")) as run:
            run.until("Live:")
            assert ("pings of the past" in "".join(run.lines)) == sent
            run.caught_up()
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("words", [("--days", "91"), ("--rate", "0"), ("--pings", "many")])
def test_options_out_of_range_are_named(words: tuple[str, str]) -> None:
    """What can't be is refused with the option's name, and nothing starts."""
    command = [sys.executable, "-m", "callhome", "demo", *words]
    done = subprocess.run(
        command, env=ENVIRON, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 2
    assert words[0] in done.stderr


def test_old_copies_say_what_they_mean_in_their_own_words() -> None:
    """Their query, by the names of the settings, is a ping of the same install."""
    install = next(
        install for install in installs(2_000, 3, countries(), 1) if install.is_old and install.license
    )
    ping = decode_legacy(old_query(install).encode("latin-1"), b"", OLD_FIELDS)
    assert (ping.product, ping.version, ping.install, ping.users) == (
        "server", OLD_VERSION, install.id, install.users,
    )  # fmt: skip
    assert install.license
    assert ping.license == install.license.key


async def test_a_caller_sends_again_until_it_is_answered() -> None:
    """A connection that is cut and a 503 are followed by the same request; the next answer is returned."""
    import asyncio

    seen: list[bytes] = []
    parted = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            seen.append(head + await reader.readexactly(4))
            if len(seen) == 1:
                break
            status = b"503 Busy\r\nRetry-After: 0" if len(seen) == 2 else b"204 No Content"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        parted.release()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Caller("127.0.0.1", server.sockets[0].getsockname()[1]) as caller:
        answer = await caller.post("/v1/ping", b"ping", "application/json", "192.0.2.7")
    for _ in range(2):
        await parted.acquire()
    assert answer.status == 204
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert b"X-Forwarded-For: 192.0.2.7\r\n" in seen[0]
