"""What this process has counted since it started, and its Prometheus text.

The counters are plain integers: one event loop changes them, so they need no lock. What is not counted as it happens
is read for each scrape: `callhome.measuring`.
"""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from . import __version__

# Upper bounds. A commit takes milliseconds; after 2 s it is spooled, after 10 s given up.
_COMMIT_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_BATCH_PINGS: Final = (1.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)
# A timer is late by what else the loop has to do: less than a millisecond at rest, more than a second is a fault.
_LAG_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


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


@dataclass(frozen=True, slots=True)
class Task:
    """How a task of the background fares.

    ``succeeded_s`` is the Unix time at which it went well last, 0 where it never did. ``is_connected``: it has its
    connection to the database; None where it has none of its own.
    """

    name: str
    succeeded_s: float
    interruptions: int
    is_connected: bool | None


@dataclass(frozen=True, slots=True)
class Connections:
    """How many are open on a listener, and how many may be."""

    open: int
    limit: int


@dataclass(frozen=True, slots=True)
class SpoolRoom:
    """What a spool holds and may hold; of its disk, which part is used, and from which on it takes nothing."""

    bytes: int
    limit_bytes: int
    disk_used_ratio: float
    disk_limit_ratio: float


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
        self.spool: SpoolRoom | None = None
        self.spool_oldest_s = 0.0  # Unix time of the oldest ping in the spool, 0 where it is empty
        self.spool_damaged = 0
        self.lost = 0
        self.is_ready = True
        self.is_database_away = False
        self.folded = 0
        self.fold_s = 0.0
        self.folded_s = 0.0  # Unix time of the last fold here, 0 where there was none
        self.folded_until_s = time.time()  # Unix time up to which all that is committed is folded
        self.unfolded_batches = 0
        self.unfolded_pings = 0
        self.partitions_kept_s = 0.0  # Unix time
        self.partitions_failed = 0
        self.viewers = 0
        self.viewers_cut = 0
        self.connections: dict[str, Connections] = {}  # by listener
        self.tasks: Sequence[Task] = ()
        self.deliveries: Mapping[str, Mapping[str, int]] = {}  # by queue and outcome
        self.loop_lag = Histogram(_LAG_S)

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


# Values by their labels' values.
_Samples = Iterable[tuple[tuple[str, ...], float]]


class _TallyCollector(Collector):
    def __init__(self, tally: Tally, products: Mapping[str, int], reasons: Iterable[str]) -> None:
        self._tally = tally
        self._products = products
        self._reasons = reasons

    def collect(self) -> Iterator[Metric]:
        for name, text, value in _counters(self._tally):
            yield CounterMetricFamily(f"callhome_{name}", text, value=value)
        for name, text, value in _gauges(self._tally):
            yield GaugeMetricFamily(f"callhome_{name}", text, value=value)
        for kind, name, text, labels, samples in _labelled(self._tally, self._products, self._reasons):
            family = kind(f"callhome_{name}", text, labels=labels)
            for values, value in samples:
                family.add_metric(values, value)
            yield family
        for name, text, histogram in _histograms(self._tally):
            timed = HistogramMetricFamily(f"callhome_{name}", text)
            timed.add_metric((), histogram.buckets(), histogram.sum)
            yield timed


def _counters(t: Tally) -> Iterator[tuple[str, str, float]]:
    yield "received_pings", "Requests and batch lines that arrived, whatever became of them.", t.received
    yield "recovered_pings", "Pings found in the spool when this process started.", t.recovered
    yield "duplicate_pings", "Pings that were stored already.", t.duplicates
    yield "quarantined_pings", "Pings that PostgreSQL refused, kept in the table quarantine.", t.quarantined
    yield "unverified_pings", "Pings of installs beyond the ceiling of their network.", t.unverified
    yield "spooled_pings", "Pings answered once they were on this machine's disk.", t.spooled_total
    yield "spool_damaged_places", "Places in the spool that could not be read.", t.spool_damaged
    yield "lost_pings", "Pings that were in the spool, and can't be read any more.", t.lost
    yield "folded_pings", "Pings folded into the summaries by this process.", t.folded
    yield "fold_seconds", "Time spent folding.", t.fold_s
    yield "viewers_cut", "Viewers disconnected because they stopped reading.", t.viewers_cut


def _gauges(t: Tally) -> Iterator[tuple[str, str, float]]:
    yield "pending_pings", "Pings waiting for their commit.", t.pending
    yield "spool_pings", "Pings in the spool, waiting for the database.", t.spooled
    yield "spool_age_seconds", "How long the oldest ping in the spool has waited.", t.spool_age_s
    if t.spool is not None:
        yield "spool_bytes", "Size of the spool.", t.spool.bytes
        yield "spool_limit_bytes", "Size that the spool may have.", t.spool.limit_bytes
        yield "spool_disk_used_ratio", "Used part of the spool's file system.", t.spool.disk_used_ratio
        yield (
            "spool_disk_limit_ratio",
            "Used part of its file system from which on the spool takes nothing.",
            t.spool.disk_limit_ratio,
        )
    yield (
        "database_away",
        "1 while pings go to the spool, or would, since commits fail or hang.",
        t.is_database_away,
    )
    yield "ready", "What /readyz says: 1 ready, 0 not.", t.is_ready
    yield "rollup_lag_seconds", "Age of the oldest batch that may not be folded yet.", t.rollup_lag_s
    yield (
        "unfolded_batches",
        "Batches that waited to be folded when this process looked last.",
        t.unfolded_batches,
    )
    yield "unfolded_pings", "Pings that waited to be folded when this process looked last.", t.unfolded_pings
    yield "last_fold_timestamp_seconds", "When this process folded pings last; 0: never.", t.folded_s
    yield "viewers", "Viewers connected to /live.", t.viewers


def _labelled(
    t: Tally, products: Mapping[str, int], reasons: Iterable[str]
) -> Iterator[
    tuple[type[CounterMetricFamily] | type[GaugeMetricFamily], str, str, tuple[str, ...], _Samples]
]:
    counter, gauge = CounterMetricFamily, GaugeMetricFamily
    build = [((__version__, platform.python_version()), 1.0)]
    yield gauge, "build_info", "1, with the version that runs.", ("version", "python"), build
    keys = {number: key for key, number in products.items()}
    # At 0 from the beginning: of a counter that appears with its first ping, that one's increase is never seen.
    stored = {number: t.stored_by_product[number] for number in (*keys, *t.stored_by_product)}
    yield counter, "stored_pings", "Pings committed by this process.", ("product",), [
        ((keys.get(number, str(number)),), count) for number, count in stored.items()
    ]  # fmt: skip
    refused = [((reason,), float(t.refused[reason])) for reason in dict.fromkeys((*reasons, *t.refused))]
    yield counter, "refused_pings", "Pings and other requests refused.", ("reason",), refused
    outcomes = [
        ((queue, outcome), float(count))
        for queue, counts in t.deliveries.items()
        for outcome, count in counts.items()
    ]
    yield counter, "deliveries", "Tries to deliver mails and alert messages.", ("queue", "outcome"), outcomes
    by_listener = t.connections.items()
    yield gauge, "connections", "Open connections.", ("listener",), [((at,), n.open) for at, n in by_listener]
    limits = [((at,), float(n.limit)) for at, n in by_listener]
    yield gauge, "connections_limit", "Connections that may be open.", ("listener",), limits
    succeeded = [((task.name,), task.succeeded_s) for task in t.tasks]
    text = "When a task of the background went well last; 0: never."
    yield gauge, "task_last_success_timestamp_seconds", text, ("task",), succeeded
    interruptions = [((task.name,), float(task.interruptions)) for task in t.tasks]
    text = "How often a task failed, or lost its connection to the database."
    yield counter, "task_interruptions", text, ("task",), interruptions
    connected = [
        ((task.name,), float(task.is_connected)) for task in t.tasks if task.is_connected is not None
    ]
    yield gauge, "task_connected", "1 while a task has its connection to the database.", ("task",), connected


def _histograms(t: Tally) -> Iterator[tuple[str, str, Histogram]]:
    yield "batch_pings", "Pings in a commit.", t.batch_pings
    yield "commit_seconds", "Time that a commit took, tries that failed included.", t.commits
    yield "loop_lag_seconds", "How late a timer of the event loop was, looked at twice a second.", t.loop_lag


def render(tally: Tally, products: Mapping[str, int] | None = None, reasons: Iterable[str] = ()) -> bytes:
    """Return the counters and those of the process in the Prometheus text format, version 0.0.4.

    ``products`` maps keys to numbers; ``reasons`` are those of refusals that are told though there was none.
    """
    registry = CollectorRegistry()
    registry.register(_TallyCollector(tally, products or {}, reasons))
    ProcessCollector(registry=registry)  # where there is a /proc
    return generate_latest(registry)
