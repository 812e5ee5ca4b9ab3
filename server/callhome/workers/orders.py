"""What the supervisor and a worker say to each other: a line of JSON each, over a socket that is the worker's stdin.

The supervisor sends one `Order`. The worker answers `READY` once it serves, and `last_words` if it can't. Either end
learns from the end of the stream that the other is gone, however it went.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import callhome

READY: Final = b'{"ready": true}\n'
# As `python -m callhome`, but never with the modules of whatever folder this was started in.
_BOOT: Final = "import sys; sys.path.append(sys.argv.pop(1)); from {} import main; main()"
_ROOT: Final = Path(callhome.__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is: ``number`` of ``workers``, from 1 on; their sockets for metrics are in ``folder``."""

    number: int
    workers: int
    folder: Path

    def socket_of(self, number: int) -> Path:
        """The socket on which that worker tells its metrics, or the supervisor, number 0."""
        return self.folder / f"{number}.sock"


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is told: its place, and the settings by name, as they were given to the supervisor."""

    place: Place
    given: Mapping[str, Any]

    def line(self) -> bytes:
        """Return it as it is sent."""
        place = {"number": self.place.number, "workers": self.place.workers, "folder": str(self.place.folder)}
        return json.dumps({"place": place, "given": dict(self.given)}).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Return the order in a line; raises ``ValueError`` where there is none."""
        said = json.loads(line)
        place = said["place"]
        return cls(Place(place["number"], place["workers"], Path(place["folder"])), said["given"])


def last_words(error: str, exit_code: int) -> bytes:
    """Return what a worker says that can't go on: the message for the operator, and what it ends with."""
    return json.dumps({"error": error, "exit_code": exit_code}).encode() + b"\n"


def command(module: str, *words: str) -> list[str]:
    """Return the command that runs ``main`` of a module with these words, in an interpreter such as this one."""
    return [sys.executable, "-P", "-c", _BOOT.format(module), str(_ROOT), *words]
