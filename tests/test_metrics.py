"""`callhome.metrics`: what was counted, as Prometheus reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from callhome import __version__
from callhome.metrics import Connections, SpoolRoom, Tally, Task, render

# What is in the tally as something else than a number.
APART = {
    *("refused", "stored_by_product", "batch_pings", "commits", "loop_lag"),
    *("connections", "tasks", "deliveries", "spool", "folded_until_s", "spool_oldest_s"),
    # Those of the task ``partitions``: see test_measuring.py.
    *("partitions_kept_s", "partitions_failed"),
}


def samples_of(
    tally: Tally, products: dict[str, int] | None = None, reasons: tuple[str, ...] = ()
) -> dict[tuple[str, ...], float]:
    """What Prometheus reads: name and labels' values -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render(tally, products, reasons).decode())
        for sample in family.samples
    }


def test_every_counter_is_rendered_with_its_value() -> None:
    """Each figure of the tally is in the text under its own name, refusals by reason, stored pings by product."""
    tally = Tally()
    figures = [name for name in vars(tally) if name not in APART]
    tally.folded_until_s = tally.spool_oldest_s = time.time() - 3_600
    for number, name in enumerate(figures, 1_001):
        setattr(tally, name, number)
    tally.refuse("unknown_product", 3)
    tally.refuse("unknown_product")
    tally.stored_by_product += Counter({7: 5, 8: 6})
    samples = samples_of(tally, {"es": 7})
    assert 3_600 <= samples.pop(("callhome_rollup_lag_seconds",)) < 7_200
    assert 3_600 <= samples.pop(("callhome_spool_age_seconds",)) < 7_200
    ours = [value for (name, *_), value in samples.items() if name.startswith("callhome_")]
    assert sorted(value for value in ours if value > 1_000) == list(range(1_001, 1_001 + len(figures)))
    assert samples["callhome_refused_pings_total", "unknown_product"] == 4
    assert samples["callhome_stored_pings_total", "es"] == 5
    assert samples["callhome_stored_pings_total", "8"] == 6, "of a product that is gone"


def test_counters_are_there_before_they_count() -> None:
    """Each product and each reason has its counter at 0, since Prometheus sees no increase of what is new."""
    samples = samples_of(Tally(), {"es": 7}, ("overloaded",))
    assert samples["callhome_stored_pings_total", "es"] == 0
    assert samples["callhome_refused_pings_total", "overloaded"] == 0


def test_what_belongs_together_has_labels() -> None:
    """Listeners, tasks, queues and the spool are told one by one; a task without a connection has no such gauge."""
    tally = Tally()
    assert ("callhome_spool_limit_bytes",) not in samples_of(tally), "it has no spool"
    tally.spool = SpoolRoom(1, 2, 0.25, 0.9)
    tally.connections["ingest"] = Connections(3, 4)
    tally.tasks = [Task("keeper", 5.0, 6, True), Task("partitions", 7.0, 8, None)]
    tally.deliveries = {"mails": {"sent": 9, "failed": 0}}
    expected = {
        ("spool_bytes",): 1,
        ("spool_limit_bytes",): 2,
        ("spool_disk_used_ratio",): 0.25,
        ("spool_disk_limit_ratio",): 0.9,
        ("connections", "ingest"): 3,
        ("connections_limit", "ingest"): 4,
        ("task_last_success_timestamp_seconds", "keeper"): 5,
        ("task_last_success_timestamp_seconds", "partitions"): 7,
        ("task_interruptions_total", "keeper"): 6,
        ("task_interruptions_total", "partitions"): 8,
        ("task_connected", "keeper"): 1,
        ("deliveries_total", "sent", "mails"): 9,
        ("deliveries_total", "failed", "mails"): 0,
    }
    samples = samples_of(tally)
    assert {(f"callhome_{name}", *labels): value for (name, *labels), value in expected.items()}.items() <= (
        samples.items()
    )
    assert ("callhome_task_connected", "partitions") not in samples


def test_the_process_and_its_version_are_told() -> None:
    """What Prometheus calls the process's metrics is there, of this process, and which version it is."""
    samples = samples_of(Tally())
    assert abs(samples["process_start_time_seconds",] - time.time()) < 86_400
    assert samples["process_open_fds",] <= samples["process_max_fds",]
    assert samples["process_resident_memory_bytes",] > 2**20
    assert samples["process_cpu_seconds_total",] <= sum(os.times()[:2])
    assert [key[2] for key in samples if key[0] == "callhome_build_info"] == [__version__]


def test_histograms_count_up_to_each_bound() -> None:
    """A value counts in its own bound and all above, once, and in the sum."""
    tally = Tally()
    for taken_s in (0.0005, 0.005, 0.3, 60.0):
        tally.commits.observe(taken_s)
    samples = samples_of(tally)
    bounds = {"0.001": 1, "0.005": 2, "0.2": 2, "0.5": 3, "10.0": 3, "+Inf": 4}
    assert {bound: samples["callhome_commit_seconds_bucket", bound] for bound in bounds} == bounds
    assert samples["callhome_commit_seconds_count",] == tally.batches == 4
    assert samples["callhome_commit_seconds_sum",] == tally.commit_s == 60.3055


def test_promtool_finds_no_fault_with_names() -> None:
    """Names, units, types and help texts are as Prometheus' own linter has them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: apt-get install prometheus")
    tally = Tally()
    tally.spool = SpoolRoom(1, 2, 0.25, 0.9)
    tally.connections["ingest"] = Connections(3, 4)
    tally.tasks = [Task("keeper", 5.0, 6, True)]
    tally.deliveries = {"mails": {"sent": 9}}
    done = subprocess.run(
        [promtool, "check", "metrics"], input=render(tally), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
