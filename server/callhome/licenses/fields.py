"""What people give of a license, read and checked field by field: the same for a command and a line of a file. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from ..errors import UsageError
from .model import Counts, Use

# A company's name with its legal form and its place fits; schema.sql says the same.
CUSTOMER_CHARACTERS: Final = 200
# More machines than there are would be a mistake; with any overage it fits PostgreSQL's bigint.
SEATS_MAX: Final = 1_000_000_000
# A year and a day: what a license is sold and renewed for. schema.sql says the same.
DAYS_MAX: Final = 366
# What was given is quoted up to this length: enough to recognise it.
_QUOTED_CHARACTERS: Final = 80
# As product.key in schema.sql.
_PRODUCT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,10}", re.ASCII)
# Dates and numbers repeat from line to line: looking one up takes a third of the time of reading it.
# Bound: so many × (10 characters + some 200 bytes) = 1 MB.
_READ: Final = 4096


class InvalidLicense(UsageError):
    """The ``field`` of a license is not as ``expected``; ``given`` shows what was given, of a key only its end."""

    def __init__(self, field: str, given: str, expected: str) -> None:
        self.field = field
        self.given = given
        self.expected = expected
        super().__init__(f"{field}: got {given}; expected {expected}")


@dataclass(frozen=True, slots=True)
class Sold:
    """A license as it is given: ``product`` is the product's key, the rest as in `model.License`."""

    key_hash: bytes
    last4: str | None
    customer: str
    product: str
    seats: int
    counts: Counts = Counts.INSTALL
    use: Use = Use.NAMED
    window_days: int = 30
    starts: date | None = None
    ends: date | None = None
    grace_days: int = 14
    overage: Decimal | None = Decimal("1.00")
    revoked_on: date | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """How a field is read: ``read`` takes a text without blanks around it and raises ValueError for any other."""

    read: Callable[[str], Any]
    expected: str


def quoted(text: str) -> str:
    """Return what was given as a message shows it: quoted, and cut where it is long."""
    return repr(text if len(text) <= _QUOTED_CHARACTERS else text[: _QUOTED_CHARACTERS - 1] + "…")


def read(name: str, text: str) -> Any:
    """Return the value of a field; raise `InvalidLicense` if the text holds none."""
    field = FIELDS[name]
    try:
        return field.read(text.strip())
    except ValueError:
        raise InvalidLicense(name, quoted(text), field.expected) from None


def check_span(starts: date | None, ends: date | None) -> None:
    """Raise `InvalidLicense` where a license would end before it begins."""
    if starts is not None and ends is not None and ends < starts:
        raise InvalidLicense("ends", quoted(str(ends)), f"no day before the first one, {starts}")


def _customer(text: str) -> str:
    # Spreadsheets and web pages bring blanks that do not break; people would never find the name with them.
    text = text.replace("\u00a0", " ").replace("\u202f", " ")
    if not 0 < len(text) <= CUSTOMER_CHARACTERS or not text.isprintable():
        raise ValueError
    return text


def _product(text: str) -> str:
    if not _PRODUCT.fullmatch(text):
        raise ValueError
    return text


@lru_cache(maxsize=_READ)
def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


@lru_cache(maxsize=_READ)
def _number(text: str, low: int, high: int) -> int:
    if not _NUMBER.fullmatch(text) or not low <= (number := int(text)) <= high:
        raise ValueError
    return number


def _counts(text: str) -> Counts:
    return Counts(text.lower())


def _use(text: str) -> Use:
    return Use(text.lower())


def _overage(text: str) -> Decimal | None:
    try:
        return _OVERAGES[text.lower().replace(",", ".")]  # a spreadsheet writes 1,25 where people do
    except KeyError:
        raise ValueError from None


_OVERAGES: Final[Mapping[str, Decimal | None]] = MappingProxyType(
    {
        **dict.fromkeys(("1", "1.0", "1.00"), Decimal("1.00")),
        "1.25": Decimal("1.25"),
        **dict.fromkeys(("1.5", "1.50"), Decimal("1.50")),
        "unlimited": None,
    }
)
_A_DAY: Final = Field(_day, "a day such as 2026-11-25")
FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "customer": Field(_customer, f"1 to {CUSTOMER_CHARACTERS} printable characters"),
        "product": Field(_product, "the key of a registered product, such as es"),
        "seats": Field(lambda text: _number(text, 1, SEATS_MAX), f"a whole number from 1 to {SEATS_MAX}"),
        "counts": Field(_counts, "install or user"),
        "use": Field(_use, "named or concurrent"),
        "window_days": Field(
            lambda text: _number(text, 1, DAYS_MAX), f"a number of days from 1 to {DAYS_MAX}"
        ),
        "starts": _A_DAY,
        "ends": _A_DAY,
        "grace_days": Field(
            lambda text: _number(text, 0, DAYS_MAX), f"a number of days from 0 to {DAYS_MAX}"
        ),
        "overage": Field(_overage, "1, 1.25, 1.5 or unlimited"),
        "revoked_on": _A_DAY,
    }
)
REQUIRED: Final = ("customer", "product", "seats")
# What is kept of a license that is there where it isn't given, and has a default in a new one.
OPTIONAL: Final = tuple(name for name in FIELDS if name not in REQUIRED)
