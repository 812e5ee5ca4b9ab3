"""The catalogue on disk, beside the spool: so that a server can start, and take pings, while the database is away.

Two files, since licenses may be a hundred thousand and change less often. Each is written whole under another name
and then renamed, so that it is always the last or the one before. What can't be read is as good as none.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ..errors import UsageError
from ..licenses.model import Terms
from ..releases.model import Notice, Release

logger = logging.getLogger(__name__)

# Raised when what stands in the files changes its meaning: older files are then no use.
_FORMAT: Final = 1


class Basics(msgspec.Struct, frozen=True):
    """What every ping needs: products by key, releases, notices."""

    products: dict[str, int]
    releases: list[Release]
    notices: list[Notice]
    format: int = _FORMAT


class Licenses(msgspec.Struct, frozen=True):
    """Terms by the hash of the license's key."""

    licenses: list[tuple[bytes, Terms]]
    format: int = _FORMAT


_Kind = TypeVar("_Kind", Basics, Licenses)


class CatalogCache:
    """The files ``catalogue.json`` and ``licenses.json`` in ``folder``, which only their owner may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, bytes] = {}

    @property
    def _basics(self) -> Path:
        return self._folder / "catalogue.json"

    @property
    def _licenses(self) -> Path:
        return self._folder / "licenses.json"

    async def save_basics(
        self, products: Mapping[str, int], releases: Sequence[Release], notices: Sequence[Notice]
    ) -> None:
        """Keep these, unless they are what was kept last. Cancelling it keeps these or what was there."""
        await self._save(self._basics, Basics(dict(products), list(releases), list(notices)))

    async def save_licenses(self, licenses: Mapping[bytes, Terms]) -> None:
        """Keep these, unless they are what was kept last. Cancelling it keeps these or what was there."""
        await self._save(self._licenses, Licenses(list(licenses.items())))

    def load_basics(self) -> Basics | None:
        """Return what was kept last, by whichever process; None where there is none that can be read."""
        return _load(self._basics, Basics)

    def load_licenses(self) -> dict[bytes, Terms]:
        """Return what was kept last; nothing where there is none that can be read."""
        found = _load(self._licenses, Licenses)
        return dict(found.licenses) if found else {}

    async def _save(self, path: Path, content: Basics | Licenses) -> None:
        text = msgspec.json.encode(content)
        digest = blake2b(text).digest()
        if self._written.get(path.name) == digest:
            return
        try:
            await asyncio.to_thread(_replace, path, text)
        except (
            OSError
        ) as error:  # pings are taken all the same; a start without the database knows what was before
            logger.warning("%s could not be written: %s", path, error.strerror or error)
        else:
            self._written[path.name] = digest


def _replace(path: Path, text: bytes) -> None:
    """Put a file in the place of another, or change nothing."""
    new = path.with_suffix(".new")
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _load(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise UsageError(
            f"{path} can't be read: {error.strerror}; it must belong to the user who runs callhome"
        ) from None
    except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
        logger.warning("%s is no use: %s", path, error)
        return None
    if found.format != _FORMAT:
        logger.warning("%s was written by another version", path)
        return None
    return found
