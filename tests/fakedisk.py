"""A disk for the spool that forgets, tears and reorders what was not synced, fails and fills up on demand."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass, field
from pathlib import Path

# What a disk writes whole or not at all.
SECTOR_BYTES = 512


class Crash(Exception):
    """The machine has lost its power: nothing works any more until `FakeDisk.restart`."""


@dataclass
class Content:
    """A file: what reads see, what survives, and the writes and lengths in between, in order."""

    seen: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    is_doubtful: bool = False  # a sync of it has failed

    def apply(self, change: tuple[int, bytes] | int, *, durable: bool) -> None:
        """Write bytes at an offset, or change the length."""
        data = self.durable if durable else self.seen
        length = change if isinstance(change, int) else max(len(data), change[0] + len(change[1]))
        if length < len(data):
            del data[length:]
        data.extend(bytes(length - len(data)))
        if not isinstance(change, int):
            data[change[0] : change[0] + len(change[1])] = change[1]


# What becomes of a name when a folder's change reaches the disk: these go, these come.
Names = tuple[tuple[Path, ...], dict[Path, Content]]


class FakeDisk:
    """`callhome.spool.files.Files`, with faults. ``fuse`` is after how many operations the power fails."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.files: dict[Path, Content] = {}
        self._durable: dict[Path, Content] = {}
        self._pending: dict[Path, list[Names]] = {}
        self._open: dict[int, Content] = {}
        self._locked: set[int] = set()
        self._next_fd = 3
        self.is_dead = False
        self.fuse: int | None = None
        self.syncs_to_fail = 0
        self.reads_to_fail = 0
        self.room_bytes: int | None = None
        self.percent = 10.0
        self.operations: list[str] = []

    # --- the tests' side ----------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Lose the power, and come back with what was synced, and some of what wasn't, in any order and in pieces."""
        for folder in list(self._pending):
            for names in self._pending.pop(folder):
                if self._random.random() < 0.5:
                    self._keep(names)
        for content in {id(content): content for content in self.files.values()}.values():
            self._settle(content)
        for content in self._durable.values():
            self._settle(content)
            content.seen[:] = content.durable
            content.is_doubtful = False
        self.files = dict(self._durable)
        self._open.clear()
        self._locked.clear()
        self.is_dead, self.fuse, self.syncs_to_fail, self.reads_to_fail = False, None, 0, 0
        self.room_bytes, self.percent = None, 10.0

    def damage(self, path: Path, data: bytes) -> None:
        """Have other bytes in a file than were written."""
        content = self.files[path]
        content.seen[:] = content.durable[:] = data
        content.pending.clear()

    def _settle(self, content: Content) -> None:
        pending, content.pending = content.pending, []
        self._random.shuffle(pending)
        for change in pending:
            fate = self._random.random()
            if fate < 0.4 or isinstance(change, int):
                if fate < 0.7:
                    content.apply(change, durable=True)
            elif fate < 0.8:
                offset, data = change
                for at in range(0, len(data), SECTOR_BYTES):
                    if self._random.random() < 0.5:
                        content.apply((offset + at, data[at : at + SECTOR_BYTES]), durable=True)

    def _keep(self, names: Names) -> None:
        for path in names[0]:
            self._durable.pop(path, None)
        self._durable.update(names[1])

    def _tick(self, operation: str) -> None:
        self.operations.append(operation)
        if self.fuse is not None and not self.is_dead:
            self.fuse -= 1
            self.is_dead = self.fuse < 0
        if self.is_dead:
            raise Crash

    def _change(self, path: Path, gone: tuple[Path, ...], come: dict[Path, Content]) -> None:
        for name in gone:
            self.files.pop(name, None)
        self.files.update(come)
        self._pending.setdefault(path.parent, []).append((gone, come))

    def _take_room(self, content: Content, length: int) -> int:
        """Return how long the file may get."""
        if self.room_bytes is None:
            return length
        more = max(0, length - len(content.seen))
        granted = min(more, self.room_bytes)
        self.room_bytes -= granted
        return length if granted == more else len(content.seen) + granted

    # --- the spool's side ---------------------------------------------------------------------------------------------

    def make_folder(self, folder: Path) -> None:
        """Folders are always there."""
        self._tick("make_folder")

    def names(self, folder: Path) -> list[str]:
        """See `Files`."""
        self._tick("names")
        return sorted(path.name for path in self.files if path.parent == folder)

    def lock(self, path: Path) -> int | None:
        """See `Files`."""
        self._tick("lock")
        if self._locked:
            return None
        self._locked.add(self._next_fd)
        self._next_fd += 1
        return self._next_fd - 1

    def create(self, path: Path) -> int:
        """See `Files`."""
        self._tick("create")
        if path in self.files:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        if self.room_bytes == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._change(path, (), {path: Content()})
        return self.open(path)

    def open(self, path: Path, *, writing: bool = False) -> int:
        """See `Files`."""
        self._tick("open")
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        self._open[self._next_fd] = self.files[path]
        self._next_fd += 1
        return self._next_fd - 1

    def size(self, fd: int) -> int:
        """See `Files`."""
        self._tick("size")
        return len(self._open[fd].seen)

    def allocate(self, fd: int, offset: int, size: int) -> None:
        """See `Files`."""
        self._tick("allocate")
        content = self._open[fd]
        if self._take_room(content, size) < size:
            raise OSError(errno.ENOSPC, "No space left on device")
        if size > len(content.seen):
            content.apply(size, durable=False)
            content.pending.append(size)

    def write(self, fd: int, data: bytes, offset: int) -> None:
        """See `Files`. When the power fails, some of it is under way."""
        content = self._open.get(fd)
        try:
            self._tick("write")
        except Crash:
            if content is not None:
                content.pending.append((offset, data))
            raise
        assert content is not None
        length = self._take_room(content, offset + len(data))
        short = data[: max(0, length - offset)]
        content.apply((offset, short), durable=False)
        content.pending.append((offset, short))
        if len(short) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """See `Files`."""
        self._tick("read")
        if self.reads_to_fail:
            self.reads_to_fail -= 1
            raise OSError(errno.EIO, "Input/output error")
        return bytes(self._open[fd].seen[offset : offset + size])

    def sync(self, fd: int) -> None:
        """See `Files`. What a failed one should have written is forgotten, as by Linux, though reads still see it."""
        self._tick("sync")
        content = self._open[fd]
        assert not content.is_doubtful, "synced again after an error"
        if self.syncs_to_fail:
            self.syncs_to_fail -= 1
            self._settle(content)
            content.is_doubtful = True
            raise OSError(errno.EIO, "Input/output error")
        for change in content.pending:
            content.apply(change, durable=True)
        content.pending.clear()

    def truncate(self, fd: int, size: int) -> None:
        """See `Files`."""
        self._tick("truncate")
        self._open[fd].apply(size, durable=False)
        self._open[fd].pending.append(size)

    def close(self, fd: int) -> None:
        """See `Files`."""
        self._tick("close")
        self._open.pop(fd, None)
        self._locked.discard(fd)

    def sync_folder(self, folder: Path) -> None:
        """See `Files`."""
        self._tick("sync_folder")
        for names in self._pending.pop(folder, []):
            self._keep(names)

    def rename(self, old: Path, new: Path) -> None:
        """See `Files`."""
        self._tick("rename")
        content = self.files[old]
        if old.parent == new.parent:
            self._change(new, (old,), {new: content})
        else:
            self._change(new, (), {new: content})
            self._change(old, (old,), {})

    def remove(self, path: Path) -> None:
        """See `Files`."""
        self._tick("remove")
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        self._change(path, (path,), {})

    def used_percent(self, folder: Path) -> float:
        """See `Files`."""
        self._tick("used_percent")
        return self.percent
