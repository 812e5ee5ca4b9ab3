"""`callhome.metrics`: what was counted, as Prometheus reads it."""

from __future__ import annotations

import time
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families

from callhome.metrics import Tally, render


def samples_of(tally: Tally, products: dict[str, int] | None = None) -> dict[tuple[str, ...], float]:
    """What Prometheus reads: name and labels' values -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render(tally, products).decode())
        for sample in family.samples
    }


def test_every_counter_is_rendered_with_its_value() -> None:
    """Each figure of the tally is in the text under its own name, refusals by reason, stored pings by product."""
    tally = Tally()
    apart = {"refused", "stored_by_product", "folded_until_s", "spool_oldest_s", "batch_pings", "commits"}
    figures = [name for name in vars(tally) if name not in apart]
    tally.folded_until_s = tally.spool_oldest_s = time.time() - 3_600
    for number, name in enumerate(figures, 1_001):
        setattr(tally, name, number)
    tally.refuse("unknown_product", 3)
    tally.refuse("unknown_product")
    tally.stored_by_product += Counter({7: 5, 8: 6})
    samples = samples_of(tally, {"es": 7})
    assert 3_600 <= samples.pop(("callhome_rollup_lag_seconds",)) < 7_200
    assert 3_600 <= samples.pop(("callhome_spool_age_seconds",)) < 7_200
    assert sorted(value for value in samples.values() if value > 1_000) == list(
        range(1_001, 1_001 + len(figures))
    )
    assert samples["callhome_refused_total", "unknown_product"] == 4
    assert samples["callhome_stored_total", "es"] == 5
    assert samples["callhome_stored_total", "8"] == 6, "of a product that is gone"


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
