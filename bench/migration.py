"""``python -m bench.migration``: how long ``callhome import`` takes, all of it, until rows are durable and counted."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

import callhome
from callhome.errors import CallhomeError
from callhome.store.connection import connect

from .command import Run, bench
from .machine import Layout, pinned
from .report import say
from .site import SECRET

# Each install pings so often over the whole time.
_PINGS: Final = 100
_MAPPING: Final = """
[time]
column = "when"
[fields]
product = "program"
version = "version"
build = "build"
install = "install"
license = "serial"
users = "users"
os = "system"
address = "address"
"""
_SAID: Final = re.compile(r"Read in ([\d.]+) s, stored after ([\d.]+) s .*\nCounted after ([\d.]+) s")
# Lines made at a time, so that a file of any size takes no memory.
_LINES: Final = 100_000


# The command tells seconds with one digit behind the point: a short file took less than half of the last.
_SHOWN_S: Final = 0.05


@bench("migration", remote=False)
@click.option("--rows", type=click.IntRange(1, 1_000_000_000), help="Lines of the file, a ping each.")
@click.option(
    "--days", type=click.IntRange(2, 3_650), help="Days that they are spread over, up to yesterday."
)
def main(run: Run, rows: int, days: int) -> None:
    """An export as CSV, in the order of time, imported with the real command into a PostgreSQL of our own.

    Nothing is pinned: PostgreSQL and the command share all cores. Rows older than 400 days go straight into the
    summaries, the others into the table of pings, and no server is there to count them.
    """
    layout = run.layout
    every = layout.server | layout.database | layout.load
    run = replace(run, layout=Layout(every, every, every))
    with run.postgres() as dsn, tempfile.TemporaryDirectory() as folder, pinned(every):
        file = Path(folder) / "history.csv"
        say("writing the export")
        _write(file, run.product, rows, days)
        say(f"importing {file.stat().st_size / 1e6:,.0f} MB")
        read_s, stored_s, counted_s = _import(dsn, file)
        launches, kept = asyncio.run(_count(dsn))
    run.report.check(f"{launches:,} launches are counted", launches == rows)
    run.report.figure("durable_rate", f"rows durable, of {rows:,}", rows / stored_s, "rows/s")
    run.report.figure("counted_rate", "rows counted", rows / counted_s, "rows/s")
    run.report.figure("read_rate", "of these in the first pass", rows / max(read_s, _SHOWN_S), "rows/s")
    run.report.figure("kept", "rows kept singly", kept, "rows")


def _write(file: Path, product: str, rows: int, days: int) -> None:
    chance = random.Random(1)
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    installs = max(1, rows // _PINGS)
    between = timedelta(days=days) / rows
    at = end - timedelta(days=days)
    with file.open("w", encoding="utf-8") as out:
        out.write("when,program,version,build,install,serial,users,system,address\n")
        for done in range(0, rows, _LINES):
            lines = []
            for number in range(done, min(rows, done + _LINES)):
                install = chance.randrange(installs)
                version = number * 20 // rows + install % 3
                lines.append(
                    f"{(at + number * between).isoformat(timespec='milliseconds')},{product},{version}.0,"
                    f"b{version},install-{install:010},KEY-{install // 20:010},{install % 50},"
                    f"{'windows' if install % 4 else 'linux'},{install % 223 + 1}.{install // 223 % 256}.7.9\n"
                )
            out.write("".join(lines))


def _import(dsn: str, file: Path) -> tuple[float, float, float]:
    """Return the seconds until all was read, until all was durable, and until all was counted."""
    mapping = file.with_suffix(".toml")
    mapping.write_text(_MAPPING, "utf-8")
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "CALLHOME_DATABASE_URL": dsn,
        "CALLHOME_SECRET": SECRET,
        "PYTHONPATH": str(Path(callhome.__file__).parents[1]),
        "TMPDIR": tempfile.gettempdir(),
    }
    command = [sys.executable, "-m", "callhome", "import", str(file), "--mapping", str(mapping)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=file.parent)
    said = _SAID.search(done.stdout)
    if done.returncode or not said:
        raise CallhomeError(f"the import failed; it said:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    read_s, stored_s, counted_s = map(float, said.groups())
    return read_s, stored_s, counted_s


async def _count(dsn: str) -> tuple[int, int]:
    """Return the launches in the summaries, and the pings that are kept. Cancelling it changes nothing."""
    connection = await connect(dsn, "bench")
    try:
        launches = await connection.fetchval("SELECT coalesce(sum(launches), 0)::bigint FROM usage_daily")
        return launches, await connection.fetchval("SELECT count(*) FROM ping")
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
