"""wrk with ping.lua: as many requests as a server takes, a closed loop over many connections."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from callhome.errors import CallhomeError

from .machine import Cores, check_open_files, find_program, pinned
from .pings import Pings

SCRIPT: Final = Path(__file__).parent / "ping.lua"
# A commit may take 10 s before the server gives it up; wrk counts what takes longer as an error.
_TIMEOUT_S: Final = 12
# Beyond its duration wrk opens and closes its connections.
_SPARE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Stroke:
    """One run of wrk. ``accepted`` are the answers below 400, of which all are 2xx here; latencies of all answers."""

    accepted: int
    seconds: float
    p50_s: float
    p99_s: float
    refused: int
    socket_errors: int
    timeouts: int

    @property
    def rate(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds


@contextmanager
def written_parts(pings: Pings) -> Iterator[Path]:
    """The file that ping.lua makes its bodies of; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="callhome-bench-") as folder:
        file = Path(folder) / "parts"
        pings.write_parts(file)
        yield file


def run(url: str, pings: Pings, connections: int, seconds: int, cores: Cores) -> Stroke:
    """Load ``url`` with POSTs for some seconds, with a thread for each core it may use.

    Raises `CallhomeError` where wrk is missing or fails.
    """
    program = find_program("wrk", "wrk")
    check_open_files(connections)
    with written_parts(pings) as parts, pinned(cores):
        command = [
            program,
            f"-t{max(1, min(len(cores), connections))}",
            f"-c{connections}",
            f"-d{seconds}s",
            f"--timeout={_TIMEOUT_S}s",
            "--latency",
        ]
        command += ["-s", str(SCRIPT), url, "--", str(parts), str(pings.installs), str(connections + seconds)]
        limit_s = seconds + _TIMEOUT_S + _SPARE_S
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        raise CallhomeError(f"wrk failed: {done.stderr or done.stdout}")
    told = orjson.loads(found[0].removeprefix("RESULT "))
    return Stroke(
        accepted=told["requests"] - told["statuses"],
        seconds=told["duration_us"] / 1e6,
        p50_s=told["p50_us"] / 1e6,
        p99_s=told["p99_us"] / 1e6,
        refused=told["statuses"],
        socket_errors=told["sockets"],
        timeouts=told["timeouts"],
    )
