"""The machine: which cores do what, and what it is, for the record of a result."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from callhome.errors import CallhomeError, UsageError

ROOT: Final = Path(__file__).resolve().parent.parent
# More than any script may ask for; where all may be open (macOS: unlimited), nothing is gained above.
OPEN_FILES: Final = 65_536
# Descriptors that are no connections: files, the database's sockets, the listeners, wrk's epoll.
SPARE_FILES: Final = 200
# git answers at once; a repository on a dead network disk must not hold up a result.
_GIT_S: Final = 10.0

Cores = frozenset[int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cores the server, PostgreSQL and the load run on; empty sets: anywhere."""

    server: Cores
    database: Cores
    load: Cores

    @classmethod
    def of(cls, server: Cores | None, database: Cores | None, load: Cores | None) -> Layout:
        """The cores asked for, else the first for the server, the last for the load, those between for PostgreSQL.

        Of two cores, load and PostgreSQL share the second. Raises `UsageError` for cores that are not there.
        """
        there = sorted(available())
        if missing := (frozenset().union(*filter(None, (server, database, load)))) - set(there):
            raise UsageError(f"no core {', '.join(map(str, sorted(missing)))} here; there are {there}")
        return cls(
            server=server or frozenset(there[:1]),
            database=database or frozenset(there[1:-1] or there[-1:]),
            load=load or frozenset(there[-1:]),
        )

    def __str__(self) -> str:
        if not available():
            return "not pinned"
        sets = (("server", self.server), ("PostgreSQL", self.database), ("load", self.load))
        return ", ".join(f"{name} on {','.join(map(str, sorted(cores)))}" for name, cores in sets)


def available() -> Cores:
    """The cores this process may use; empty where the system (macOS) can't pin."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def cores(text: str) -> Cores:
    """Parse ``0``, ``0,2`` or ``0-3``; raises ``ValueError``."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


@contextmanager
def pinned(to: Cores) -> Iterator[None]:
    """Run this thread, and every process started meanwhile, on some cores only."""
    before = available()
    if not to or not before:
        yield
        return
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_open_files() -> None:
    """Raise the limit of open files as far as it goes, for the processes started from here too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_open_files(wanted: int) -> None:
    """Raise `CallhomeError` where so many connections can't be open."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < (needed := wanted + SPARE_FILES):
        raise CallhomeError(
            f"{needed:,} open files are needed, {soft:,} allowed: raise it with `ulimit -Hn {needed}`"
        )


def find_program(name: str, package: str) -> str:
    """The path of a program; raises `CallhomeError` naming the command that installs it."""
    for folder in (*os.get_exec_path(), "/usr/sbin", "/sbin"):
        if os.access(path := os.path.join(folder, name), os.X_OK):
            return path
    raise CallhomeError(f"{name} is not installed: run `sudo apt-get install {package}`")


def describe(folder: Path | None = None) -> dict[str, str | int | float]:
    """What this machine is; ``folder``: the file system of the database's data is told too."""
    told: dict[str, str | int | float] = {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1min": os.getloadavg()[0],
    }
    if folder is not None:
        told["data_on"] = _file_system(folder)
    return told


def commit() -> str:
    """The commit of this tree, with ``+`` where files differ from it; ``unknown`` outside of git."""
    with suppress(OSError, subprocess.SubprocessError):
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return _git("rev-parse", "HEAD") + ("+" if changed else "")
    return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=_GIT_S
    )
    return done.stdout.strip()


def _cpu() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system that holds ``folder``: on tmpfs an fsync costs nothing, and proves nothing."""
    holding = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype if holding else "unknown"
