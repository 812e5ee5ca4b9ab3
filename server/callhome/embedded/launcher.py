"""The embedded PostgreSQL, seen from the process that uses it: for the demo, the tests, and trying it out."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

import callhome

from .account import prepare_folder, server_account
from .binaries import find_installation
from .cluster import DATABASE, RELEASE_S, USER
from .errors import EmbeddedPostgresError
from .guard import INIT_S, START_S, STOP_S, Order, Ready

# The guard keeps its own deadlines (two commands of initialising); this one is for a guard that hangs.
ANSWER_S: Final = RELEASE_S + 2 * INIT_S + START_S + STOP_S
# The guard stops the server within STOP_S and removes a throw-away folder within seconds.
GUARD_STOP_S: Final = STOP_S + 10
# The guard needs the standard library and this package, and no site-packages: it starts in 50 ms.
BOOT: Final = "import sys; sys.path.append(sys.argv[1]); from callhome.embedded.guard import main; main()"
PACKAGE_ROOT: Final = Path(callhome.__file__).resolve().parents[1]
# Not more of our environment: it may hold secrets, and PG* variables would change what is started.
# macOS: a server without a locale "becomes multithreaded during startup" and refuses.
GUARD_ENVIRONMENT: Final[Mapping[str, str]] = {"LC_ALL": "C", "PATH": os.defpath}
KEPT_VARIABLES: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class EmbeddedPostgres:
    """A PostgreSQL server of our own on 127.0.0.1, which ends with this process however that ends.

    ``data_dir``: a folder to keep the data in, made if missing; None: a throw-away one, removed at the end.
    ``settings``: PostgreSQL settings by name, over those in `cluster.SETTINGS`; ``port`` fixes the port.
    ``durable``: False switches fsync off, for data nobody needs after a power cut.

    An async context manager; `start` and `stop` are the same for code without an event loop.
    One object is one server: it can't be started twice.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        durable: bool = True,
    ) -> None:
        self._wanted_dir = None if data_dir is None else Path(data_dir).absolute()
        self._settings = dict(settings)
        self._durable = durable
        self._lock = threading.Lock()
        self._guard: subprocess.Popen[bytes] | None = None
        self._ready: Ready | None = None
        self._stopped = False

    @property
    def dsn(self) -> str:
        """The address with its password, ``postgresql://callhome:…@127.0.0.1:port/callhome``."""
        return f"postgresql://{USER}:{self._running.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """The process id of the server (the postmaster)."""
        return self._running.pid

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._running.port

    @property
    def data_dir(self) -> Path:
        """The folder with everything of this server, ``postgres.log`` included."""
        return Path(self._running.data_dir)

    @property
    def _running(self) -> Ready:
        if self._ready is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL isn't started: use `async with` or start()")
        return self._ready

    def start(self) -> None:
        """Start the server and wait until it takes connections: 0.1 s, or 0.6 s for a new folder.

        Raises EmbeddedPostgresError, with the end of the server's log if it got that far. Blocks; `stop`
        from another thread makes it raise soon.
        """
        for name, value in self._settings.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
                raise EmbeddedPostgresError(f"{name!r} is no name of a PostgreSQL setting")
            if name == "port" and not value.isdecimal():
                raise EmbeddedPostgresError(f"the setting port is {value!r}, no TCP port")
        account = server_account(self._wanted_dir)
        installation = find_installation(account)
        if self._wanted_dir is not None:
            prepare_folder(self._wanted_dir, account)
        order = Order(
            bin_dir=str(installation.bin_dir),
            major=installation.major,
            data_dir=None if self._wanted_dir is None else str(self._wanted_dir),
            temp_dirs=[tempfile.gettempdir(), "/tmp", "/var/tmp"],
            settings=self._settings,
            durable=self._durable,
            uid=account and account.uid,
            gid=account and account.gid,
        )
        with self._lock:
            if self._stopped or self._guard is not None:
                raise EmbeddedPostgresError("an EmbeddedPostgres starts once: make a new one")
            self._guard = guard = _spawn_guard()
        try:
            self._ready = _ask(guard, order)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, remove a throw-away folder, and wait for both; again is harmless.

        Takes 0.1 s as a rule, 30 s at most: then raises EmbeddedPostgresError.
        """
        with self._lock:
            self._stopped = True
            guard = self._guard
            if guard is None or guard.stdin is None:
                return
            guard.stdin.close()
        try:
            guard.wait(GUARD_STOP_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
            which = f"process {self._ready.pid}" if self._ready else "not ready yet"
            raise EmbeddedPostgresError(f"PostgreSQL ({which}) didn't stop in time: kill it") from None

    async def __aenter__(self) -> Self:
        """Start it. Cancelled, nothing stays behind: it is stopped before the cancellation goes on."""
        try:
            await asyncio.to_thread(self.start)
        except asyncio.CancelledError:
            await _to_the_end(self.stop)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it. A cancellation waits until that is done (30 s at most)."""
        await _to_the_end(self.stop)


async def _to_the_end(function: Callable[[], None]) -> None:
    """Run a blocking function in a thread; cancellations are raised only when it is through."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    running.result()
    if cancelled is not None:
        raise cancelled


def _spawn_guard() -> subprocess.Popen[bytes]:
    """Start the guard in a session of its own, out of reach of the terminal's Ctrl-C."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BOOT, str(PACKAGE_ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        cwd="/",
        env={**GUARD_ENVIRONMENT, **kept},
        start_new_session=True,
    )


def _ask(guard: subprocess.Popen[bytes], order: Order) -> Ready:
    """Send the order and wait for the answer, with a deadline; nothing is said after that."""
    assert guard.stdin is not None
    assert guard.stdout is not None
    said = b""
    deadline_s = time.monotonic() + ANSWER_S
    with guard.stdout as answers:
        try:
            guard.stdin.write(json.dumps(order._asdict()).encode() + b"\n")
            while not said.endswith(b"}\n"):
                if not select.select([answers], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                    raise EmbeddedPostgresError(f"PostgreSQL's guard gave no answer within {ANSWER_S:.0f} s")
                chunk = answers.read(65536)
                if not chunk:
                    break
                said += chunk
            answer = json.loads(said)
        except (OSError, ValueError) as error:
            words = said.decode(errors="replace").strip() or "nothing"
            raise EmbeddedPostgresError(f"PostgreSQL's guard was stopped; it said: {words}") from error
    if "error" in answer:
        raise EmbeddedPostgresError(answer["error"])
    return Ready(**answer)
