"""The country of an address: from the operator's ``.mmdb`` file, without one from iptocc's registry data."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from string import ascii_uppercase
from typing import IO, Final, Self, cast

import geoip2.database
import iptocc
import maxminddb

from ..errors import UsageError

UNKNOWN: Final = "ZZ"
# A new file is used within seconds, for one stat() each time.
POLL_S: Final = 5.0
# A country file tells one in its first networks; this many without any (0.04 s) are of another kind.
_PROBED_NETWORKS: Final = 10_000
_ADVICE: Final = "Give a country or city file such as GeoLite2-Country.mmdb, or leave the setting out."
# What a damaged file raises, and an address that is none; TypeError: one with half a surrogate pair.
_BROKEN: Final = (ValueError, TypeError, OverflowError, maxminddb.InvalidDatabaseError)
_CODES: Final = frozenset(map("".join, product(ascii_uppercase, repeat=2)))

_log: Final = logging.getLogger(__name__)


class Countries:
    """Looks countries up; an async context manager that follows changes of its file while it is entered.

    Entering raises :class:`UsageError` if the file cannot be used, and cancelling that leaves nothing behind.
    Leaving ends the following; lookups go on working.
    """

    def __init__(self, path: Path | None, poll_s: float = POLL_S) -> None:
        self._path = path
        self._poll_s = poll_s
        self._lookup: Callable[[str], str] = _iptocc_country
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._path is not None:
            seen = _signature(self._path)
            self._lookup = await asyncio.to_thread(_open, self._path)
            self._task = asyncio.create_task(self._follow(self._path, seen))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def country_of(self, address: str) -> str:
        """Return the alpha-2 code of an address, ``ZZ`` if it is unknown or no address. Never raises.

        IPv4 is to be given as such: within IPv6, not every file knows it.
        """
        return self._lookup(address)

    async def _follow(self, path: Path, seen: tuple[int, ...]) -> None:
        """Open the file anew after each change, without holding up the loop. Ends by cancellation."""
        while True:
            await asyncio.sleep(self._poll_s)
            # Taken before the file is read: a change meanwhile is a change the next time.
            found = _signature(path)
            if found != seen:
                seen = found
                try:
                    self._lookup = await asyncio.to_thread(_open, path)
                except UsageError as error:
                    _log.warning("%s The one opened before stays in use.", error)


def _signature(path: Path) -> tuple[int, ...]:
    """Return what changes when the file does; nothing of it while there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns
    return ()


def _open(path: Path) -> Callable[[str], str]:
    """Return the lookup of a file; raise :class:`UsageError` if it is none of countries.

    geoip2 opens and describes it; lookups go through maxminddb's C reader.
    """
    try:
        with _private_copy(path) as name:
            with geoip2.database.Reader(name) as described:
                about = described.metadata()
            reader = maxminddb.open_database(name, maxminddb.MODE_MMAP_EXT)
        built = datetime.fromtimestamp(about.build_epoch, UTC)
        countries = any(_country(record) != UNKNOWN for _, record in islice(reader, _PROBED_NETWORKS))
    except (OSError, *_BROKEN) as error:
        problem = f"cannot read {path} as a MaxMind DB file: {str(error).rstrip('.')}"
        raise UsageError(f"GEO_DATABASE: {problem}. {_ADVICE}") from error
    if not countries:
        raise UsageError(f"GEO_DATABASE: {path} ({about.database_type}) tells no countries. {_ADVICE}")
    _log.info("countries from %s: %s of %s", path, about.database_type, f"{built:%Y-%m-%d}")

    def lookup(address: str) -> str:
        try:
            return _country(reader.get(address))
        except _BROKEN:
            return UNKNOWN

    return lookup


@contextmanager
def _private_copy(path: Path) -> Iterator[str]:
    """Copy a file and give the name of the copy; the copy goes when the last who opened it is done.

    A reader maps its file, and the kernel kills whoever reads the map of a file that was cut short meanwhile.
    Nobody can cut the copy. On Linux it needs no folder, since a container may have none to write to.
    """
    with path.open("rb") as source, _unnamed_file() as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        yield f"/proc/self/fd/{copy.fileno()}" if sys.platform == "linux" else copy.name


def _unnamed_file() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("countries"), "wb")
    else:
        return cast("IO[bytes]", tempfile.NamedTemporaryFile())


def _country(record: object) -> str:
    """Return the code in a record: the country's, else the registered country's, else a flat one."""
    if isinstance(record, dict):
        for key in ("country", "registered_country"):
            inner = record.get(key)
            if isinstance(inner, dict) and (code := inner.get("iso_code")) is not None:
                return _checked(code)
        return _checked(record.get("country_code"))
    return UNKNOWN


def _checked(code: object) -> str:
    return code if isinstance(code, str) and code in _CODES else UNKNOWN


def _iptocc_country(address: str) -> str:
    try:
        return _checked(iptocc.country_code(address))
    except ValueError:  # half a surrogate pair
        return UNKNOWN
