"""The shapes of what statistics are asked and answer; docs/definitions.md has what the numbers mean. Pure."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from ..statistics.model import Counts, Dimension, Measure, Window


class Range(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """UTC days, both included; without them the last 30 that are over."""

    first: date | None = msgspec.field(default=None, name="from")
    last: date | None = msgspec.field(default=None, name="to")


class Narrowed(Range, kw_only=True):
    """A range, and what counts are narrowed down to: at most two of version, country and system."""

    version: str | None = None
    country: str | None = None
    os: str | None = None
    # For analysts: license.id, or a customer's name.
    license: int | None = None
    customer: str | None = None


class SeriesQuery(Narrowed, kw_only=True):
    """What is counted day by day, and how it is told apart: by its ``top`` values and the rest."""

    measure: Measure = Measure.INSTALLS
    window: Window = Window.DAY
    by: Dimension | None = None
    top: int = 8


class BreakdownQuery(Narrowed, kw_only=True):
    """By what counts as of the last day are told apart, and which part of the list."""

    by: Dimension
    window: Window = Window.MONTH
    limit: int | None = None
    offset: int = 0


class ListQuery(Narrowed, kw_only=True):
    """A range and what it is narrowed down to, and which part of the list."""

    limit: int | None = None
    offset: int = 0


class ProductName(msgspec.Struct):
    """A product, by its key and as people call it."""

    key: str
    name: str


class Products(msgspec.Struct):
    """All registered products, by name."""

    products: list[ProductName]


class Compared(msgspec.Struct):
    """A number of the range, and of as many days before it; null where it is not known."""

    now: int | None
    before: int | None


class ByWindow(msgspec.Struct):
    """As of the last day: of that day, of the 7 and of the 30 days that end with it."""

    day: Compared
    week: Compared
    month: Compared


class Told(msgspec.Struct, kw_only=True):
    """For which days an answer is, when they were counted, and the first day that there is."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    counted_at: datetime | None
    first_day: date | None


class ProductRow(msgspec.Struct):
    """A product in the overview; ``trend``: installs active on each day of the range."""

    key: str
    name: str
    installs: ByWindow
    users: ByWindow
    launches: Compared
    trend: Counts
    latest: str | None
    latest_share: float | None


class Overview(Told, kw_only=True):
    """All products, those with the most installs first."""

    products: list[ProductRow]


class Behind(msgspec.Struct):
    """Installs that are so many releases behind; null: of a version that can't be compared."""

    behind: int | None
    installs: int


class Summary(Told, kw_only=True):
    """The headline numbers of a product."""

    product: ProductName
    installs: ByWindow
    users: ByWindow
    launches: Compared
    new: Compared | None
    returned: Compared | None
    lost: Compared | None
    unverified: int | None
    median_age_days: float | None
    versions_behind: list[Behind]


class Line(msgspec.Struct):
    """The counts of one value, day by day."""

    value: str
    build: str
    counts: Counts


class DayRow(msgspec.Struct):
    """All counts of one day, as a row of a table."""

    day: date
    value: str
    count: int | None


class Series(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Counts day by day; ``before``: of as many days before. ``rows`` are the same as a table, in the CSV alone."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    measure: Measure
    window: Window
    by: Dimension | None
    days: list[date]
    total: Counts
    before: Counts
    series: list[Line]
    others: Counts | None
    rows: list[DayRow] = []


class Sum(msgspec.Struct):
    """Of all values, those that are not in this part of the list too."""

    installs: int
    users: int


class BreakdownRow(msgspec.Struct, kw_only=True):
    """One value as of the last day; ``share`` of all installs; ``before``: as of the day before the range."""

    value: str
    build: str
    installs: int
    users: int
    share: float
    before: int | None


class Breakdown(msgspec.Struct, kw_only=True):
    """The values of a dimension, those with the most installs first."""

    by: Dimension
    as_of: date
    window: Window
    sum: Sum
    total: int
    next: int | None
    rows: list[BreakdownRow]


class ReleaseRow(msgspec.Struct, kw_only=True):
    """How far a version has come; ``day``: of its release, or on which it was first seen (``source``)."""

    version: str
    day: date
    source: str
    installs: int
    share: float | None
    share_or_newer: float | None
    days_to_50: int | None
    days_to_90: int | None


class Releases(msgspec.Struct, kw_only=True):
    """Versions, the newest first."""

    as_of: date
    total: int
    next: int | None
    rows: list[ReleaseRow]


class UpdateRow(msgspec.Struct, kw_only=True):
    """Installs that went from one version to another; ``direction``: upgrade, downgrade or same."""

    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    installs: int
    direction: str


class Updates(msgspec.Struct, kw_only=True):
    """Updates within the range, those of the most installs first; ``sum``: of all of them."""

    sum: int
    total: int
    next: int | None
    rows: list[UpdateRow]


class MovedRow(msgspec.Struct):
    """What came and went on one day."""

    day: date
    new: int
    returned: int
    lost: int


class Moved(msgspec.Struct, omit_defaults=True):
    """What came and went, day by day; ``rows`` are the same as a table, in the CSV alone."""

    days: list[date]
    new: list[int]
    returned: list[int]
    lost: list[int]
    rows: list[MovedRow] = []


class Cohort(msgspec.Struct):
    """Installs first seen in a month, and how many of them were active in it and in each month after."""

    month: str
    installs: int
    active: list[int]


class Cohorts(msgspec.Struct):
    """The cohorts of the last months, the oldest first."""

    cohorts: list[Cohort]
