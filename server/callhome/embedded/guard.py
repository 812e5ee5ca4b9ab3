"""The guard: a small process between us and PostgreSQL that outlives us, but not by much.

It holds the read end of a pipe whose only write end is in the process that started it. However that
process ends, kill -9 included, the kernel closes the pipe; the guard then stops whatever it runs
(initdb or the server), removes the folder if it was a throw-away one, and ends. An ordinary stop
takes the same way: close the pipe, wait for the guard. On Linux the kernel in turn stops the
server if the guard is killed. (A child that our process forks without exec has the pipe's end too:
the server then lives as long as the last of them.)

The talk: one line of JSON in (`Order`), one line of JSON out (`Ready`, or {"error": …}).
One thread, no asyncio, the standard library alone: what runs here must never fail.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from .cluster import DATABASE, Cluster
from .errors import EmbeddedPostgresError

# initdb takes 0.3 s here; a slow disk with fsync needs a minute.
INIT_S: Final = 90
# pg_ctl's own default; recovery after a crash is the long part of it.
START_S: Final = 60
# pg_ctl polls ten times a second, too coarse for a start of 50 ms.
READY_POLL_S: Final = 0.01
# Signals, each with the seconds it is given before the next; at the end of every ladder is SIGKILL.
StopLadder = tuple[tuple[signal.Signals, float], ...]
# A fast shutdown waits for its checkpoint only. Then SIGQUIT: the log replays it at the next start.
# PostgreSQL itself kills children that ignore SIGQUIT after 5 s.
SERVER_STOP: Final[StopLadder] = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 6.0))
STOP_S: Final = sum(wait_s for _, wait_s in SERVER_STOP)
# Of no use half-made: killed at once, with the processes it started.
INIT_STOP: Final[StopLadder] = ()
# What a start meets while the last processes of a killed server end, and init takes its time to collect them.
PASSING: Final = ("pre-existing shared memory block", 'postmaster.pid" already exists')
# Another program was quicker to take the port that was free a moment ago.
PORT_TAKEN: Final = "Address already in use"
# 10 s in all: an init was seen to take two seconds to collect an orphan, and more under load.
START_TRIES: Final = 50
RETRY_S: Final = 0.2
# rmtree's tries, RETRY_S apart.
REMOVE_TRIES: Final = 10
PR_SET_PDEATHSIG: Final = 1


class Order(NamedTuple):
    """What to serve: ``data_dir`` None means a throw-away folder in the first usable of ``temp_dirs``."""

    bin_dir: str
    major: int
    data_dir: str | None
    temp_dirs: list[str]
    settings: dict[str, str]
    durable: bool
    uid: int | None
    gid: int | None


class Ready(NamedTuple):
    """What is served, once it takes connections."""

    pid: int
    port: int
    password: str
    data_dir: str


class ParentGone(Exception):
    """The pipe is closed: stop everything."""


class Guard:
    """Runs one child at a time, and stops it when the pipe ``parent_fd`` closes."""

    def __init__(self, parent_fd: int) -> None:
        self._parent_fd = parent_fd
        self._wake, wakes = socket.socketpair()
        self._wake.setblocking(False)
        wakes.setblocking(False)
        self._wakes = wakes
        # A child's end writes a byte, so that `wait` sleeps on the pipe and the child at once.
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        # Only the pipe ends the guard, not what a terminal or a service manager sends to all. A handler,
        # since children would inherit an ignored signal.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda *_: None)
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def check_parent(self) -> None:
        """Raise ParentGone if the pipe is closed; the parent sends nothing after its order."""
        if select.select([self._parent_fd], [], [], 0)[0]:
            raise ParentGone

    @contextmanager
    def child(
        self, command: list[str], log: Path, stop: StopLadder, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command, its output appended to ``log``; on the way out it is stopped if it still runs."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                process_group=0,
                preexec_fn=partial(self._end_with_us, stop[0][0] if stop else signal.SIGKILL),
            )
        try:
            yield process
        finally:
            for number, wait_s in stop:
                if process.poll() is None:
                    process.send_signal(number)
                    self._ended(process, wait_s, watch=False)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _end_with_us(self, number: signal.Signals) -> None:
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, number)

    def wait(self, process: subprocess.Popen[bytes], timeout_s: float | None = None) -> bool:
        """Wait for the child's end; False if time is up first. Raises ParentGone."""
        return self._ended(process, timeout_s, watch=True)

    def wait_until(
        self, done: Callable[[], bool], process: subprocess.Popen[bytes], timeout_s: float
    ) -> bool:
        """Wait until ``done()``; False if the child ends or time is up first. Raises ParentGone."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and not self.wait(process, READY_POLL_S):
            if done():
                return True
        return False

    def _ended(self, process: subprocess.Popen[bytes], timeout_s: float | None, *, watch: bool) -> bool:
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        watched = [self._wake.fileno(), *([self._parent_fd] if watch else [])]
        while process.poll() is None:
            if watch:
                self.check_parent()
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return False
            select.select(watched, [], [], left_s)
            with suppress(BlockingIOError):
                self._wake.recv(4096)
        return True


def main() -> None:
    """Serve one order from standard input; the process ends with this."""
    os.umask(0o077)
    guard = Guard(sys.stdin.fileno())
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return
    order = Order(**json.loads(line))
    folder: Path | None = None
    try:
        _become(order.uid, order.gid)
        folder = Path(order.data_dir) if order.data_dir else _temporary_folder(order.temp_dirs)
        cluster = Cluster(folder, Path(order.bin_dir), order.major, durable=order.durable)
        # Checked before the first file is made: the folder may be somebody else's.
        cluster.check()
        cluster.lock(guard.check_parent)
        cluster.begin()
        if not cluster.data.exists():
            _initialise(guard, cluster)
        _serve(guard, cluster, order.settings)
    except ParentGone:
        pass
    except (EmbeddedPostgresError, OSError) as error:
        _answer({"error": str(error)})
    finally:
        if folder is not None and order.data_dir is None:
            _remove(folder)


def _initialise(guard: Guard, cluster: Cluster) -> None:
    """Make the data folder; a kill at any moment leaves it made or not, never half."""
    statements_fd, write_fd = os.pipe()
    os.write(write_fd, f"CREATE DATABASE {DATABASE}\n".encode())
    os.close(write_fd)
    commands = ((cluster.initdb_command(), subprocess.DEVNULL), (cluster.create_command(), statements_fd))
    for command, stdin in commands:
        with guard.child(command, cluster.log, INIT_STOP, stdin) as process:
            guard.wait(process, INIT_S)
        if process.returncode != 0:
            message = f"PostgreSQL can't make its data folder {cluster.data}:\n{cluster.log_tail()}"
            raise EmbeddedPostgresError(message)
    os.close(statements_fd)
    cluster.complete()


def _serve(guard: Guard, cluster: Cluster, settings: dict[str, str]) -> None:
    """Run the server until it or the parent ends; raises EmbeddedPostgresError if it doesn't get ready."""
    reason = ""
    passing = PASSING if "port" in settings else (*PASSING, PORT_TAKEN)
    for _ in range(START_TRIES):
        port = int(settings.get("port") or _free_port())
        log_bytes = cluster.log_size()
        with guard.child(cluster.server_command(port, settings), cluster.log, SERVER_STOP) as server:
            try:
                if guard.wait_until(partial(cluster.ready, server.pid), server, START_S):
                    _answer(Ready(server.pid, port, cluster.password(), str(cluster.folder))._asdict())
                    guard.wait(server)
                    return
            except ParentGone:
                cluster.mark_stopping()
                raise
        reason = cluster.log_tail(log_bytes)
        if not any(text in reason for text in passing):
            break
        guard.check_parent()
        time.sleep(RETRY_S)
    raise EmbeddedPostgresError(f"PostgreSQL doesn't start; its log {cluster.log} ends with:\n{reason}")


def _become(uid: int | None, gid: int | None) -> None:
    """Give up root for good; everything from here on is done as the server's user."""
    if uid is None or gid is None:
        return
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        message = f"can't become uid {uid} ({error}): start callhome as an ordinary user"
        raise EmbeddedPostgresError(message) from error


def _temporary_folder(candidates: list[str]) -> Path:
    for place in candidates:
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="callhome-pg-", dir=place))
    message = f"no temporary folder in any of {', '.join(candidates)}: set TMPDIR, or name a data folder"
    raise EmbeddedPostgresError(message)


def _remove(folder: Path) -> None:
    # A killed server's last processes may still be writing: they end by themselves within a second.
    for _ in range(REMOVE_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(RETRY_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answer(message: dict[str, object]) -> None:
    # A parent killed just now reads no answer; the closed pipe says the rest.
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
