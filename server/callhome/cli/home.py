"""The folder of ``callhome serve --embedded``: the database's data, and the secrets of whoever uses it.

``DIR/postgres`` is the data, ``DIR/spool`` the spool, ``DIR/secrets`` a secrets folder as any: CALLHOME_SECRETS_DIR may
name it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..settings import DatabaseUrl, Settings

# A secret of 32 bytes is 64 hexadecimal digits, as `openssl rand -hex 32` prints them.
_SECRET_BYTES = 32
_PREFIX = "callhome-home-"
# Held by whose folder it is; a leading dot, since all other files are secrets.
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Home:
    """``postgres`` is where the data is kept (``None``: nowhere), ``secrets`` the folder of the secrets."""

    postgres: Path | None
    secrets: Path

    @property
    def spool(self) -> Path:
        """Where pings wait for the database, unless the settings name another place."""
        # A leading dot, as the lock's.
        return self.secrets / ".spool" if self.postgres is None else self.secrets.parent / "spool"

    def secret(self) -> str:
        """The secret that the data was made with, or a new one. Raises `UsageError`."""
        try:
            return (self.secrets / "secret").read_text("utf-8").strip()
        except FileNotFoundError:
            return secrets.token_hex(_SECRET_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the secret in {self.secrets / 'secret'} can't be read: {error}") from None

    def keep(self, settings: Settings) -> None:
        """Write down the secret that counts. Raises `UsageError` if the data was made with another one."""
        file = self.secrets / "secret"
        secret = settings.secret.get_secret_value()
        if not file.exists():
            _write_private(file, secret)
        elif self.secret() != secret:
            raise UsageError(
                f"CALLHOME_SECRET is not the secret of this data, which is in {file}: unset it, "
                "for with another one every install would count as a new one"
            )

    @contextmanager
    def announced(self, url: DatabaseUrl) -> Iterator[None]:
        """Have the database's URL among the secrets for as long as the database runs."""
        file = self.secrets / "database_url"
        _write_private(file, url.dsn)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


@contextmanager
def home(data_dir: Path | None, option: str = "--data-dir") -> Iterator[Home]:
    """A home in ``data_dir``, made if it isn't there, or in a folder that is gone at the end.

    ``option`` is what it was named by. Raises `UsageError` if the folder can't be made.
    """
    if data_dir is None:
        with _thrown_away() as folder:
            yield Home(None, folder)
        return
    folder_path = data_dir.absolute()
    try:
        # Not private itself: PostgreSQL, which never runs as root, must reach its own folder in it.
        folder_path.mkdir(parents=True, exist_ok=True)
        (folder_path / "secrets").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {data_dir} can't be made: {error.strerror}") from None
    yield Home(folder_path / "postgres", folder_path / "secrets")


@contextmanager
def _thrown_away() -> Iterator[Path]:
    """A folder that is gone at the end. Those that killed processes have left behind are removed first."""
    import fcntl  # Windows has none, and no embedded database either

    def lock(folder: Path) -> int:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # somebody else's, or in use
            os.close(lock(left.parent))
            shutil.rmtree(left.parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        descriptor = lock(Path(name))
        try:
            yield Path(name)
        finally:
            os.close(descriptor)


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
