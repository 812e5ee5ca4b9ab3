"""Which notices an install is told, and when time alone changes what is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Final

from .model import Notice, Release
from .version import sort_key

# More than people would read. It bounds the answer: 10 × (500 characters of text + 500 of address).
MOST_TOLD: Final = 10


def matching(notices: Iterable[Notice], product: int, version: str, now: datetime) -> list[Notice]:
    """Return the notices for this version of the product (product.id), the most urgent first, `MOST_TOLD` at most.

    Of those that are equally urgent, the one that began last is first. A range of versions includes both ends; the
    moment at which a notice ends no longer belongs to it.
    """
    key = sort_key(version)
    found = [
        notice
        for notice in notices
        if notice.product in (None, product)
        and notice.starts_at <= now
        and (notice.ends_at is None or now < notice.ends_at)
        and (notice.from_version is None or sort_key(notice.from_version) <= key)
        and (notice.to_version is None or key <= sort_key(notice.to_version))
    ]
    found.sort(key=lambda each: (each.level.rank, each.starts_at, each.id), reverse=True)
    return found[:MOST_TOLD]


def next_change(releases: Iterable[Release], notices: Iterable[Notice], now: datetime) -> datetime | None:
    """Return the next moment at which answers change though nobody changed anything; None: never.

    That is when the UTC day of a release begins, or when a notice begins or ends.
    """
    moments = [datetime.combine(release.day, time.min, UTC) for release in releases]
    for notice in notices:
        moments.append(notice.starts_at)
        if notice.ends_at is not None:
            moments.append(notice.ends_at)
    return min((moment for moment in moments if moment > now), default=None)
