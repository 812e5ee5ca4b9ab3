"""Which license is meant: by its key, which is in no shell's history, by the end of it, or by its number."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..licenses.keys import KeyHasher
    from ..store.connection import Connection
    from ..store.licenses import Filter, Listed

# What is told of licenses that were not meant: enough to see which one was.
_NAMED: Final = 10


def hasher(config: Path | None, url: str | None) -> KeyHasher:
    """Return what hashes keys as the servers do, by the setting CALLHOME_SECRET. Raises `SettingsError`."""
    from ..licenses.keys import KeyHasher
    from ..settings import SecretSettings, load

    settings = load(SecretSettings, {"database_url": url}, config=config)
    return KeyHasher(settings.secret.get_secret_value().encode())


def key(given: str | None) -> str:
    """Return the key that was given; None and ``-``: what is typed on a terminal, else the first line that comes in."""
    if given is not None and given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt("License key", err=True))
    # A line that never ends is no key, and what is read of it too long for one. Bytes that are no UTF-8 become
    # characters that no key may have.
    return sys.stdin.buffer.readline(1024).decode("utf-8-sig", errors="surrogateescape")


def wanted(which: str | None, customer: str | None, key_hash: bytes | None) -> list[Filter]:
    """Return what to look for; raise `UsageError` where that isn't said.

    Four digits may be the id of one license, and the end of another's key.
    """
    from ..licenses import fields
    from ..pseudonyms import last4
    from ..store.licenses import Filter

    if (which is None) == (key_hash is None):
        raise UsageError("which license? Give its id or the last four characters of its key, or else --key")
    customer = None if customer is None else fields.read("customer", customer)
    if which is None:
        return [Filter(customer=customer, key_hash=key_hash)]
    which = which.removeprefix("…")  # as messages show it
    filters = [Filter(customer=customer, last4=which)] if len(which) == 4 and which.isprintable() else []
    # As far as PostgreSQL's integers go.
    if which.isascii() and which.isdigit() and len(which) < 10:
        filters.append(Filter(customer=customer, id=int(which)))
    if not filters:
        # It may be a whole key, which belongs in no log.
        end = last4(which)
        given = f"{len(which)} characters" if end is None else f"what ends in {end!r}"
        raise UsageError(
            f"which license? Got {given}; expected its id or the last four characters of its key "
            "(for `revoke`, a whole key goes to --key)"
        )
    return filters


async def one(connection: Connection, filters: list[Filter]) -> Listed:
    """Return the license that is meant; raise `UsageError` where none or several are. Cancelling it changes nothing."""
    from ..store import licenses
    from .license_view import name, summary

    found = {
        each.license.id: each
        for which in filters
        for each in await licenses.list_all(connection, which, limit=_NAMED)
    }
    if not found:
        raise UsageError("no such license: `callhome license list` has those that there are")
    if len(found) > 1:
        told = "\n  ".join(f"{name(each)}: {summary(each)}" for each in found.values())
        raise UsageError(f"more than one license is meant; give the id of one, or --customer:\n  {told}")
    return found.popitem()[1]


async def all_of(connection: Connection, which: Filter) -> list[Listed]:
    """Return all licenses like this. Raises `UnknownProduct`. Cancelling it changes nothing."""
    from ..store import licenses
    from ..store.registered import product_id

    if which.product is not None:
        await product_id(connection, which.product)
    found: list[Listed] = []
    while page := await licenses.list_all(connection, which, after=found[-1].license.id if found else 0):
        found += page
    return found
