"""``callhome watch``: the live counters in a terminal, over the same websocket as the map's."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final
from urllib.parse import urlsplit

import click
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ..errors import CallhomeError, UsageError
from ..live.wire import SNAPSHOT_REQUEST, LiveState, Message, decode
from .watch_view import Choice, Lines, Table, View

# The server says something every 10 s at least: after two messages are missing, the line is dead.
SILENCE_S: Final = 25.0
# A listener that takes connections but doesn't answer within this is not working.
OPEN_S: Final = 10.0
# A snapshot takes 50 bytes a row: room for 300,000 rows, not for whatever a stranger may send.
MESSAGE_BYTES: Final = 16 * 1024 * 1024
# Jitter, so that the viewers of a restarted server don't come back in step.
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_BY_STATUS: Final = {
    401: "wants a token: make one with `callhome token add NAME --role viewer`, and give it in CALLHOME_TOKEN",
    403: "refuses this viewer: its token's role is none of those who may, or something on the way adds a header "
    "Origin of another host",
    421: "doesn't know itself by that name: name it in its CALLHOME_CONSOLE_HOSTS, or use its address",
    404: "has no live counters: is --url the address of the console listener (CALLHOME_CONSOLE_LISTEN)?",
    503: "takes no viewer now: it has too many, or is stopping; try again in a moment",
}


@click.command()
@click.option("--url", default="http://127.0.0.1:8081", show_default=True, help="The console listener.")
@click.option(
    "--token",
    envvar="CALLHOME_TOKEN",
    metavar="TOKEN",
    help="What `callhome token add` printed; other users of this machine can see an option. [CALLHOME_TOKEN]",
)
@click.option("--product", metavar="KEY", help="Only this product. [default: all]")
@click.option(
    "--top",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="On a terminal: how many countries and builds of each product.",
)
@click.option("--once", is_flag=True, help="Show the present numbers and end.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def watch(url: str, token: str | None, product: str | None, top: int, once: bool, as_json: bool) -> None:
    """Follow the live counters, until Ctrl-C.

    On a terminal a table that changes in place; elsewhere a line for each change of a product: the time,
    its key and its totals. The state of the connection goes to stderr. A lost connection is made anew.

    \b
    Examples:
      callhome watch                              the server on this machine
      callhome watch --product es --json | jq .   one product, for a program
      callhome watch --once                       the numbers of this moment
    """
    choice = Choice(product, top)
    place = Place(url, websocket_url(url), checked(token))
    with suppress(KeyboardInterrupt):
        if as_json or not sys.stdout.isatty():
            asyncio.run(_Follower(place, Lines(choice, as_json=as_json), product, once).run())
            return
        from rich.live import Live

        with Live(auto_refresh=False) as live:
            asyncio.run(_Follower(place, Table(choice, live), product, once).run())


def websocket_url(url: str) -> str:
    """The address of the websocket below the console's ``url``; raises `UsageError`."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        is_address = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise UsageError(f"{url!r} is no address of a server: expected one such as http://127.0.0.1:8081")
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/live"


def checked(token: str | None) -> str | None:
    """Return the token, None without one; raises `UsageError` where it can't be one."""
    from ..access.keys import token_digest

    if token and token_digest(token.strip()) is None:
        raise UsageError(
            "CALLHOME_TOKEN is no token (not shown): `callhome token add` prints one, ch_ and 43 more"
        )
    return token.strip() if token else None


@dataclass(frozen=True, slots=True)
class Place:
    """What is followed: the console's ``url``, its websocket's ``address``, and the ``token`` that is shown to it."""

    url: str
    address: str
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the handshake."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _Follower:
    """Keeps a connection and a `LiveState`, and shows each change in a view."""

    def __init__(self, place: Place, view: View, product: str | None, once: bool) -> None:
        self._place = place
        self._url = place.url
        self._view = view
        self._product = product
        self._once = once
        self._state = LiveState()
        self._connected = False
        self._done = False

    async def run(self) -> None:
        """Follow until done; raises `CallhomeError` if the first connection fails. Cancelling it ends it."""
        failures = 0
        while not self._done:
            try:
                socket = await self._connect()
            except CallhomeError as error:
                if not self._connected:
                    raise
                self._view.status(f"connection lost, trying again: {error}")
            else:
                failures = 0
                with suppress(ConnectionClosed, TimeoutError):
                    async with socket:
                        await self._read(socket)
            if not self._done:
                if failures == 0:
                    self._view.status("connection lost, trying again")
                failures += 1
                limit_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(failures, 10))
                await asyncio.sleep(random.uniform(BACKOFF_MIN_S, limit_s))

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._place.address,
                compression=None,
                max_size=MESSAGE_BYTES,
                open_timeout=OPEN_S,
                additional_headers=self._place.headers,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            said = _BY_STATUS.get(status, f"answers {status}: is it the console of callhome?")
            raise CallhomeError(f"{self._url} {said}") from None
        except ConnectionRefusedError:
            said = "start `callhome serve`, or name its console with --url"
            raise CallhomeError(f"nothing listens at {self._url}: {said}") from None
        except (OSError, InvalidHandshake) as error:
            said = str(error) or type(error).__name__
            raise CallhomeError(f"no live counters from {self._url}: {said}") from None

    async def _read(self, socket: ClientConnection) -> None:
        """Show message after message; raises ``TimeoutError`` when the line is dead."""
        self._connected = True
        self._state.lose()
        asked = True  # a server begins with a snapshot, unasked
        while not self._done:
            async with asyncio.timeout(SILENCE_S):
                data = await socket.recv()
            self._take(data)
            if not self._state.lost:
                asked = False
                if self._once:
                    await self._end(socket)
            elif not asked:
                await socket.send(SNAPSHOT_REQUEST)
                asked = True

    async def _end(self, socket: ClientConnection) -> None:
        """Say it if the numbers shown are old, and be done. Cancelling it says nothing."""
        self._done = True
        # A server without its database says so in a message of its own, which it sends before it answers this ping.
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(OPEN_S):
                await (await socket.ping())
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                async with asyncio.timeout(0):  # only what is here already
                    self._state.receive(self._decoded(await socket.recv()))
        if self._state.stale_s:
            self._view.status(self._said_old())

    def _decoded(self, data: str | bytes) -> Message:
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise CallhomeError(f"{self._url} speaks, but not as callhome does: is --url right?") from None

    def _said_old(self) -> str:
        return f"the server lost its database {self._state.stale_s:.0f} s ago: the numbers are old"

    def _take(self, data: str | bytes) -> None:
        state, message = self._state, self._decoded(data)
        dirty = state.receive(message)
        if message.type == "snapshot":
            self._check_known()
        if dirty or message.type == "snapshot":
            at = message.at.astimezone(UTC).isoformat(timespec="milliseconds") if message.at else ""
            self._view.update(state, dirty, at.replace("+00:00", "Z"))
        if self._once and not state.lost:
            return
        if state.stale_s:
            self._view.status(self._said_old())
        else:
            self._view.status(f"connected to {self._url}")

    def _check_known(self) -> None:
        """Raise where waiting would show nothing: the answer for --once, or a product that is misspelt."""
        if self._state.today is None:
            if self._once:
                raise CallhomeError(
                    f"{self._url} has no numbers from its database yet: try again in a moment"
                )
        elif self._product is not None and self._product not in self._state.products:
            said = f"callhome product add {self._product}"
            raise UsageError(f"no product {self._product!r} is registered: {said}")
