"""``python -m bench`` (``make bench``): all scripts one after another, each with servers of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import orjson

from . import workload
from .command import RESULTS
from .report import Figure, console, table

SCRIPTS: Final = (
    "ingest",
    "saturate",
    "batch",
    "fanout",
    "rollup",
    "memory",
    "spool",
    "outage",
    "promotion",
    "rolling",
    "overload",
    "slow",
    "workers",
    "start",
    "frames",
    "kiosk",
    "answers",
    "imports",
    "migration",
    "reports",
    "console",
)
_CORES: Final = ("server", "database", "load")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scripts", nargs=-1, type=click.Choice(SCRIPTS))
@click.option(
    "--workload", "name", default=workload.STANDARD, show_default=True, help="Of bench/workloads, or a file."
)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, show_default="bench/results")
@click.option("--server-cores", metavar="N,N-M", help="Cores of our server. [default: the first]")
@click.option("--database-cores", metavar="N,N-M", help="Cores of our PostgreSQL. [default: those between]")
@click.option("--load-cores", metavar="N,N-M", help="Cores of the load. [default: the last]")
def main(scripts: tuple[str, ...], name: str, results: Path, **cores: str | None) -> None:
    """Run all load tests here (or the SCRIPTS named), on 127.0.0.1 only, and show what was wanted of them.

    Ends with 1 if rows are missing in any of them, or one fails; never for a figure.
    """
    results.mkdir(parents=True, exist_ok=True)
    options = ["--workload", name, "--results", str(results)]
    for who in _CORES:
        if given := cores[f"{who}_cores"]:
            options += [f"--{who}-cores", given]
    failed, figures = [], []
    for script in scripts or SCRIPTS:
        before = set(results.iterdir())
        if subprocess.run([sys.executable, "-m", f"bench.{script}", *options], check=False).returncode:
            failed.append(script)
        for file in sorted(set(results.iterdir()) - before):
            figures += [
                Figure(**figure) for figure in orjson.loads(file.read_bytes())["figures"] if figure["wanted"]
            ]
    if figures:
        console().print(table("What was wanted", figures))
    if failed:
        raise click.ClickException(f"these failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
