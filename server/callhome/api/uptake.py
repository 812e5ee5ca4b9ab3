"""How far releases have come, and how fast."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from ..statistics import releases as pure
from ..statistics.model import Count, Days, Dimension, Measure, Window
from ..store import statistics
from ..store.connection import Connection
from . import shapes
from .endpoint import Asked
from .scope import DAYS_MAX, Scope

# Those with the most installs, beside the registered: each is a curve over all days since.
VERSIONS: Final = 100
# A release is up to date with what runs in a week: fewer days would show week-ends, more would lag behind.
WINDOW: Final = Window.WEEK


async def releases(connection: Connection, scope: Scope, asked: Asked[Any, Any]) -> shapes.Releases:
    """Return the versions, the newest first. Cancelling it changes nothing."""
    limit, offset = asked.page()
    last = scope.days.last
    ranked = await scope.source.ranked(Dimension.VERSION, WINDOW, last, limit=VERSIONS)
    released = await statistics.releases(
        connection, scope.product.id, [place.key[0] for place in ranked.places], last
    )
    earliest = min((release.day for release in released), default=last)
    days = Days(max(min(earliest, last), last - timedelta(days=DAYS_MAX - 1)), last)
    count = Count(Measure.INSTALLS, WINDOW)
    total = (await scope.source.daily(count, days))["", ""]
    curves = await scope.source.daily(count, days, Dimension.VERSION)
    found = pure.uptakes(released, {key[0]: counts for key, counts in curves.items()}, total, days)
    rows = [_row(uptake) for uptake in found[offset : offset + limit]]
    more = offset + len(rows) < len(found) and bool(rows)
    return shapes.Releases(as_of=last, total=len(found), next=offset + len(rows) if more else None, rows=rows)


def _row(uptake: pure.Uptake) -> shapes.ReleaseRow:
    release = uptake.release
    return shapes.ReleaseRow(
        version=release.version, day=release.day, source="registered" if release.is_registered else "seen",
        installs=uptake.installs, share=uptake.share, share_or_newer=uptake.share_or_newer,
        days_to_50=uptake.days_to_50, days_to_90=uptake.days_to_90,
    )  # fmt: skip
