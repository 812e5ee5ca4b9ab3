"""The file operations of the spool, behind a protocol so that a test can bring a disk that fails."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final, Protocol

from ..errors import UsageError

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
# No room: on the disk, in a quota, under a limit of this process. It may be there again later.
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Files(Protocol):
    """What the spool does with files. Each raises ``OSError``; each may block, and is called in a thread."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder, on the disk too, that its owner alone can enter; its parent must be there, and it may be."""

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder."""

    def lock(self, path: Path) -> int | None:
        """Make the file if need be and lock it until `close`; None where another process has it locked."""

    def create(self, path: Path) -> int:
        """Make a file that must not be there, for its owner alone, and open it for writing."""

    def open(self, path: Path, *, writing: bool = False) -> int:
        """Open a file that is there."""

    def size(self, fd: int) -> int:
        """Return how long it is in bytes."""

    def allocate(self, fd: int, offset: int, size: int) -> None:
        """Make it at least ``size`` bytes long, with room on the disk from ``offset`` on; the new ones are zeros."""

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of ``data``; where it raises, some may have been written."""

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on, fewer only where the file ends."""

    def sync(self, fd: int) -> None:
        """Return once all that was written is on the disk. After an error it is never to be called again."""

    def truncate(self, fd: int, size: int) -> None:
        """Make it ``size`` bytes long."""

    def close(self, fd: int) -> None:
        """Close it."""

    def sync_folder(self, folder: Path) -> None:
        """Return once what was made, renamed and removed in it is on the disk."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, in place of the file of that name."""

    def remove(self, path: Path) -> None:
        """Remove a file."""

    def used_percent(self, folder: Path) -> float:
        """Return how much of its file system is used, of what others than root can use."""


def _check_owner(folder: Path) -> None:
    """Raise `UsageError` where others may put files there; its group may, as a mounted volume's does."""
    found = folder.stat()
    if sys.platform != "win32" and (found.st_mode & stat.S_IWOTH or found.st_uid not in (0, os.geteuid())):
        raise UsageError(
            f"{folder} belongs to another user or can be written to by all: a spool needs a folder of its own; "
            "chown and chmod it, or name another in CALLHOME_SPOOL_DIR"
        )


class RealFiles:
    """`Files` of the operating system: one with POSIX."""

    def make_folder(self, folder: Path) -> None:
        """See `Files`."""
        try:
            folder.mkdir(mode=_FOLDER_MODE)
        except FileExistsError:
            if not folder.is_dir():
                raise
            _check_owner(folder)
        else:
            self.sync_folder(folder.parent)

    def names(self, folder: Path) -> list[str]:
        """See `Files`."""
        return sorted(os.listdir(folder))

    def lock(self, path: Path) -> int | None:
        """See `Files`. Raises `UsageError` on a system that has no such locks."""
        if sys.platform == "win32":
            raise UsageError("a spool needs Linux or another POSIX system: leave CALLHOME_SPOOL_DIR out")
        import fcntl

        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def create(self, path: Path) -> int:
        """See `Files`."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)

    def open(self, path: Path, *, writing: bool = False) -> int:
        """See `Files`. What is no regular file, a pipe for instance, is not opened."""
        access = os.O_RDWR if writing else os.O_RDONLY
        fd = os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "no regular file", str(path))
        return fd

    def size(self, fd: int) -> int:
        """See `Files`."""
        return os.fstat(fd).st_size

    def allocate(self, fd: int, offset: int, size: int) -> None:
        """See `Files`. Where the system can't reserve room, as macOS, the file is only made longer."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, offset, size - offset)
        elif os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """See `Files`."""
        left = memoryview(data)
        while left:
            written = os.pwrite(fd, left, offset)
            left, offset = left[written:], offset + written

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """See `Files`."""
        first = os.pread(fd, size, offset)
        if len(first) == size or not first:
            return first
        rest = self.read(fd, size - len(first), offset + len(first))
        return first + rest

    def sync(self, fd: int) -> None:
        """See `Files`. What macOS calls fsync leaves the data in the disk's cache."""
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """See `Files`."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """See `Files`."""
        os.close(fd)

    def sync_folder(self, folder: Path) -> None:
        """See `Files`."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """See `Files`."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        """See `Files`."""
        os.unlink(path)

    def used_percent(self, folder: Path) -> float:
        """See `Files`."""
        found = os.statvfs(folder)
        used = found.f_blocks - found.f_bfree
        # As df counts: what is kept for root is neither used nor free.
        return 100.0 * used / (used + found.f_bavail) if used + found.f_bavail else 0.0
