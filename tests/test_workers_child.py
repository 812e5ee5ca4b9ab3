"""One worker's life, with stand-ins for the worker's program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from callhome.workers import child
from callhome.workers.child import Life, live
from callhome.workers.orders import Order, Place

ORDER = Order(Place(1, 2, Path("/nowhere")), {})
READ = "import os, signal, sys, time; os.read(0, 4096); say = lambda line: os.write(0, line); "
READY = "say(b'{\"ready\": true}\\n'); "


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has each worker run these lines of Python, which have read the order and can ``say`` something."""

    def use(code: str) -> None:
        monkeypatch.setattr(child, "command", lambda *_: [sys.executable, "-S", "-c", READ + code])

    return use


async def lived(stop: asyncio.Event | None = None, stop_s: float = 30.0) -> Life:
    """Return the life of a worker that is stopped as soon as it is ready, if there is a ``stop``."""
    return await live(ORDER, stop or asyncio.Event(), stop_s, stop.set if stop else lambda: None)


@pytest.mark.parametrize(
    ("code", "end", "was_ready", "error"),
    [
        ("sys.exit(0)", "ended with status 0", False, None),
        (READY + "sys.exit(3)", "ended with status 3", True, None),
        (READY + "os.kill(os.getpid(), 9)", "was killed by SIGKILL", True, None),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 3)", "was killed by signal ", False, None),
        ('say(b\'{"error": "no, \\\\u00e9", "exit_code": 2}\\n\')', "ended with status 0", False, "no, é"),
        ("say(b'{\"rea')", "ended with status 0", False, None),
        ("say(b'nonsense\\n')", "ended with status 0", False, None),
    ],
)
async def test_an_end_is_told(
    code: str, end: str, was_ready: bool, error: str | None, program: Callable[[str], None]
) -> None:
    """How it ended is told in words, whether it was ready before, and what it said that it can't."""
    program(code)
    life = await lived()
    assert end in life.end
    assert (life.was_ready, life.error) == (was_ready, error)
    assert life.exit_code == (2 if error else 1)


async def test_it_is_asked_to_stop(program: Callable[[str], None]) -> None:
    """To stop it gets SIGTERM, and time for what it has to do."""
    program("signal.signal(15, lambda *_: sys.exit(5)); " + READY + "time.sleep(600)")
    life = await lived(asyncio.Event())
    assert "ended with status 5" in life.end
    assert life.ran_s > 0


async def test_who_does_not_stop_is_killed(
    program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that takes no notice of SIGTERM is killed when its time is up, and the log says so."""
    monkeypatch.setattr(child, "GRACE_S", 0.1)
    program("signal.signal(15, signal.SIG_IGN); " + READY + "time.sleep(600)")
    life = await lived(asyncio.Event(), stop_s=0.1)
    assert "was killed by SIGKILL" in life.end
    assert "did not stop within 0.2 s: killed" in caplog.text


async def test_one_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be made, that is the end of its life."""
    monkeypatch.setattr(child, "command", lambda *_: ["/nowhere/python"])
    life = await lived()
    assert life.end == "could not be started: No such file or directory"
    assert not life.was_ready


def is_there(pid: str) -> bool:
    """Whether there is such a process."""
    return Path("/proc", pid).exists()


async def test_a_worker_sees_the_end_of_its_supervisor(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    """When the other end of its line is gone, without a word, it reads the end of it."""
    said = f"read = len(os.read(0, 9)); open({str(tmp_path / 'gone')!r}, 'w').write(f'{{read}} {{os.getpid()}}.')"
    program(READY + said)
    ready = asyncio.Event()
    living = asyncio.create_task(live(ORDER, asyncio.Event(), 30.0, ready.set))
    await ready.wait()
    assert not (tmp_path / "gone").exists()
    living.cancel()
    await asyncio.wait([living])
    async with asyncio.timeout(30):
        while not (tmp_path / "gone").exists() or not (tmp_path / "gone").read_text().endswith("."):
            await asyncio.sleep(0.02)
        read, pid = (tmp_path / "gone").read_text().rstrip(".").split()
        while is_there(pid):  # until then its transport is open, which a collector would tell of
            await asyncio.sleep(0.02)
    assert read == "0"
