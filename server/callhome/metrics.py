"""What this process has counted since it started, and its Prometheus text.

The counters are plain integers: one event loop changes them, so they need no lock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally:
    """Counts pings: ``received = stored + duplicates + refused + pending`` holds whenever the loop is idle.

    A request that is refused before its pings are known is one of both received and refused.
    """

    def __init__(self) -> None:
        self.received = 0
        self.stored = 0
        self.duplicates = 0
        self.pending = 0
        self.refused: Counter[str] = Counter()
        self.batches = 0
        self.commit_s = 0.0
        self.folded = 0
        self.fold_s = 0.0
        self.folded_until_s = time.time()  # Unix time up to which all that is committed is folded
        self.viewers = 0
        self.viewers_cut = 0

    @property
    def rollup_lag_s(self) -> float:
        """How far the summaries are behind; a keeper that can't work lets it grow."""
        return max(0.0, time.time() - self.folded_until_s)

    def refuse(self, reason: str, pings: int = 1) -> None:
        """Count pings, or requests that are none, that were answered with a refusal, under its reason."""
        self.refused[reason] += pings


class _TallyCollector(Collector):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        t = self._tally
        counters = (
            ("received", "Requests and batch lines that arrived, whatever became of them.", t.received),
            ("stored", "Pings committed by this process.", t.stored),
            ("duplicates", "Pings that were stored already.", t.duplicates),
            ("batches", "Batches committed.", t.batches),
            ("commit_seconds", "Time spent in commits.", t.commit_s),
            ("folded", "Pings folded into the summaries by this process.", t.folded),
            ("fold_seconds", "Time spent folding.", t.fold_s),
            ("viewers_cut", "Viewers disconnected because they stopped reading.", t.viewers_cut),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(f"callhome_{name}", text, value=value)
        gauges = (
            ("pending", "Pings waiting for their commit.", t.pending),
            ("rollup_lag_seconds", "Age of the oldest batch that may not be folded yet.", t.rollup_lag_s),
            ("viewers", "Viewers connected to /live.", t.viewers),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"callhome_{name}", text, value=value)
        refused = CounterMetricFamily(
            "callhome_refused", "Pings and other requests refused, by reason.", labels=("reason",)
        )
        for reason, count in t.refused.items():
            refused.add_metric((reason,), count)
        yield refused


def render(tally: Tally) -> bytes:
    """Return the counters in the Prometheus text format, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_TallyCollector(tally))
    return generate_latest(registry)
