"""`callhome.metrics`: what was counted, as Prometheus reads it."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from callhome.metrics import Tally, render


def test_every_counter_is_rendered_with_its_value() -> None:
    """Each figure of the tally is in the text under its own name, refusals by reason."""
    tally = Tally()
    figures = [name for name in vars(tally) if name not in ("refused", "folded_until_s")]
    tally.folded_until_s = time.time() - 3_600
    for number, name in enumerate(figures, 1):
        setattr(tally, name, number)
    tally.refuse("unknown_product", 3)
    tally.refuse("unknown_product")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render(tally).decode())
        for sample in family.samples
    }
    assert 3_600 <= samples.pop(("callhome_rollup_lag_seconds",)) < 7_200
    assert sorted(value for key, value in samples.items() if "refused" not in key[0]) == list(
        range(1, len(figures) + 1)
    )
    assert samples["callhome_refused_total", "unknown_product"] == 4
