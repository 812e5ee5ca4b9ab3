"""The figures of one report: what a mail says, before it is put into words. Pure.

Each number is that of docs/definitions.md. Headline numbers are of verified installs alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

# A renewal is talked about some two months ahead.
ENDING_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class Counted:
    """Active installs of some days, each counted once under its last ping in them; their users; their launches."""

    installs: int
    users: int
    launches: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a product was used in the period and in the one before; by day: active installs of each day.

    ``unverified`` installs were active in the period too and are in no other number.
    """

    now: Counted
    before: Counted
    unverified: int
    by_day: tuple[int, ...]
    by_day_before: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """A build in use: installs active in the last 30 days whose latest ping was of it."""

    version: str
    build: str
    installs: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Installs that went from one version to another within the period, as often as they did."""

    from_version: str
    to_version: str
    installs: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """The latest release: its day, and how many of the installs active in the last 30 days are on it."""

    version: str
    day: date
    installs: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Installs active within 30 days: at the end of the day before a period, what came and went, at its end.

    ``at_begin + new + returned - lost == at_end``. New: active for the first time. Lost: last active 30 days before a
    day of the period. Returned: active again after they were lost.
    """

    at_begin: int
    new: int
    returned: int
    lost: int
    at_end: int


@dataclass(frozen=True, slots=True)
class Country:
    """Active installs of a country (ISO 3166-1 alpha-2, ``ZZ`` where unknown) in the period and in the one before."""

    code: str
    installs: int
    before: int


@dataclass(frozen=True, slots=True)
class Product:
    """All of one product. Builds, flows and countries are in the order of their installs, most first.

    ``in_use``: installs active in the last 30 days, all builds together. ``updates``: those of all flows together, also
    of flows that are left out.
    """

    key: str
    name: str
    usage: Usage
    in_use: int
    builds: tuple[Build, ...]
    updates: int
    flows: tuple[Flow, ...]
    adoption: Adoption | None
    moved: Moved
    moved_before: Moved
    countries: tuple[Country, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding that is open now, or was opened, confirmed or closed in the period; ``product`` is a name.

    ``customer`` and ``last4`` are those of the license it is about, if it is about one.
    """

    id: int
    rule: str
    product: str
    customer: str | None
    last4: str | None
    state: str
    cause: str
    measure: int
    allowed: int
    opened_at: datetime
    confirmed_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Findings:
    """How many findings were opened, confirmed and closed in the period, and how many stand open or confirmed now.

    ``listed``: those that stand now or changed in the period, confirmed ones first, up to a limit.
    """

    opened: int
    confirmed: int
    closed: int
    open_now: int
    confirmed_now: int
    listed: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """A license that ends soon; ``product`` is a name, ``used`` its seats used now, None where nobody has used it."""

    customer: str
    last4: str | None
    product: str
    seats: int
    used: int | None
    ends: date


@dataclass(frozen=True, slots=True)
class Endings:
    """How many licenses end within `ENDING_DAYS` days after ``Figures.today``; ``listed``: the first of them."""

    count: int
    listed: tuple[Ending, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one report, read at once: those of the period as they were known at ``as_of``, an aware datetime.

    ``today`` is the UTC day of ``as_of``; the last 30 days end on it. ``products`` are in the order of their installs,
    most first.
    """

    as_of: datetime
    today: date
    products: tuple[Product, ...]
    findings: Findings
    endings: Endings
