"""The viewer protocol (docs/live.md): its messages, their websocket frames, a viewer's side of it. No I/O."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from .counters import ZERO, BuildRow, Change, Counters, CountryRow, Dirty, ProductName

# The one message of a viewer; anything else ends its connection.
SNAPSHOT_REQUEST: Final = '{"type":"snapshot"}'
# RFC 6455 §5.2: FIN and opcode 1 (text); a server's frames are never masked.
_TEXT: Final = 0x81
# Times as 2026-11-22T09:00:00.123456Z.
OPTIONS: Final = orjson.OPT_UTC_Z


class Stamp(NamedTuple):
    """Which server process speaks (``epoch``), its message number, and its clock (UTC)."""

    epoch: str
    seq: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class ViewerSnapshot:
    """A `Snapshot` as a viewer received it."""

    seq: int
    today: dt.date | None
    products: dict[str, str]
    countries: list[CountryRow]
    builds: list[BuildRow]


# A `CountryRow` as a guest gets it: None where there are fewer installs than the floor.
SeenRow = tuple[str, str, int | None, int | None, int | None, int | None, int | None, int | None]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Any message to a viewer; ``type`` is ``snapshot``, ``change`` or ``alive`` (others: ignore them)."""

    type: str
    epoch: str
    seq: int
    at: dt.datetime | None = None
    stale_s: float = 0.0
    today: dt.date | None = None
    # Guests alone are told one.
    floor: int | None = None
    products: list[ProductName] = []
    countries: list[SeenRow] = []
    builds: list[BuildRow] = []

    def snapshot(self) -> ViewerSnapshot:
        """The counters that a message of type ``snapshot`` carries; what a guest isn't told is 0."""
        products = {row.key: row.name for row in self.products if row.name is not None}
        return ViewerSnapshot(self.seq, self.today, products, self._countries(), self.builds)

    def change(self) -> Change:
        """The change that a message of type ``change`` carries; what a guest isn't told is 0."""
        return Change(
            self.seq, self.today, products=self.products, countries=self._countries(), builds=self.builds
        )

    def _countries(self) -> list[CountryRow]:
        rows: list[Any] = [(*row[:2], *(count or 0 for count in row[2:])) for row in self.countries]
        return rows


_DECODER: Final = msgspec.json.Decoder(Message)


def decode(data: str | bytes) -> Message:
    """Decode a message of the server; raises ``msgspec.DecodeError`` or ``UnicodeDecodeError``."""
    return _DECODER.decode(data)


def is_snapshot_request(data: str) -> bool:
    """Whether a viewer's text is a `SNAPSHOT_REQUEST`, whatever else is in it."""
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("type") == "snapshot"


def product_rows(counters: Counters, keys: Iterable[str]) -> list[dict[str, str | None]]:
    """The rows of products, in the order of their keys; a product that is gone has no name."""
    return [{"key": key, "name": counters.products.get(key)} for key in sorted(keys)]


def encode_snapshot(stamp: Stamp, counters: Counters) -> bytes:
    """All counters as JSON, rows in the order of their keys so that equal states look equal."""
    rows = {
        "products": product_rows(counters, counters.products),
        "countries": [(*key, *counts) for key, counts in sorted(counters.countries.items())],
        "builds": [(*key, installs) for key, installs in sorted(counters.builds.items())],
    }
    head = {"type": "snapshot", **stamp._asdict(), "today": counters.today}
    return orjson.dumps(head | rows, option=OPTIONS)


def encode_change(stamp: Stamp, counters: Counters, dirty: Dirty) -> bytes:
    """The present values of the ``dirty`` rows as JSON: zeros, or no name, where a row is gone."""
    rows = {
        "products": product_rows(counters, dirty.products),
        "countries": [(*key, *counters.countries.get(key, ZERO)) for key in sorted(dirty.countries)],
        "builds": [(*key, counters.builds.get(key, 0)) for key in sorted(dirty.builds)],
    }
    head = {"type": "change", **stamp._asdict(), "today": counters.today}
    return orjson.dumps(head | rows, option=OPTIONS)


def encode_alive(epoch: str, seq: int, stale_s: float) -> bytes:
    """Nothing has changed since ``seq``; the counters are those of ``stale_s`` seconds ago (0: current)."""
    return orjson.dumps({"type": "alive", "epoch": epoch, "seq": seq, "stale_s": round(stale_s, 1)})


def text_frame(payload: bytes) -> bytes:
    """One unmasked websocket text frame, as it goes to the socket."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


class LiveState(Counters):
    """A viewer's side of the protocol: feed it every message; while it is ``lost``, ask for a snapshot.

    ``stale_s``: how old the counters were at the last message, in seconds, by what the server knows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch = ""
        self.stale_s = 0.0

    def receive(self, message: Message) -> Dirty:
        """Take a message in and return what it altered; messages of other types alter nothing."""
        if message.type == "snapshot":
            self.epoch = message.epoch
            return self.load(message.snapshot())
        if message.epoch != self.epoch:
            self.lose()
        elif message.type == "change":
            self.stale_s = 0.0
            return self.apply(message.change())
        elif message.type == "alive":
            self.stale_s = message.stale_s
            if message.seq > self.seq:
                self.lose()
        return Dirty()
