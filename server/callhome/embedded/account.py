"""The account a server runs under: PostgreSQL refuses to run as root, so root lends it another one."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from .errors import EmbeddedPostgresError

# The account that distributions make for the server, then the one that every Unix has.
CANDIDATES: Final = ("postgres", "nobody")
# Entering a dozen folders takes milliseconds; a dead network mount takes for ever.
PROBE_S: Final = 10
# A fresh volume holds this folder, made by mkfs; it doesn't make the volume "in use".
VOLUME_FOLDER: Final = "lost+found"


class Account(NamedTuple):
    """A user of this machine, not root."""

    name: str
    uid: int
    gid: int


def server_account(data_dir: Path | None) -> Account | None:
    """Return whom to run the server as, or None to stay who we are (we aren't root).

    A data folder that belongs to somebody keeps its owner: a server started once by hand and
    once by root works both times.
    """
    if os.geteuid() != 0:
        return None
    owner = data_dir.stat().st_uid if data_dir is not None and data_dir.exists() else 0
    if owner != 0:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            message = f"{data_dir} belongs to uid {owner}, which is no known user: chown it to one that is"
            raise EmbeddedPostgresError(message) from None
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root and there is no user {' or '.join(CANDIDATES)}: "
        "add one (useradd --system postgres), or start callhome as an ordinary user"
    )


def prepare_folder(data_dir: Path, account: Account | None) -> None:
    """Make ``data_dir`` (0700) if need be, and give it to the account; raises if it can't be theirs."""
    if account is not None:
        _check_reachable(data_dir, account)
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if account is None or data_dir.stat().st_uid == account.uid:
            return
        if any(entry.name != VOLUME_FOLDER for entry in data_dir.iterdir()):
            message = f"{data_dir} belongs to root and isn't empty: name an empty or a new folder"
            raise EmbeddedPostgresError(message)
        os.chown(data_dir, account.uid, account.gid)
        data_dir.chmod(0o700)
    except OSError as error:
        raise EmbeddedPostgresError(f"can't use the data folder {data_dir}: {error}") from error


def _check_reachable(data_dir: Path, account: Account) -> None:
    """Ask the kernel, as that account, for each folder above: mode bits alone miss ACLs and mounts."""
    above = [str(folder) for folder in reversed(data_dir.parents) if folder.exists()]
    script = 'for folder; do test -x "$folder" || { printf %s "$folder"; exit 1; }; done'
    try:
        probe = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *above],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        message = f"can't act as user {account.name!r} ({error}): start callhome as an ordinary user"
        raise EmbeddedPostgresError(message) from error
    if probe.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as user {account.name!r}, who may not enter {probe.stdout}: "
            f"name a data folder elsewhere than {data_dir}, or chmod o+x {probe.stdout}"
        )
