"""Records that differ from one before in no more than time, install, license, users and address: most of any file.

What they have in common is checked and read once, and looked up for the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from ..ingest.enrich import Enricher
from ..ingest.model import EVENT_CODES, Install, LegacyPing, License, Users
from ..store.encoding import encode_row

# What differs from record to record; see `Differing`.
APART: Final = ("install", "license", "users", "address")
# So many are remembered, then all of them are forgotten. Bound: so many × some 1,500 bytes = 25 MB, in each process.
_KNOWN: Final = 16_384
_NUMBER: Final = re.compile("[0-9]{1,10}")
_UNSAID_USERS: Final = LegacyPing("x", "x").users


class Place(NamedTuple):
    """Where a field comes from: the number of its value (-1: no column), how it is translated, and what it is else."""

    at: int
    translate: Mapping[str, str]
    constant: str


class Differing(NamedTuple):
    """What a record says of the fields that differ, as texts; ``""`` where it says nothing."""

    install: str
    license: str
    users: str
    address: str

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Differing:
        """Return that of a record that was read whole."""
        return cls._make([str(sent.get(name, "")) for name in APART])


class Common(NamedTuple):
    """What records have in common: the ping of one of them, the number of its product, `rest_of`, and the country that
    they name (``""``: none)."""

    ping: LegacyPing
    product: int
    rest: bytes
    country: str


class _Checked(msgspec.Struct, array_like=True):
    """The rules of a ping for them."""

    install: Install
    license: License
    users: Users


class Alike:
    """Finds what a record of text cells has in common with one before. Bounded memory."""

    def __init__(self, enricher: Enricher, places: Sequence[Place], common: Sequence[int]) -> None:
        """``places`` are those of `APART`, ``common`` the numbers of the values of all other fields."""
        self._enricher = enricher
        self._places = places
        self._common: Callable[[Any], Any] = itemgetter(*common) if common else lambda _values: ()
        self._known: dict[Any, Common] = {}

    def find(self, values: Sequence[str]) -> tuple[Common, Differing] | None:
        """Return what is known of a record and what differs; None where it has to be read whole.

        That is so for all in which something is wrong: what it is, is found when it is read whole.
        """
        known = self._known.get(self._common(values))
        if known is None:
            return None
        said = Differing._make(
            [
                translate.get(text := values[at].strip(), text) or constant if at >= 0 else constant
                for at, translate, constant in self._places
            ]
        )
        if not _is_good(said):
            return None
        # As it is once it was a number.
        return known, said._replace(users=str(int(said.users))) if said.users[:1] == "0" else said

    def remember(self, values: Sequence[str], common: Common) -> None:
        """Take note of a record that was read whole, and is good."""
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[self._common(values)] = common

    def row(self, found: tuple[Common, Differing], country: str, id: bytes, at_ms: int) -> bytes:
        """Return the row in the binary COPY format without its batch, as `Enricher` would make it."""
        common, said = found
        ping = common.ping
        return encode_row(
            id, self._enricher.install(said.install), at_ms * 1000,
            common.product, _users(said), EVENT_CODES[ping.event], True, False, country,
            ping.version, ping.build or "", ping.os or "", ping.os_version or None, ping.arch or None,
            ping.locale or None, ping.channel or None, self._enricher.licensed(said.license),
            msgspec.json.encode(ping.extra) if ping.extra else None,
        )  # fmt: skip


def places(
    at: Mapping[str, int], values: Mapping[str, Mapping[str, str]], constants: Mapping[str, Any]
) -> list[Place]:
    """Return the places of `APART`: numbers of values, translations and constants are by field."""
    return [Place(at[name], values.get(name, {}), str(constants.get(name, ""))) for name in APART]


def rest_of(sent: Mapping[str, Any]) -> bytes:
    """Return all that was sent of the other fields, the same bytes for the same values. Raises ``TypeError``."""
    rest = {name: value for name, value in sent.items() if name not in APART}
    return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)


def _users(said: Differing) -> int:
    return int(said.users) if said.users else _UNSAID_USERS


def _is_good(said: Differing) -> bool:
    """Whether these are as a ping may have them, and need no second look."""
    if not said.install or (said.users and not _NUMBER.fullmatch(said.users)):
        return False
    try:
        msgspec.convert((said.install, said.license, _users(said)), _Checked)
    except msgspec.ValidationError:
        return False
    return said.install.isprintable() and said.license.isprintable()
