"""A PostgreSQL of our own that goes away as in a crash, and comes back on the same folder and port."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from callhome.embedded.launcher import EmbeddedPostgres

from .machine import Layout, pinned


class Database:
    """PostgreSQL in ``folder``, with ``settings`` of its own; it really syncs. `come_back` starts it, at first too.

    Blocks; not for several threads at once.
    """

    def __init__(self, layout: Layout, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._cores = layout.database
        self._settings = dict(settings)
        self._postgres: EmbeddedPostgres | None = None
        self.dsn = ""

    def come_back(self) -> None:
        """Start it, with crash recovery where there is any; return once it takes connections.

        Raises `CallhomeError`.
        """
        with pinned(self._cores):
            self._postgres = postgres = EmbeddedPostgres(self.folder, durable=True, settings=self._settings)
            postgres.start()
        # Where the server looks for it, once it is back.
        self._settings["port"] = str(postgres.port)
        self.dsn = postgres.dsn

    def go_away(self) -> None:
        """End it without a checkpoint, as PostgreSQL's immediate shutdown does: it must recover at its next start."""
        assert self._postgres is not None
        os.kill(self._postgres.pid, signal.SIGQUIT)
        self.close()

    def close(self) -> None:
        """Stop it if it runs. Idempotent."""
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None


@contextmanager
def database(layout: Layout, settings: Mapping[str, str]) -> Iterator[Database]:
    """A `Database` on its cores, started; gone with its data at the end. Raises `CallhomeError`."""
    with tempfile.TemporaryDirectory(prefix="callhome-bench-pg-") as name:
        # PostgreSQL runs as another user where this one is root, and must get through to its own folder.
        os.chmod(name, 0o711)
        it = Database(layout, Path(name) / "data", settings)
        try:
            it.come_back()
            yield it
        finally:
            it.close()
