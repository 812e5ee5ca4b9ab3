"""A data folder on disk: what lies where, whether it is ours, its lock, password and commands.

    <folder>/lock              held (flock) by the guard as long as a server may use the folder
    <folder>/password          of the database user callhome, 0600
    <folder>/cluster           PostgreSQL's own data folder; it appears complete or not at all
    <folder>/cluster.new       the same while it is being made; left over only by a kill
    <folder>/postgres.log(.1)  what the server of this (and of the last) start says

No processes here: `guard` runs the commands.
"""

from __future__ import annotations

import fcntl
import locale
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .account import VOLUME_FOLDER
from .errors import EmbeddedPostgresError

USER: Final = "callhome"
DATABASE: Final = "callhome"
# 144 bits: nobody guesses it, and base64 of it needs no padding or quoting in a DSN.
PASSWORD_BYTES: Final = 18
# An error message quotes the end of the log: PostgreSQL's FATAL with its DETAIL and HINT, not a scroll.
LOG_TAIL_LINES: Final = 12
# A server that is just stopping frees its folder within its guard's own deadlines (10 + 6 s).
RELEASE_S: Final = 20
# A guard whose parent was killed this moment may not have marked its lock yet.
MARK_S: Final = 1
# How often a taken lock is tried again: not felt by people, nothing for the processor.
LOCK_POLL_S: Final = 0.05

SETTINGS: Final[Mapping[str, str]] = {
    "max_connections": "50",
    "shared_buffers": "128MB",
    # Compiling costs more than it gains on queries of milliseconds.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Otherwise a line every five minutes, for ever.
    "log_checkpoints": "off",
}
# For data nobody needs after a power cut. COMMIT still waits as usual: the order of events stays real.
FLEETING_SETTINGS: Final[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off"}


class Cluster:
    """The data folder ``folder`` (it exists, and is ours to write to) for the PostgreSQL in ``bin_dir``."""

    def __init__(self, folder: Path, bin_dir: Path, major: int, *, durable: bool) -> None:
        self.folder, self.bin_dir, self.major, self.durable = folder, bin_dir, major, durable
        self.data, self.draft = folder / "cluster", folder / "cluster.new"
        self.log, self.old_log = folder / "postgres.log", folder / "postgres.log.1"
        self.password_file, self.password_draft = folder / "password", folder / "password.new"
        self._lock_file = folder / "lock"
        self._lock_fd = -1

    def lock(self, give_up: Callable[[], None]) -> None:
        """Take the folder for this process, or raise; ``give_up`` is called while waiting and may raise.

        A folder whose server is just stopping is waited for. The lock ends with the process.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._lock_fd = os.open(self._lock_file, flags, 0o600)
        began_s = time.monotonic()
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(self._lock_fd, 32, 0).decode()
            if time.monotonic() - began_s > (MARK_S if holder else RELEASE_S):
                who = f"process {holder}" if holder else "a server that doesn't stop"
                message = f"{self.folder} is in use by {who}: stop that one, or name another data folder"
                raise EmbeddedPostgresError(message)
            give_up()
            time.sleep(LOCK_POLL_S)
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, str(os.getppid()).encode(), 0)

    def mark_stopping(self) -> None:
        """Tell those who want the folder that waiting is worth it."""
        os.ftruncate(self._lock_fd, 0)

    def check(self) -> None:
        """Raise EmbeddedPostgresError unless the folder is new, or made here by this major version."""
        if not self.data.exists():
            ours = {self.draft, self.log, self.old_log, self.password_file, self.password_draft}
            ours |= {self._lock_file, self.folder / VOLUME_FOLDER}
            for path in sorted(set(self.folder.iterdir()) - ours):
                message = (
                    f"{self.folder} isn't a data folder of callhome (it holds {path.name}): name another"
                )
                raise EmbeddedPostgresError(message)
            return
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != str(self.major):
            raise EmbeddedPostgresError(
                f"{self.folder} was made by PostgreSQL {version}, but {self.bin_dir} is PostgreSQL "
                f"{self.major}: name the bin folder of a PostgreSQL {version} in CALLHOME_PG_BIN, "
                "or dump and restore"
            )
        if not self.password_file.exists():
            message = f"{self.password_file} is missing: put it back from a backup, or name a new folder"
            raise EmbeddedPostgresError(message)

    def begin(self) -> None:
        """Set the last start's log and half-made data aside; make the password if there is none."""
        if self.log.exists():
            self.log.rename(self.old_log)
        shutil.rmtree(self.draft, ignore_errors=True)
        if not self.password_file.exists():
            self.password_draft.touch(mode=0o600)
            self.password_draft.write_text(secrets.token_urlsafe(PASSWORD_BYTES))
            self.password_draft.rename(self.password_file)

    def password(self) -> str:
        """Return the password of the database user callhome."""
        return self.password_file.read_text().strip()

    def initdb_command(self) -> list[str]:
        """Make the half-made folder: UTF-8, sorted by code point, a password for every connection."""
        sync = [] if self.durable else ["--no-sync"]
        auth = ["--auth=scram-sha-256", f"--pwfile={self.password_file}", "-U", USER]
        place = ["-D", str(self.draft), "-E", "UTF8", f"--locale={utf8_locale()}"]
        return [str(self.bin_dir / "initdb"), *place, *auth, *sync]

    def create_command(self) -> list[str]:
        """Run, from standard input and without a server, what makes our database in the half-made folder."""
        options = ["-c", "exit_on_error=on", *([] if self.durable else ["-F"])]
        return [str(self.bin_dir / "postgres"), "--single", "-D", str(self.draft), *options, "postgres"]

    def complete(self) -> None:
        """Turn the half-made folder into the data folder, at once and durably."""
        self.draft.rename(self.data)
        if self.durable:
            folder_fd = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder_fd)
            os.close(folder_fd)

    def server_command(self, port: int, settings: Mapping[str, str]) -> list[str]:
        """Start the server on 127.0.0.1 only, without a Unix socket, whatever ``settings`` say of that."""
        fleeting = {} if self.durable else FLEETING_SETTINGS
        fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        effective = {**SETTINGS, **fleeting, **settings, **fixed}
        options = [part for name, value in effective.items() for part in ("-c", f"{name}={value}")]
        return [str(self.bin_dir / "postgres"), "-D", str(self.data), *options]

    def ready(self, pid: int) -> bool:
        """Whether the server ``pid`` takes connections; it says so in its pid file, as pg_ctl reads it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def log_size(self) -> int:
        """Return the size of the log, in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, start_bytes: int = 0) -> str:
        """Return the last lines of the log from the offset ``start_bytes`` on."""
        try:
            text = self.log.read_bytes()[start_bytes:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])


def utf8_locale() -> str:
    """Return C.UTF-8, or C where the platform lacks it (older macOS): the sorting is the same."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"
