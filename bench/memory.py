"""``python -m bench.memory``: the server's resident memory with many connections under load."""

from __future__ import annotations

from typing import Final

import click
import psutil
import uvloop

from callhome.errors import UsageError

from . import books
from .command import Run, bench
from .drive import Plan, connected, load_options, sampling, verify
from .site import Site

_LOOK_S: Final = 0.2
_MB: Final = 1e6


@bench("memory")
@load_options
@click.option("--pid", type=int, help="The server's process, where --url names one on this machine.")
def main(run: Run, rate: int, seconds: float, connections: int, pid: int | None) -> None:
    """Resident memory of the server: idle, with its connections open, and under load over all of them."""
    plan = Plan(rate, seconds, connections)
    with run.site() as site:
        process_id = pid or site.pid
        if process_id is None:
            raise UsageError("name the server's process with --pid")
        try:
            process = psutil.Process(process_id)
        except psutil.NoSuchProcess:
            raise UsageError(f"no process {process_id} on this machine") from None
        uvloop.run(_measure(run, site, plan, process))


async def _measure(run: Run, site: Site, plan: Plan, process: psutil.Process) -> None:
    pings, report = run.pings(), run.report

    async def resident_mb() -> float:
        return float(process.memory_info().rss / _MB)

    async with books.opened(site) as open_books:
        report.figure("rss_idle_mb", "resident, no connection", await resident_mb(), "MB")
        async with connected(site, pings, plan) as load:
            report.figure("rss_open_mb", "resident, connections open", await resident_mb(), "MB")
            async with sampling(resident_mb, _LOOK_S) as samples_mb:
                outcome = await load.run()
            report.figure(
                "rss_max_mb", f"resident, {plan.connections:,} connections under load", max(samples_mb), "MB"
            )
        report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
        await verify(report, open_books, pings.tag, outcome)


if __name__ == "__main__":
    main()
