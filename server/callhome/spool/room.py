"""Whether there is room for more in the spool: within its own bound, and on the disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from .files import Files
from .record import RECORD_BYTES

# Asking the disk takes microseconds, and it fills up over minutes; with a full one that is how soon it is tried again.
LOOK_S: Final = 1.0


class Room:
    """The bounds of a spool; what the disk says (``used_percent``) is asked for by `look`, once a second at most."""

    def __init__(self, files: Files, folder: Path, *, limit_bytes: int, disk_percent: int) -> None:
        self._files = files
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._disk_percent = disk_percent
        # So that it is not ready before the next rows find it full.
        self._headroom_bytes = min(RECORD_BYTES, limit_bytes // 8)
        self.used_percent = 0.0
        self._looked_s = -LOOK_S
        self._refused = ""
        self._refused_until_s = 0.0

    @property
    def is_old(self) -> bool:
        """Whether it is time to `look` again."""
        return time.monotonic() - self._looked_s >= LOOK_S

    def look(self) -> None:
        """Ask the disk. It may block; never raises."""
        self._looked_s = time.monotonic()
        try:
            self.used_percent = self._files.used_percent(self._folder)
        except OSError as error:
            self.refuse(f"the disk of {self._folder} can't be asked for its room: {error.strerror}")

    def refuse(self, why: str) -> None:
        """There is no room for a second, whatever the bounds say: a write has failed."""
        self._refused = why
        self._refused_until_s = time.monotonic() + LOOK_S

    def problem(self, size_bytes: int, more_bytes: int = 0) -> str | None:
        """Return why a spool of ``size_bytes`` can't take ``more_bytes``, in words for the operator; None if it can."""
        if time.monotonic() < self._refused_until_s:
            return self._refused
        if size_bytes + max(more_bytes, self._headroom_bytes) > self._limit_bytes:
            return f"the spool {self._folder} is full: it has {size_bytes:,} of {self._limit_bytes:,} bytes"
        if self.used_percent >= self._disk_percent:
            return (
                f"the disk of the spool {self._folder} is full: {self.used_percent:.0f} % are used, "
                f"{self._disk_percent} % may be"
            )
        return None
