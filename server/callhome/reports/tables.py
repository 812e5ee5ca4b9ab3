"""The tables attached to a mail, as CSV for spreadsheets and programs. Pure.

Their columns have English names in every language, so that a program reads each mail alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final

from ..csvcells import Cell, rows
from .figures import Figures
from .model import Attachment, Order, Period

# A mail of a few hundred kilobytes gets through everywhere: 5,000 lines of 60 bytes are 300 kB.
LINES: Final = 5_000
# Spreadsheets take a file for UTF-8 where it begins with this.
_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"

Lines = Iterable[tuple[Cell, ...]]


def attachments(order: Order, figures: Figures) -> tuple[Attachment, ...]:
    """The tables of the sections that were ordered, without those that would have no line."""
    found = (
        _attachment(name, header, lines(order.period, figures))
        for section in order.sections
        for name, header, lines in _TABLES[section]
    )
    return tuple(attachment for attachment in found if attachment is not None)


def _attachment(name: str, header: str, lines: Lines) -> Attachment | None:
    kept = list(islice(lines, LINES))
    if not kept:
        return None
    text = "".join(rows(header.split(), kept))
    return Attachment(f"{name}.csv", "text/csv", (_MARK + text).encode())


def _usage(period: Period, figures: Figures) -> Lines:
    length = period.last_day - period.first_day + timedelta(days=1)
    for product in figures.products:
        usage = product.usage
        for counted, back in ((usage.now, 0), (usage.before, 1)):
            first, last = period.first_day - back * length, period.last_day - back * length
            unverified = None if back else usage.unverified
            yield product.key, first, last, counted.installs, counted.users, counted.launches, unverified


def _days(period: Period, figures: Figures) -> Lines:
    for product in figures.products:
        every = (*product.usage.by_day_before, *product.usage.by_day)
        for back, installs in zip(range(len(every), 0, -1), every, strict=True):
            yield product.key, period.last_day - timedelta(days=back - 1), installs


def _builds(_: Period, figures: Figures) -> Lines:
    for product in figures.products:
        for build in product.builds:
            yield product.key, build.version, build.build, build.installs


def _updates(_: Period, figures: Figures) -> Lines:
    for product in figures.products:
        for flow in product.flows:
            yield product.key, flow.from_version, flow.to_version, flow.installs


def _installs(period: Period, figures: Figures) -> Lines:
    length = period.last_day - period.first_day + timedelta(days=1)
    for product in figures.products:
        for moved, back in ((product.moved, 0), (product.moved_before, 1)):
            first, last = period.first_day - back * length, period.last_day - back * length
            yield (
                product.key,
                first,
                last,
                moved.at_begin,
                moved.new,
                moved.returned,
                moved.lost,
                moved.at_end,
            )


def _countries(_: Period, figures: Figures) -> Lines:
    for product in figures.products:
        for country in product.countries:
            yield product.key, country.code, country.installs, country.before


def _findings(_: Period, figures: Figures) -> Lines:
    for one in figures.findings.listed:
        yield (
            one.id, one.rule, one.cause, one.state, one.product, one.customer, one.last4, one.measure, one.allowed,
            one.opened_at, one.confirmed_at, one.closed_at,
        )  # fmt: skip


def _licenses(_: Period, figures: Figures) -> Lines:
    for one in figures.endings.listed:
        yield one.ends, one.customer, one.last4, one.product, one.used, one.seats


_Table = tuple[str, str, Callable[[Period, Figures], Lines]]
_TABLES: Final[Mapping[str, tuple[_Table, ...]]] = MappingProxyType(
    {
        "usage": (
            (
                "usage",
                "product first_day last_day active_installs users launches unverified_installs",
                _usage,
            ),
            ("days", "product day active_installs", _days),
        ),
        "builds": (("builds", "product version build installs", _builds),),
        "updates": (("updates", "product from_version to_version installs", _updates),),
        "installs": (
            ("installs", "product first_day last_day at_begin new returned lost at_end", _installs),
        ),
        "countries": (("countries", "product country active_installs active_installs_before", _countries),),
        "findings": (
            (
                "findings",
                "id rule cause state product customer last4 measure allowed opened_at confirmed_at closed_at",
                _findings,
            ),
        ),
        "licenses": (("licenses", "ends customer last4 product seats_used seats", _licenses),),
    }
)
