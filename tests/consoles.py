"""A console on a free port of this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callhome.console.health import readiness
from callhome.console.server import ConsoleConfig, ConsoleServer
from callhome.console.unsubscribe import UnsubscribeRoutes
from callhome.live.counters import Counters
from callhome.live.push import Hub


def console(hub: Hub | None = None, metrics: Callable[[], bytes] = bytes, **given: Any) -> ConsoleServer:
    """A console over ``hub``, or an empty one; ``given`` changes its configuration."""
    usual = {"host": "127.0.0.1", "port": 0, "hosts": (), "connections": 100, "close_s": 3.0}
    unsubscribe = given.pop("unsubscribe", None) or UnsubscribeRoutes(lambda token: None, _nobody)
    hub = hub or Hub(Counters(), viewers_max=100)

    async def told() -> bytes:
        return metrics()

    return ConsoleServer(ConsoleConfig(**{**usual, **given}), hub, told, unsubscribe, (readiness(list),))


async def _nobody(_report: int, _address: str) -> bool:
    return False
