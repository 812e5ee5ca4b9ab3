"""Several replicas of our own on one database, and before them a balancer that follows their readiness."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final

from .machine import Layout
from .nginx import Balancer
from .site import Served, serving

# What Kubernetes asks at our probe's period, and as often as its proxies hear of it.
_LOOK_S: Final = 1.0
_ANSWER_S: Final = 1.0


class Replica:
    """A ``callhome serve`` with a port and a spool of its own, which can be stopped and started again. Blocks."""

    def __init__(self, dsn: str, layout: Layout, spool: str, **settings: str) -> None:
        self.place = f"127.0.0.1:{_free_port()}"
        self._dsn, self._layout = dsn, layout
        self._settings = {**settings, "ingest_listen": self.place, "spool_dir": spool}
        self._stack = ExitStack()
        self.served: Served | None = None

    @property
    def console(self) -> str:
        """The URL of its console, while it runs."""
        assert self.served is not None
        return self.served.console

    def start(self) -> None:
        """Start it, and wait until it is ready. Raises `CallhomeError`."""
        self.served = self._stack.enter_context(serving(self._dsn, self._layout, **self._settings))

    def stop(self) -> None:
        """Stop it with SIGTERM, and wait for its end. Idempotent."""
        self.served = None
        self._stack.close()

    def is_ready(self) -> bool:
        """What its ``/readyz`` says, as a probe sees it."""
        with suppress(OSError), urllib.request.urlopen(f"http://{self.place}/readyz", timeout=_ANSWER_S):
            return True
        return False


@contextmanager
def several(dsn: str, layout: Layout, count: int, **settings: str) -> Iterator[list[Replica]]:
    """So many replicas, started; ``settings`` as for `serving`. Raises `CallhomeError`."""
    with ExitStack() as stack:
        replicas = []
        for _ in range(count):
            spool = stack.enter_context(tempfile.TemporaryDirectory(prefix="callhome-bench-spool-"))
            replica = Replica(dsn, layout, spool, **settings)
            stack.callback(replica.stop)
            replica.start()
            replicas.append(replica)
        yield replicas


@asynccontextmanager
async def followed(balancer: Balancer, replicas: Sequence[Replica]) -> AsyncIterator[None]:
    """While entered, the balancer sends nothing to who is not ready, as Kubernetes has it. Cancelling ends that."""
    task = asyncio.create_task(_follow(balancer, replicas))
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


async def _follow(balancer: Balancer, replicas: Sequence[Replica]) -> None:
    used = [replica.place for replica in replicas]
    while True:
        found = await asyncio.gather(*(asyncio.to_thread(replica.is_ready) for replica in replicas))
        ready = [replica.place for replica, is_ready in zip(replicas, found, strict=True) if is_ready]
        if ready and ready != used:
            balancer.use(ready)
            used = ready
        await asyncio.sleep(_LOOK_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
