"""``python -m bench.answers``: what it takes to know a license's verdict and the newest release, for each ping."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from statistics import median

import click

from callhome.licenses.model import Terms
from callhome.releases.advice import Advisor
from callhome.releases.model import Release, Severity

from .command import Run, bench
from .machine import describe, pinned

# Ten products with some versions each, on two channels.
_PRODUCTS = 10
_CALLS = 100_000


@bench("answers", remote=False)
@click.option("--licenses", type=click.IntRange(1, 1_000_000), help="Registered licenses.")
@click.option("--releases", type=click.IntRange(1, 10_000), help="Registered releases.")
@click.option("--rounds", type=click.IntRange(1, 100), help="The median counts.")
def main(run: Run, licenses: int, releases: int, rounds: int) -> None:
    """Time of a verdict and an update answer in memory, without the ping around it.

    Each call is another license out of all, and an install's version among those that are out there; a tenth of the
    releases is offered to half of the installs. Beside it, versions that nobody has sent before.
    """
    run.report.machine |= describe()
    advisor = _advisor(licenses, releases)
    rng = random.Random(1)
    calls = [
        (
            f"product-{number % _PRODUCTS}",
            f"{rng.randrange(4)}.{rng.randrange(5)}.0",
            rng.choice((None, "beta")),
            number.to_bytes(16, "big"),
            rng.randbytes(16),
        )
        for number in rng.choices(range(licenses), k=_CALLS)
    ]
    with pinned(run.layout.server):
        known = [_time_us(advisor, calls) for _ in range(rounds + 1)][1:]
        new = [
            _time_us(
                advisor,
                [("product-1", f"9.{turn}.{n}", None, calls[0][3], calls[0][4]) for n in range(20_000)],
            )
            for turn in range(rounds)
        ]
    told = sum(advisor.advise(*call) is not None for call in calls)
    run.report.check(f"{told:,} of {len(calls):,} pings are told something", told == len(calls))
    run.report.figure("answer_us", "verdict and update answer", median(known), "µs")
    run.report.figure("new_version_us", "the same for a version that is new", median(new), "µs")


def _advisor(licenses: int, releases: int) -> Advisor:
    advisor = Advisor({f"product-{number}": number for number in range(_PRODUCTS)}, 86_400, time.time())
    today = datetime.now(UTC).date()
    advisor.set_releases(
        Release(
            id=number,
            product=number % _PRODUCTS,
            version=f"{number // 50}.{number // 10 % 5}.{number % 3}",
            channel="beta" if number % 7 == 0 else "stable",
            day=date(2026, 1, 1),
            severity=list(Severity)[number % 3],
            url=f"https://www.example.com/download/{number}",
            notes_url=None,
            share=50 if number % 10 == 3 else 100,
            oldest=None,
        )
        for number in range(releases)
    )
    advisor.set_licenses(
        {
            number.to_bytes(16, "big"): Terms(
                product=number % _PRODUCTS,
                starts=None,
                ends=today + timedelta(days=number % 400 - 20),
                grace_days=14,
                revoked_on=None,
                is_over=number % 50 == 0,
            )
            for number in range(licenses)
        }
    )
    return advisor


def _time_us(advisor: Advisor, calls: list[tuple[str, str, str | None, bytes, bytes]]) -> float:
    advise = advisor.advise
    begun_s = time.perf_counter()
    for call in calls:
        advise(*call)
    return (time.perf_counter() - begun_s) / len(calls) * 1e6


if __name__ == "__main__":
    main()
