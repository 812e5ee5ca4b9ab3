"""What a bench found: figures beside what is wanted, checks that can fail it, a table and a JSON file."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.table import Table

from callhome.errors import UsageError

from . import machine

# A table that is read in a log is not broken at 80 columns.
_LOG_COLUMNS: Final = 120
_WANTED: Final = re.compile(r"(<=|>=) (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number: ``key`` for programs, ``what`` for people; ``wanted`` as ``>= 0.40``, or ``""``."""

    key: str
    what: str
    value: float
    unit: str
    wanted: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether it is as wanted; None where nothing is."""
        if not self.wanted:
            return None
        relation, bound = parse_wanted(self.wanted)
        return self.value >= bound if relation == ">=" else self.value <= bound


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold: a bench of which one fails is worthless, whatever its figures."""

    what: str
    ok: bool


@dataclass(slots=True)
class Report:
    """The result of one bench while it grows."""

    bench: str
    parameters: Mapping[str, Any]
    wanted: Mapping[str, str]
    machine: dict[str, str | int | float] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def figure(self, key: str, what: str, value: float, unit: str) -> None:
        """Add a figure; what is wanted of it stands in the workload, under ``key``."""
        self.figures.append(Figure(key, what, value, unit, self.wanted.get(key, "")))

    def latencies(self, seconds: Sequence[float], quantiles: Mapping[str, float], what: str) -> None:
        """Add quantiles of ascending ``seconds``, in milliseconds; ``quantiles`` maps keys (``p99_ms``) to 0…1."""
        for key, quantile in quantiles.items():
            name = {0.5: "median", 1.0: "highest"}.get(quantile, f"p{quantile * 100:g}")
            self.figure(key, f"{what}, {name}", percentile(seconds, quantile) * 1000, "ms")

    def check(self, what: str, ok: bool) -> None:
        """Add something that must hold."""
        self.checks.append(Check(what, ok))

    @property
    def ok(self) -> bool:
        """Whether every check holds; a bench without any has proved nothing."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def save(self, folder: Path) -> Path:
        """Write it as JSON into ``folder``, made if it isn't there; return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.bench}-{self.at:%Y%m%dT%H%M%SZ}.json"
        result = {
            "bench": self.bench,
            "at": self.at,
            "commit": machine.commit(),
            "ok": self.ok,
            "figures": [asdict(figure) for figure in self.figures],
            "checks": [asdict(check) for check in self.checks],
            "parameters": dict(self.parameters),
            "machine": self.machine,
        }
        file.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2, default=str) + b"\n")
        return file

    def show(self) -> None:
        """Print the table and the checks."""
        said = console()
        said.print(table(self.bench, self.figures))
        for check in self.checks:
            said.print(f"  {'ok' if check.ok else '[bold red]FAILED[/]'}: {check.what}", highlight=False)


def say(text: str) -> None:
    """Tell on stderr how far it is. A line, and no spinner: its thread would take time from the load's core."""
    click.echo(f"  {text}", err=True)


def console() -> Console:
    """Where results are printed: wide enough where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _LOG_COLUMNS)


def table(title: str, figures: Sequence[Figure]) -> Table:
    """Figures as an aligned table; red where one is not as wanted."""
    drawn = Table(title=title, title_justify="left", title_style="bold")
    drawn.add_column("what")
    for heading in ("measured", "unit", "wanted"):
        drawn.add_column(heading, justify="right" if heading != "unit" else "left", no_wrap=True)
    for figure in figures:
        style = {True: "green", False: "red", None: ""}[figure.reached]
        drawn.add_row(figure.what, readable(figure.value), figure.unit, figure.wanted, style=style)
    return drawn


def readable(value: float) -> str:
    """A number with three digits that count, or whole with thousands."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def parse_wanted(text: str) -> tuple[str, float]:
    """Split ``>= 0.40``; raises `UsageError`."""
    found = _WANTED.fullmatch(text)
    if found is None:
        raise UsageError(f"wanted = {text!r} in the workload: expected such as '>= 0.40' or '<= 100'")
    return found[1], float(found[2])


def percentile(ascending: Sequence[float], quantile: float) -> float:
    """The nearest-rank quantile (0…1) of ascending values; NaN of none."""
    if not ascending:
        return math.nan
    return ascending[max(0, math.ceil(quantile * len(ascending)) - 1)]
