"""A record of the file to the row of ``ping`` that it becomes: the same checks and hashes as a ping on the wire. Pure.

Every row gets the same id each time it is imported, so that it counts once: the time of the row, and bits of a keyed
hash of what identifies it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from ..ingest.decode import check_texts, refusal
from ..ingest.enrich import FUTURE_MS, Enricher
from ..ingest.model import LegacyPing
from ..ingest.proxies import pack, unpack
from ..ingest.reasons import Reason, Refused
from ..pseudonyms import keyed
from ..store.ids import VERSION_7, VERSION_BITS
from .alike import APART, Alike, Common, Differing, places, rest_of
from .mapping import EXTRA, FileMapping
from .picking import BadRow, picking_cells, picking_json

# What the keyed hash of a row is for; see `pseudonyms`.
IMPORT: Final = b"import"
# Addresses repeat as installs do. Bound: so many × some 300 bytes = 20 MB.
_ADDRESSES: Final = 65_536
_RANDOM_BITS: Final = (1 << 80) - 1 ^ VERSION_BITS
# As `ingest.geo.UNKNOWN`.
UNKNOWN: Final = "ZZ"
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_DIGITS: Final = re.compile(r"-?[0-9]{1,40}")


class LeftOut(Exception):
    """A record that is good and not wanted: out of the times asked for, or of a product that the mapping leaves out."""


class UnknownProduct(Exception):
    """A record of a product that isn't registered; ``key`` is what it is called."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Span(NamedTuple):
    """Which times are wanted, in Unix milliseconds: from ``from_ms`` on, before ``until_ms``. ``now_ms`` is now."""

    from_ms: int
    until_ms: int
    now_ms: int


class Read(NamedTuple):
    """What a record says, checked: its time, its ping, from where it was sent, and what tells it apart.

    ``named`` is the country if the record names one, else ``""``; ``rest`` is what `rest_of` returns.
    """

    at_ms: int
    ping: LegacyPing
    address: str
    named: str
    country: str
    rest: bytes
    identity: bytes


class _Kind(Enum):
    """What becomes of a value."""

    TEXT = 0
    USERS = 1
    EXTRA = 2


class _Step(NamedTuple):
    """How one field comes about: from the value at a place, translated."""

    name: str
    place: int
    translate: Mapping[str, str] | None
    kind: _Kind


@dataclass(frozen=True, slots=True)
class Means:
    """What rows are made with: the servers' secret, the registered products, and the look-up of countries."""

    secret: bytes
    product_ids: Mapping[str, int]
    country_of: Callable[[str], str]


class Converter:
    """Makes rows of records, by a mapping. ``columns`` are those of the file; of JSON there are none."""

    def __init__(self, mapping: FileMapping, columns: Sequence[str], means: Means, span: Span) -> None:
        """Raises `BadMapping` where the file has no such column."""
        self._mapping = mapping
        self._span = span
        self._read_time = mapping.read_time
        enricher = Enricher(means.secret, means.product_ids)
        self._enrich = enricher.row
        self._product_ids = means.product_ids
        self._hash = keyed(means.secret, IMPORT)
        self._locate = lru_cache(_ADDRESSES)(_locating(means.country_of))
        names = list(dict.fromkeys(mapping.columns))
        self._are_cells = mapping.form.format == "csv"
        self._pick = (
            picking_json(names)
            if mapping.form.format == "ndjson"
            else picking_cells(columns, names, named_by_mapping=bool(mapping.form.columns))
        )
        place = {name: number for number, name in enumerate(names)}
        self._time_at = place[mapping.time_column]
        self._row_id_at = place[mapping.row_id] if mapping.row_id else -1
        self._constants = {name: value for name, value in mapping.constants.items() if value != ""}
        self._steps = [
            _Step(name, place[column], mapping.values.get(name), _kind(name))
            for name, column in mapping.fields.items()
        ]
        self._place_of = {step.name: step.place for step in self._steps}
        self._has_extra = any(name.startswith(EXTRA) for name in (*mapping.fields, *mapping.constants))
        # Of cells only: values of JSON may be equal and not the same, such as 1 and true.
        self._alike: Alike | None = None
        if self._are_cells:
            at = {name: self._place_of.get(name, -1) for name in APART}
            apart = {self._time_at, self._row_id_at, *at.values()}
            common = [number for number in range(len(names)) if number not in apart]
            self._alike = Alike(enricher, places(at, mapping.values, self._constants), common)

    def row(self, record: Any) -> tuple[int, bytes]:
        """Return the product's number, and the row in the binary COPY format without its batch.

        Raises what `read` does, and `UnknownProduct`.
        """
        values = self._pick(record)
        at_ms = self._time(values)
        if self._alike is not None and (found := self._alike.find(values)):
            common, said = found
            located = self._locate(said.address) if said.address else ("", UNKNOWN)
            if located is not None:
                id = self._id(at_ms, self._identity(common.ping.product, common.rest, said, values))
                return common.product, self._alike.row(found, common.country or located[1], id, at_ms)
        return self._whole(values, at_ms)

    def _whole(self, values: Sequence[Any], at_ms: int) -> tuple[int, bytes]:
        read = self._read(values, at_ms)
        product = self._product_ids.get(read.ping.product)
        if product is None:
            raise UnknownProduct(read.ping.product)
        try:
            # The time of the row is that of its receipt; half a millisecond more, and no rounding moves it.
            row = self._enrich(read.ping, read.address, read.country, (at_ms + 0.5) / 1000)
        except Refused as refused:
            raise self._bad(refused, ()) from None
        except UnicodeEncodeError:
            raise self._unreadable() from None
        if self._alike is not None:
            self._alike.remember(values, Common(read.ping, product, read.rest, read.named))
        return product, row[:6] + self._id(at_ms, read.identity) + row[22:]

    def read(self, record: Any) -> Read:
        """Return what a record says. Raises `BadRow` or `LeftOut`."""
        values = self._pick(record)
        return self._read(values, self._time(values))

    def _time(self, values: Sequence[Any]) -> int:
        """Return the time of a record in Unix milliseconds. Raises `BadRow` or `LeftOut`."""
        given = values[self._time_at]
        try:
            at_ms = self._read_time(_stripped(given))
        except ValueError as error:
            raise BadRow(self._mapping.time_column, given, str(error)) from None
        if not self._span.from_ms <= at_ms < self._span.until_ms:
            raise LeftOut
        if at_ms > self._span.now_ms + FUTURE_MS:
            raise BadRow(self._mapping.time_column, given, "expected a time that has been")
        return at_ms

    def _read(self, values: Sequence[Any], at_ms: int) -> Read:
        sent = self._sent(values)
        # Of cells, one look at all of them is enough where there is nothing to find.
        is_plain = self._are_cells and "".join(values).isprintable()
        try:
            rest = rest_of(sent)
            identity = self._identity(sent.get("product"), rest, Differing.of(sent), values)
        except (
            TypeError,
            UnicodeEncodeError,
        ):  # bytes that the encoding doesn't know, or a number beyond 64 bits
            raise self._unreadable() from None
        named, country, address = self._place(sent)
        try:
            ping = msgspec.convert(sent, LegacyPing)
            if not is_plain:
                check_texts(ping)
        except msgspec.ValidationError as error:
            raise self._bad(refusal(error), values) from None
        except Refused as refused:
            raise self._bad(refused, values) from None
        return Read(at_ms, ping, address, named, country, rest, identity)

    def _sent(self, values: Sequence[Any]) -> dict[str, Any]:
        sent = self._constants.copy()
        for name, place, translate, kind in self._steps:
            value = values[place]
            if value.__class__ is str:
                value = value.strip()
            if translate is not None and value in translate:
                value = translate[value]
                if not value and name == "product":
                    raise LeftOut
            if value is None or value == "":
                continue
            if kind is _Kind.USERS:
                value = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
            elif kind is _Kind.TEXT and value.__class__ is int:
                value = str(value)  # of JSON, where a version may look like a number
            sent[name] = value
        return sent

    def _identity(self, product: Any, rest: bytes, said: Differing, values: Sequence[Any]) -> bytes:
        """Return what tells a row apart: its id and its product, or else all that it says.

        Raises ``TypeError`` and ``UnicodeEncodeError`` of what can't be encoded.
        """
        if self._row_id_at < 0:
            return "\0".join(said).encode() + rest
        row_id = _stripped(values[self._row_id_at])
        if row_id is None or row_id == "":
            raise BadRow(self._mapping.row_id, row_id, "expected an id in every row")
        return orjson.dumps([product, str(row_id)])

    def _place(self, sent: dict[str, Any]) -> tuple[str, str, str]:
        """Take country and address out of what was sent; return the country that it names, the country, the address."""
        address = sent.pop("address", "")
        country = sent.pop("country", "")
        if self._has_extra:
            names = [name for name in sent if name.startswith(EXTRA)]
            sent["extra"] = {name[len(EXTRA) :]: sent.pop(name) for name in names} or None
        if country and not (isinstance(country, str) and _COUNTRY.fullmatch(country)):
            column = self._mapping.fields.get("country", "")
            raise BadRow(column, country, "expected a country of two letters (ISO 3166-1)")
        country = country.upper()
        if not address:
            return country, country or UNKNOWN, ""
        located = self._locate(address) if isinstance(address, str) else None
        if located is None:
            raise BadRow(self._mapping.fields.get("address", ""), address, "expected an IPv4 or IPv6 address")
        return country, country or located[1], located[0]

    def _id(self, at_ms: int, identity: bytes) -> bytes:
        return id_of(at_ms, self._hash(at_ms.to_bytes(8, "big") + identity))

    def _unreadable(self) -> BadRow:
        return BadRow("", "", f"expected text in {self._mapping.form.encoding}, and numbers of 64 bits")

    def _bad(self, refused: Refused, values: Sequence[Any]) -> BadRow:
        field = refused.field or ""
        place = self._place_of.get(field, len(values))
        given = values[place] if place < len(values) else ""
        column = self._mapping.fields.get(field, field)
        if refused.reason is Reason.MISSING_FIELD:
            return BadRow(column, given, f"expected a value ({field})")
        return BadRow(column, given, f"{refused.message} ({field})" if field else refused.message)


def id_of(at_ms: int, digest: bytes) -> bytes:
    """Return the UUIDv7 of a time with the bits of a hash of 16 bytes."""
    return (at_ms << 80 | VERSION_7 | int.from_bytes(digest, "big") & _RANDOM_BITS).to_bytes(16, "big")


def _kind(name: str) -> _Kind:
    return _Kind.USERS if name == "users" else _Kind.EXTRA if name.startswith(EXTRA) else _Kind.TEXT


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _locating(country_of: Callable[[str], str]) -> Callable[[str], tuple[str, str] | None]:
    def locate(address: str) -> tuple[str, str] | None:
        packed = pack(address)
        if packed is None:
            return None
        usual = unpack(packed)
        return usual, country_of(usual)

    return locate
