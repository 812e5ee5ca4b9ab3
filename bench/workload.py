"""Workloads: TOML files of what to send, each script's options, and what is wanted of its figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from callhome.errors import UsageError

from .report import parse_wanted

FOLDER: Final = Path(__file__).parent / "workloads"
STANDARD: Final = "standard"


@dataclass(frozen=True, slots=True)
class Workload:
    """One file: ``pings`` as `bench.pings.Pings` takes it, settings of ``postgres``, and a section a script."""

    name: str
    pings: Mapping[str, Any]
    postgres: Mapping[str, str]
    sections: Mapping[str, Mapping[str, Any]]

    def options(self, bench: str) -> dict[str, Any]:
        """The options of a script."""
        return {name: value for name, value in self.sections[bench].items() if name != "wanted"}

    def wanted(self, bench: str) -> Mapping[str, str]:
        """What is wanted of its figures, by their keys."""
        wanted: Mapping[str, str] = self.sections[bench].get("wanted", {})
        return wanted


def load(name: str) -> Workload:
    """Read a workload by the name of one here, or by its path; raises `UsageError`."""
    file = FOLDER / f"{name}.toml"
    if not file.is_file():
        file = Path(name)
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        workload = Workload(name, data.pop("pings"), data.pop("postgres"), data)
    except KeyError as error:
        raise UsageError(f"workload {file}: the table {error} is missing") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        there = ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
        raise UsageError(f"no workload {name!r}: {error}; there are {there}, or name a file") from None
    for bench in data:
        for wanted in workload.wanted(bench).values():
            parse_wanted(wanted)
    return workload
