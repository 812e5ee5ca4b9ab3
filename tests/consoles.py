"""A console on a free port of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from callhome.access import keys
from callhome.access.desk import Desk
from callhome.access.gate import Gate
from callhome.access.model import Kind, Lifetimes, Principal, Role
from callhome.access.origins import Origins
from callhome.console.cookies import Cookies
from callhome.console.health import readiness
from callhome.console.server import ConsoleConfig, ConsoleServer, Reception
from callhome.console.unsubscribe import UnsubscribeRoutes
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.store.line import Line
from signed import TOKEN

LIFETIMES = Lifetimes(3_600.0, 86_400.0, 86_400.0, 864_000.0)


def reception(
    dsn: str = "postgresql://127.0.0.1:1/none", people: Mapping[str, Role] | None = None
) -> Reception:
    """A reception that knows these tokens, or that of tests alone; signing in needs a database."""
    known = {keys.digest(token): role for token, role in (people or {TOKEN: Role.VIEWER}).items()}

    async def find(digests: Sequence[bytes]) -> Mapping[bytes, Principal]:
        return {
            digest: Principal(Kind.TOKEN, "tests", known[digest], digest)
            for digest in digests
            if digest in known
        }

    gate = Gate(find)
    return Reception(gate, Desk(Line(dsn, "tests"), gate, LIFETIMES), Cookies(Origins()))


def console(hub: Hub | None = None, metrics: Callable[[], bytes] = bytes, **given: Any) -> ConsoleServer:
    """A console over ``hub``, or an empty one, whose map guests may see; ``given`` changes its configuration."""
    usual = {
        "host": "127.0.0.1",
        "port": 0,
        "hosts": (),
        "connections": 100,
        "close_s": 3.0,
        "map_guests": True,
    }
    people, routes = given.pop("people", None), given.pop("routes", ())
    unsubscribe = given.pop("unsubscribe", None) or UnsubscribeRoutes(lambda token: None, _nobody)
    hub = hub or Hub(Counters(), viewers_max=100)

    async def told() -> bytes:
        return metrics()

    config = ConsoleConfig(**{**usual, **given})
    return ConsoleServer(config, hub, told, reception(people=people), unsubscribe, (readiness(list), *routes))


async def _nobody(_report: int, _address: str) -> bool:
    return False
