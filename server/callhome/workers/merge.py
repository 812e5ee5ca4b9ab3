"""The metrics of all workers as one text: each sample gets the label ``worker``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

LABEL: Final = "worker"
# What `generate_latest` writes: name, labels, value. Read as a line: the library's parser takes ten times as long.
_SAMPLE: Final = re.compile(
    r'([a-zA-Z_:][\w:]*+)(?:\{((?:[a-zA-Z_]\w*+="(?:[^"\\]|\\.)*+",?)*+)\})? (\S+)', re.ASCII
)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


@dataclass(slots=True)
class _Lines:
    """What a text has of a family: its comments, and its samples."""

    comments: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merged(told: Mapping[int, bytes | None], supervisor: bytes | None = None) -> bytes:
    """Return one text of what the workers told, by number; ``None`` is one that told nothing.

    What the ``supervisor`` told is added as it is. A text that can't be read is as none.
    """
    families: dict[str, _Lines] = {}
    up = GaugeMetricFamily("callhome_worker_up", "1 for a worker that told its metrics.", labels=(LABEL,))
    for number, text in sorted(told.items()):
        found = _read(text, f'{LABEL}="{number}"')
        for name, lines in found.items():
            # The first has the comments: the others' are the same.
            families.setdefault(name, _Lines(lines.comments)).samples.extend(lines.samples)
        up.add_metric((str(number),), float(bool(found)))
    parts = [*families.values(), *_read(_text((up,))).values(), *_read(supervisor).values()]
    return "".join(f"{line}\n" for part in parts for line in (*part.comments, *part.samples)).encode()


def restarts(counts: Mapping[int, int]) -> bytes:
    """Return how often each worker was started again, as a text."""
    family = CounterMetricFamily(
        "callhome_worker_restarts", "How often the worker died and was started again.", labels=(LABEL,)
    )
    for number, count in counts.items():
        family.add_metric((str(number),), count)
    return _text((family,))


def _read(text: bytes | None, label: str = "") -> dict[str, _Lines]:
    """Return a text's families by name, each sample with that label more; none where it can't be read."""
    families: dict[str, _Lines] = {}
    name = ""
    try:
        for line in (text or b"").decode().split("\n"):
            if line.startswith(("# HELP ", "# TYPE ")):
                name = line.split(" ", 3)[2]
                families.setdefault(name, _Lines()).comments.append(line)
            elif line and not line.startswith("#"):
                of, sample = _sample(line, label)
                if not name or not of.startswith(name):
                    name = of
                families.setdefault(name, _Lines()).samples.append(sample)
    except ValueError:
        return {}
    return families


def _sample(line: str, label: str) -> tuple[str, str]:
    """Return a sample's name, and its line with the label more. Raises ``ValueError`` where it is none."""
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError(line)
    name, labels, value = match.groups()
    float(value)
    labels = ",".join(filter(None, (label, labels)))
    return name, f"{name}{{{labels}}} {value}" if labels else line


def _text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry)
