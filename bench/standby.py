"""A PostgreSQL and its synchronous standby: what was committed is on both, and either can be the database."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from callhome.embedded.account import prepare_folder, server_account
from callhome.embedded.binaries import find_installation
from callhome.errors import CallhomeError
from callhome.store.connection import connect

from .machine import Layout
from .outages import Database

# Streaming begins within a second of the standby's start.
_STREAMING_S: Final = 60.0
_POLL_S: Final = 0.05
_IS_STANDBY: Final = "target_session_attrs=standby"


def copy(dsn: str, primary: Path, standby: Path) -> None:
    """Make the data folder of a standby from a running embedded PostgreSQL's, as the user that both run as.

    Raises `CallhomeError`.
    """
    account = server_account(primary)
    program = find_installation(account).bin_dir / "pg_basebackup"
    prepare_folder(standby, account)
    shutil.copy2(primary / "password", standby / "password")
    who: dict[str, Any] = {}
    if account is not None:
        shutil.chown(standby / "password", account.uid, account.gid)
        who = {"user": account.uid, "group": account.gid, "extra_groups": []}
    words = ("-d", dsn, "-D", str(standby / "cluster"), "-R", "-X", "stream", "-c", "fast")
    made = subprocess.run([program, *words], cwd="/", capture_output=True, text=True, check=False, **who)
    if made.returncode != 0:
        raise CallhomeError(f"no standby could be made: {made.stderr.strip()}")


async def make_synchronous(dsn: str) -> None:
    """Let commits of the primary wait for its standby, from now on. Raises `CallhomeError`; cancelled: maybe so."""
    connection = await connect(dsn, "bench")
    try:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")
        give_up_s = time.monotonic() + _STREAMING_S
        while not await connection.fetchval(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        ):
            if time.monotonic() > give_up_s:
                raise CallhomeError(f"the standby does not follow within {_STREAMING_S:g} s")
            await asyncio.sleep(_POLL_S)
    finally:
        await connection.close()


async def promote(dsn: str) -> None:
    """Make a standby the primary, as whoever watches the two would. Raises `CallhomeError`; cancelled: maybe so."""
    connection = await connect(f"{dsn}?{_IS_STANDBY}", "bench")
    try:
        if not await connection.fetchval("SELECT pg_promote(true, 60)"):
            raise CallhomeError("the standby was not promoted within 60 s")
    finally:
        await connection.close()


class Pair:
    """A ``primary`` and its ``standby``; ``dsn`` names both."""

    def __init__(self, primary: Database, standby: Database) -> None:
        self.primary, self.standby = primary, standby
        start, _, place = primary.dsn.rpartition("@")
        self.dsn = f"{start}@{place.partition('/')[0]},{standby.dsn.rpartition('@')[2]}"


@contextmanager
def pair(layout: Layout, primary: Database, settings: Mapping[str, str]) -> Iterator[Pair]:
    """The primary, with a synchronous standby beside it that is gone at the end. Raises `CallhomeError`."""
    with tempfile.TemporaryDirectory(prefix="callhome-bench-standby-") as name:
        os.chmod(name, 0o711)
        folder = Path(name) / "data"
        copy(primary.dsn, primary.folder, folder)
        standby = Database(layout, folder, settings)
        try:
            standby.come_back()
            asyncio.run(make_synchronous(primary.dsn))
            yield Pair(primary, standby)
        finally:
            standby.close()
