"""What a license says, as the rules need it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Verdict(StrEnum):
    """What an answer to a ping says of its license."""

    OK = "ok"
    GRACE = "grace"
    OVER_SEATS = "over_seats"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"
    WRONG_PRODUCT = "wrong_product"
    UNKNOWN = "unknown"


class Counts(StrEnum):
    """What takes a seat: an install, or each of its users."""

    INSTALL = "install"
    USER = "user"


class Use(StrEnum):
    """For how long a seat is taken: named, the whole window; concurrent, the hours in which it is active."""

    NAMED = "named"
    CONCURRENT = "concurrent"


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides the verdict: ``product`` is product.id; dates are UTC days, None is no bound.

    ``ends`` is the last valid day, followed by ``grace_days`` more; ``is_over``: a confirmed finding says that more
    seats are in use than allowed.
    """

    product: int
    starts: date | None
    ends: date | None
    grace_days: int
    revoked_on: date | None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class License:
    """A license as it was sold; ``overage`` is how far its seats may be exceeded (1, 1.25, 1.5; None: unlimited)."""

    id: int
    last4: str | None
    customer: str
    product: int
    seats: int
    counts: Counts
    use: Use
    window_days: int
    starts: date | None
    ends: date | None
    grace_days: int
    overage: Decimal | None
    revoked_on: date | None

    @property
    def allowed(self) -> int | None:
        """Seats that may be used, overage included and rounded down; None: any number."""
        return None if self.overage is None else int(self.seats * self.overage)
