"""``python -m bench.imports``: how long ``callhome license import`` takes, the whole command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click

import callhome
from callhome.errors import CallhomeError
from callhome.store.connection import connect

from .command import Run, bench
from .machine import pinned
from .site import SECRET


@bench("imports", remote=False)
@click.option("--lines", type=click.IntRange(1, 1_000_000), help="Lines of the file, a license each.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Imports of other licenses; the median counts.")
def main(run: Run, lines: int, rounds: int) -> None:
    """A CSV file of licenses, imported with the real command into a PostgreSQL of our own; then again, unchanged."""
    new, again = [], []
    with run.postgres() as dsn, tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            file = Path(folder) / f"{turn}.csv"
            file.write_text(_csv(run.product, turn, lines), "utf-8")
            with pinned(run.layout.server):
                new.append(_import_s(dsn, file))
                again.append(_import_s(dsn, file))
        count = asyncio.run(_count(dsn))
    run.report.check(f"{count:,} licenses are registered", count == lines * rounds)
    run.report.figure("import_s", f"import of {lines:,} lines", median(new), "s")
    run.report.figure("again_s", "the same file again, unchanged", median(again), "s")


def _csv(product: str, turn: int, lines: int) -> str:
    rows = (
        f"KEY-{turn:02}-{number:012X},Customer {number % 5000},{product},{1 + number % 200},2027-12-31,1.25"
        for number in range(lines)
    )
    return "\n".join(("key,customer,product,seats,ends,overage", *rows)) + "\n"


def _import_s(dsn: str, file: Path) -> float:
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "CALLHOME_DATABASE_URL": dsn,
        "CALLHOME_SECRET": SECRET,
        "PYTHONPATH": str(Path(callhome.__file__).parents[1]),
    }
    command = [sys.executable, "-m", "callhome", "license", "import", str(file)]
    begun_s = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CallhomeError(f"the import failed; it said:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begun_s


async def _count(dsn: str) -> int:
    connection = await connect(dsn, "bench")
    try:
        return int(await connection.fetchval("SELECT count(*) FROM license"))
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
