"""The metrics of several workers as one text."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from callhome.metrics import Tally, render
from callhome.workers.merge import merged, restarts


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what a text tells, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_each_sample_gets_its_worker() -> None:
    """Counters, gauges and histograms of all are there once with each worker's label, beside their own labels."""
    told = {}
    for number in (1, 2):
        tally = Tally()
        tally.received = 10 * number
        tally.refuse("no_such_product", number)
        tally.commits.observe(0.5)
        told[number] = render(tally)
    text = merged(told)
    found = samples(text)
    for number in (1, 2):
        worker = ("worker", str(number))
        assert found["callhome_received_pings_total", frozenset({worker})] == 10 * number
        assert (
            found["callhome_refused_pings_total", frozenset({worker, ("reason", "no_such_product")})]
            == number
        )
        assert found["callhome_commit_seconds_bucket", frozenset({worker, ("le", "0.5")})] == 1
        assert found["callhome_worker_up", frozenset({worker})] == 1
    types = [line for line in text.splitlines() if line.startswith(b"# TYPE callhome_received_pings_total")]
    assert types == [b"# TYPE callhome_received_pings_total counter"]
    one, two = (samples(told[number]).keys() for number in (1, 2))
    assert len(found) == len(one) + len(two) + 2


@pytest.mark.parametrize("text", [None, b"", b"callhome_x{", b"x 1\ny z", b"\xff"])
def test_who_tells_nothing_is_down(text: bytes | None) -> None:
    """A worker without a text, or with one that can't be read, is down, and the others' are there."""
    found = samples(merged({1: b"callhome_x 3\n", 2: text}))
    assert found == {
        ("callhome_x", frozenset({("worker", "1")})): 3,
        ("callhome_worker_up", frozenset({("worker", "1")})): 1,
        ("callhome_worker_up", frozenset({("worker", "2")})): 0,
    }


def test_it_reads_whatever_the_library_writes() -> None:
    """Any label's value and any number come through as the library reads them."""
    registry = CollectorRegistry()
    gauge = Gauge("callhome_x", 'a "x" \\ \n b', ("product", "b"), registry=registry)
    values = ['a"b', "a\\", "a\nb", '",x="', "", "} 1", "é\x85\u2028\r #", "a, b"]
    numbers = [math.inf, -math.inf, 1e-9, 1.5e300, -0.0]
    for value in values:
        for number in numbers:
            gauge.labels(value, str(number)).set(number)
    text = generate_latest(registry)
    found = samples(merged({1: text}))
    expected = {
        (name, labels | {("worker", "1")}): number for (name, labels), number in samples(text).items()
    }
    assert len(expected) == len(values) * len(numbers)
    assert found == expected | {("callhome_worker_up", frozenset({("worker", "1")})): 1}
    assert merged({1: text}).splitlines()[:2] == text.splitlines()[:2]


def test_restarts_are_the_supervisors() -> None:
    """What the supervisor counts has the label already."""
    found = samples(merged({1: b"x 1\n", 2: b"x 1\n"}, restarts({1: 0, 2: 7})))
    assert found["callhome_worker_restarts_total", frozenset({("worker", "1")})] == 0
    assert found["callhome_worker_restarts_total", frozenset({("worker", "2")})] == 7
