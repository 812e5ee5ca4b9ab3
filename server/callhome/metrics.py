"""What this process has counted since it started, and its Prometheus text.

The counters are plain integers: one event loop changes them, so they need no lock.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

# Upper bounds. A commit takes milliseconds; after 2 s it is spooled, after 10 s given up.
_COMMIT_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCH_PINGS: Final = (1.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)


class Histogram:
    """How often a value was within which bounds: ``counts`` by bound, the last above all; and the ``sum``."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many were at most that) as Prometheus has them."""
        bounds = [*map(str, self.bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Tally:
    """Counts pings, so that an account can be given of each, whenever the loop is idle::

        received + recovered = stored + duplicates + refused + quarantined + spooled + pending + lost

    A request that is refused before its pings are known is one of both received and refused. ``recovered`` are those
    that the spool held at the start, ``spooled`` those that it holds, ``lost`` those that its disk doesn't give back.
    """

    def __init__(self) -> None:
        self.received = 0
        self.recovered = 0
        self.stored_by_product: Counter[int] = Counter()
        self.duplicates = 0
        self.quarantined = 0
        self.unverified = 0
        self.pending = 0
        self.refused: Counter[str] = Counter()
        self.batch_pings = Histogram(_BATCH_PINGS)
        self.commits = Histogram(_COMMIT_S)
        self.spooled = 0
        self.spooled_total = 0
        self.spool_bytes = 0
        self.spool_oldest_s = 0.0  # Unix time of the oldest ping in the spool, 0 where it is empty
        self.spool_damaged = 0
        self.lost = 0
        self.is_ready = True
        self.is_database_away = False
        self.folded = 0
        self.fold_s = 0.0
        self.folded_until_s = time.time()  # Unix time up to which all that is committed is folded
        self.viewers = 0
        self.viewers_cut = 0

    @property
    def stored(self) -> int:
        """Pings committed by this process."""
        return self.stored_by_product.total()

    @property
    def batches(self) -> int:
        """Commits of pings."""
        return sum(self.commits.counts)

    @property
    def commit_s(self) -> float:
        """Seconds spent in commits, in all."""
        return self.commits.sum

    @property
    def rollup_lag_s(self) -> float:
        """How far the summaries are behind; a keeper that can't work lets it grow."""
        return max(0.0, time.time() - self.folded_until_s)

    @property
    def spool_age_s(self) -> float:
        """For how long the oldest ping in the spool has waited for the database."""
        return max(0.0, time.time() - self.spool_oldest_s) if self.spool_oldest_s else 0.0

    def refuse(self, reason: str, pings: int = 1) -> None:
        """Count pings, or requests that are none, that were answered with a refusal, under its reason."""
        self.refused[reason] += pings


class _TallyCollector(Collector):
    def __init__(self, tally: Tally, products: Mapping[str, int]) -> None:
        self._tally = tally
        self._products = products

    def collect(self) -> Iterator[Metric]:
        t = self._tally
        counters = (
            ("received", "Requests and batch lines that arrived, whatever became of them.", t.received),
            ("recovered", "Pings found in the spool when this process started.", t.recovered),
            ("duplicates", "Pings that were stored already.", t.duplicates),
            ("quarantined", "Pings that PostgreSQL refused, kept in the table quarantine.", t.quarantined),
            ("unverified", "Pings of installs beyond the ceiling of their network.", t.unverified),
            ("spooled_pings", "Pings answered once they were on this machine's disk.", t.spooled_total),
            ("spool_damaged", "Places in the spool that could not be read.", t.spool_damaged),
            ("lost", "Pings that were in the spool, and can't be read any more.", t.lost),
            ("folded", "Pings folded into the summaries by this process.", t.folded),
            ("fold_seconds", "Time spent folding.", t.fold_s),
            ("viewers_cut", "Viewers disconnected because they stopped reading.", t.viewers_cut),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(f"callhome_{name}", text, value=value)
        yield from self._gauges()
        yield self._stored()
        yield self._refused()
        histograms = (
            ("batch_pings", "Pings in a commit.", t.batch_pings),
            ("commit_seconds", "Time that a commit took, tries that failed included.", t.commits),
        )
        for name, text, histogram in histograms:
            family = HistogramMetricFamily(f"callhome_{name}", text)
            family.add_metric((), histogram.buckets(), histogram.sum)
            yield family

    def _gauges(self) -> Iterator[Metric]:
        t = self._tally
        gauges = (
            ("pending", "Pings waiting for their commit.", t.pending),
            ("spooled", "Pings in the spool, waiting for the database.", t.spooled),
            ("spool_bytes", "Size of the spool.", t.spool_bytes),
            ("spool_age_seconds", "How long the oldest ping in the spool has waited.", t.spool_age_s),
            (
                "database_away",
                "1 while pings go to the spool, or would, since commits fail or hang.",
                t.is_database_away,
            ),
            ("ready", "What /readyz says: 1 ready, 0 not.", t.is_ready),
            ("rollup_lag_seconds", "Age of the oldest batch that may not be folded yet.", t.rollup_lag_s),
            ("viewers", "Viewers connected to /live.", t.viewers),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"callhome_{name}", text, value=value)

    def _stored(self) -> Metric:
        stored = CounterMetricFamily(
            "callhome_stored", "Pings committed by this process, by product.", labels=("product",)
        )
        keys = {number: key for key, number in self._products.items()}
        for number, count in self._tally.stored_by_product.items():
            stored.add_metric((keys.get(number, str(number)),), count)
        return stored

    def _refused(self) -> Metric:
        refused = CounterMetricFamily(
            "callhome_refused", "Pings and other requests refused, by reason.", labels=("reason",)
        )
        for reason, count in self._tally.refused.items():
            refused.add_metric((reason,), count)
        return refused


def render(tally: Tally, products: Mapping[str, int] | None = None) -> bytes:
    """Return the counters in the Prometheus text format, version 0.0.4; ``products`` maps keys to numbers."""
    registry = CollectorRegistry()
    registry.register(_TallyCollector(tally, products or {}))
    return generate_latest(registry)
