"""However the process that started a PostgreSQL ends, nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

# Killed processes and folders go within tenths of a second; a loaded machine is slower.
GONE_S = 20

# A program such as ours; its other child must not keep the guard's pipe open.
PROGRAM = """
import asyncio, pathlib, subprocess, sys
from callhome.embedded.launcher import EmbeddedPostgres

async def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    async with EmbeddedPostgres(folder, durable=False) as server:
        print(server.pid, server.data_dir, subprocess.Popen(["sleep", "60"]).pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


class Program:
    """The program above, as a process in a group of its own; its temporary files lie in ``place``."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, "TMPDIR": str(place), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.started: list[psutil.Process] = []
        self.server = self.sleeper = self.guard = 0
        self.folder = place

    def wait_until_it_serves(self) -> None:
        """Read what the program says once its server is there, and note its processes."""
        assert self.process.stdout is not None
        server, folder, sleeper = self.process.stdout.readline().split()
        self.server, self.folder, self.sleeper = int(server), Path(folder), int(sleeper)
        self.guard = psutil.Process(self.server).ppid()
        self.note_processes()

    def note_processes(self) -> None:
        """Remember what runs below the program now."""
        self.started = psutil.Process(self.process.pid).children(recursive=True)

    def left(self) -> list[psutil.Process]:
        """Return those of the noted processes that still run, the sleeper aside."""
        return [process for process in self.started if process.pid != self.sleeper and not _ended(process)]

    def end(self) -> None:
        """Kill whatever a failed test leaves."""
        for process in [
            psutil.Process(self.process.pid) if self.process.poll() is None else None,
            *self.started,
        ]:
            with suppress(psutil.NoSuchProcess):
                if process is not None:
                    process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _ended(process: psutil.Process) -> bool:
    try:
        # In a container without an init nobody collects an orphan's exit status.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def running(place: Path, *arguments: str) -> Iterator[Program]:
    """Run the program; nothing of it is left after the test."""
    program = Program(place, *arguments)
    try:
        yield program
    finally:
        program.end()


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition holds."""
    deadline_s = time.monotonic() + GONE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {GONE_S} s: {what}"
        time.sleep(0.01)


def assert_all_gone(program: Program) -> None:
    """Wait until no process of the program's PostgreSQL and no throw-away folder is left."""
    wait_for(lambda: not program.left(), f"the end of {program.started}")
    wait_for(lambda: not list(program.place.glob("callhome-pg-*")), "the throw-away folder's end")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_its_parent(open_tmp_path: Path, number: signal.Signals) -> None:
    """A killed or terminated program leaves no process and no throw-away folder."""
    with running(open_tmp_path) as program:
        program.wait_until_it_serves()
        assert {program.server, program.guard} <= {process.pid for process in program.started}
        assert program.folder.parent == open_tmp_path
        program.process.send_signal(number)
        assert_all_gone(program)


def test_ctrl_c_stops_in_order(open_tmp_path: Path) -> None:
    """Ctrl-C, which goes to the whole group, ends the server by a fast shutdown and keeps a kept folder."""
    folder = open_tmp_path / "data"
    with running(open_tmp_path, str(folder)) as program:
        program.wait_until_it_serves()
        assert os.getpgid(program.guard) != program.process.pid != os.getpgid(program.server)
        os.killpg(program.process.pid, signal.SIGINT)
        assert_all_gone(program)
    log = (folder / "postgres.log").read_text()
    assert "received fast shutdown request" in log
    assert "database system is shut down" in log


def test_a_killed_program_can_start_again(open_tmp_path: Path) -> None:
    """A start right after kill -9 waits for the old server's end instead of failing."""
    folder = str(open_tmp_path / "data")
    with running(open_tmp_path, folder) as first, running(open_tmp_path) as other:
        first.wait_until_it_serves()
        other.wait_until_it_serves()
        first.process.kill()
        with running(open_tmp_path, folder) as second:
            second.wait_until_it_serves()
            wait_for(lambda: not first.left(), "the first server's end")
            assert other.server in {process.pid for process in other.left()}


@pytest.mark.parametrize(
    "pattern", ["callhome-pg-*", "callhome-pg-*/cluster.new", "callhome-pg-*/cluster.new/base/1"]
)
def test_parent_killed_while_initialising(open_tmp_path: Path, pattern: str) -> None:
    """A program killed while initdb runs leaves neither initdb nor a half-made folder."""
    with running(open_tmp_path) as program:
        wait_for(lambda: list(open_tmp_path.glob(pattern)), pattern)
        program.note_processes()
        program.process.kill()
        assert len(program.started) >= 1
        assert_all_gone(program)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_server_does_not_outlive_a_killed_guard(open_tmp_path: Path) -> None:
    """If the guard itself is killed, the kernel stops the server."""
    with running(open_tmp_path, str(open_tmp_path / "data")) as program:
        program.wait_until_it_serves()
        os.kill(program.guard, signal.SIGKILL)
        assert_all_gone(program)


def test_guard_heeds_only_its_pipe(open_tmp_path: Path) -> None:
    """Signals that a terminal or a service manager sends to everybody don't end the guard."""
    with running(open_tmp_path) as program:
        program.wait_until_it_serves()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(program.guard, number)
        # Long enough for a signal to arrive.
        time.sleep(0.1)
        assert program.guard in {process.pid for process in program.left()}
        program.process.kill()
        assert_all_gone(program)
