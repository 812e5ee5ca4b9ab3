"""The metrics of all workers as one text: each sample gets the label ``worker``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL: Final = "worker"


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def merged(told: Mapping[int, bytes | None], supervisor: bytes | None = None) -> bytes:
    """Return one text of what the workers told, by number; ``None`` is one that told nothing.

    What the ``supervisor`` told is added as it is. A text that can't be read is as none.
    """
    families: dict[str, Metric] = {}
    up = GaugeMetricFamily("callhome_worker_up", "1 for a worker that told its metrics.", labels=(LABEL,))
    for number, text in sorted(told.items()):
        found = _read(text)
        for family in found:
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                into.add_sample(sample.name, {LABEL: str(number), **sample.labels}, sample.value)
        up.add_metric((str(number),), float(bool(found)))
    return _text((*families.values(), up, *_read(supervisor)))


def restarts(counts: Mapping[int, int]) -> bytes:
    """Return how often each worker was started again, as a text."""
    family = CounterMetricFamily(
        "callhome_worker_restarts", "How often the worker died and was started again.", labels=(LABEL,)
    )
    for number, count in counts.items():
        family.add_metric((str(number),), count)
    return _text((family,))


def _read(text: bytes | None) -> list[Metric]:
    try:
        return list(text_string_to_metric_families((text or b"").decode()))
    except ValueError:
        return []


def _text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry)
