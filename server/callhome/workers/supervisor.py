"""The supervisor: it holds the ports, starts the workers, starts again what dies, and stops all in order.

It takes no ping itself and knows nothing of the database, so that hardly anything can end it. If it ends all the same,
kill -9 included, the workers see the end of their line to it and stop as on SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..errors import CallhomeError, UsageError
from ..settings import DatabaseUrl, Listen, Settings
from ..spool.files import RealFiles
from .child import Life, live
from .exposition import telling
from .leftovers import Leftovers
from .merge import restarts
from .orders import Order, Place
from .ports import held

logger = logging.getLogger(__name__)

# So often may a worker die without a word before it was ever ready; then the start has failed.
START_TRIES: Final = 3
# The pause before a worker that died is started again: the first, doubled with each quick death, to the longest; each
# between half of it and the whole, so that workers which died together don't start together.
_PAUSE_S: Final = (0.2, 30.0)
# Who ran for so long died of something new.
_STEADY_S: Final = 30.0
# A socket's path has 108 bytes; a name in the folder takes ten.
_PATH_BYTES: Final = 90


class StartFailed(CallhomeError):
    """A worker can't start; ``exit_code`` is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Plan:
    """What the workers are to serve: the ``settings``, and as they were ``given`` by name.

    ``config`` is the settings file that the command line named.
    """

    settings: Settings
    given: Mapping[str, Any]
    config: Path | None = None

    def on(self, url: DatabaseUrl) -> Plan:
        """Return the same on another database."""
        settings = self.settings.model_copy(update={"database_url": url})
        return Plan(settings, {**self.given, "database_url": url.dsn}, self.config)


async def supervise(plan: Plan, *, on_ready: Callable[[Listen, Listen], None]) -> None:
    """Serve with several workers until SIGTERM or SIGINT, or cancellation, then stop them in order.

    ``on_ready`` is told where pings and the console are, once all workers are ready. Raises `StartFailed`, and
    ``OSError`` where it can't listen.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with (
        held(plan.settings.ingest_listen) as ingest,
        held(plan.settings.console_listen) as console,
        _private_folder() as folder,
    ):
        places = {"ingest_listen": str(ingest), "console_listen": str(console)}
        supervisor = Supervisor(plan, places, folder, stop)
        async with (
            telling(folder / "0.sock", lambda: restarts(supervisor.restarts)),
            Leftovers(plan.settings, plan.config) as leftovers,
        ):

            def ready() -> None:
                on_ready(ingest, console)
                leftovers.begin()

            await supervisor.run(ready)


class Supervisor:
    """Keeps the workers of a plan alive until ``stop`` is set; ``restarts`` counts by number how often each died."""

    def __init__(self, plan: Plan, places: Mapping[str, str], folder: Path, stop: asyncio.Event) -> None:
        self._plan = plan
        self._given = {**plan.given, **places}
        self._folder = folder
        self._stop = stop
        self._ready: set[int] = set()
        self._is_started = False
        self._failure: StartFailed | None = None
        self.restarts = dict.fromkeys(range(1, plan.settings.workers + 1), 0)

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Run the workers until they are to stop. Raises `StartFailed`. Cancelling it stops them in order."""
        workers = len(self.restarts)
        if self._plan.settings.spool_dir is not None:
            _make_folder(self._plan.settings.spool_dir)
        keepers = [asyncio.create_task(self._keep(number, on_ready)) for number in self.restarts]
        try:
            await asyncio.wait(keepers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stop.set()
            await asyncio.wait(keepers)
        for keeper in keepers:
            keeper.result()
        if self._failure is not None:
            raise self._failure
        logger.info("all %d workers have stopped", workers)

    async def _keep(self, number: int, on_ready: Callable[[], None]) -> None:
        """Have one worker run, and run again, until all are to stop."""
        quick_deaths = 0
        while not self._stop.is_set():
            life = await live(
                self._order(number),
                self._stop,
                self._plan.settings.whole_stop_s,
                partial(self._is_ready, number, on_ready),
            )
            if self._stop.is_set():
                return
            quick_deaths = 0 if life.was_ready and life.ran_s >= _STEADY_S else quick_deaths + 1
            if not self._is_started and (life.error or quick_deaths >= START_TRIES):
                self._fail(number, life)
                return
            self.restarts[number] += 1
            pause_s = _pause_s(quick_deaths)
            logger.warning("worker %d %s; started again in %.1f s", number, _told(life), pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()

    def _order(self, number: int) -> Order:
        given = dict(self._given)
        spool_dir = self._plan.settings.spool_dir
        if spool_dir is not None:
            given["spool_dir"] = str(spool_dir / f"worker-{number}")
        return Order(Place(number, len(self.restarts), self._folder), given)

    def _is_ready(self, number: int, on_ready: Callable[[], None]) -> None:
        self._ready.add(number)
        if not self._is_started and len(self._ready) == len(self.restarts):
            self._is_started = True
            on_ready()

    def _fail(self, number: int, life: Life) -> None:
        """Give the start up, for the first reason that there is."""
        if self._failure is None:
            words = life.error or f"it was so {START_TRIES} times before it was ready: its log is above"
            self._failure = StartFailed(
                words if life.error else f"worker {number} {life.end}; {words}", life.exit_code
            )
        self._stop.set()


def _told(life: Life) -> str:
    return f"{life.end}: {life.error}" if life.error else life.end


def _pause_s(quick_deaths: int) -> float:
    shortest_s, longest_s = _PAUSE_S
    # Bounded before it overflows.
    return random.uniform(0.5, 1.0) * min(longest_s, shortest_s * 2.0 ** min(quick_deaths, 20))


def _make_folder(folder: Path) -> None:
    try:
        RealFiles().make_folder(folder)
    except OSError as error:
        raise UsageError(f"CALLHOME_SPOOL_DIR={folder} can't be made: {error.strerror}") from None


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone at the end; the workers remove it if the supervisor is killed."""
    base = tempfile.gettempdir()
    if len(base) > _PATH_BYTES - len("/callhome-workers-12345678"):
        base = "/tmp"
    with tempfile.TemporaryDirectory(
        prefix="callhome-workers-", dir=base, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)
