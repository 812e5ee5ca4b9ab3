"""Hashing passwords with argon2id, in threads, a few at a time: each takes memory and time, that is what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..errors import CallhomeError

# OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane. The process that hashes takes pings in as well,
# so that the 64 MiB and four threads of RFC 9106's second choice are not ours to take.
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
# Memory: so many x 19 MiB = 38 MiB. The others wait.
AT_ONCE: Final = 2
# Some 50 ms each: who is last of these waits for a second or two.
WAITING_MAX: Final = 40

_HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
# No password has this hash. It is checked where there is no account, so that the answer takes as long.
_NOBODY: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"


_T = TypeVar("_T")


class TooManyTries(CallhomeError):
    """More passwords wait to be checked than `WAITING_MAX`."""


def hashed(password: str) -> str:
    """Return the hash of a password, with its parameters and a salt. It takes some 50 ms."""
    return _HASHER.hash(password)


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _HASHER.check_needs_rehash(stored)


class Passwords:
    """Checks passwords without holding up the event loop, whose thread it belongs to."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def verify(self, stored: str | None, password: str) -> bool:
        """Return whether a password has that hash; without a hash, say no after the same work.

        Raises `TooManyTries`. Cancelling it waits for the thread, and forgets the outcome.
        """
        matches = await self._in_thread(_matches, _NOBODY if stored is None else stored, password)
        return matches and stored is not None

    async def hash(self, password: str) -> str:
        """Return the hash of a password. Raises `TooManyTries`. Cancelling it waits, and forgets the outcome."""
        return await self._in_thread(hashed, password)

    async def _in_thread(self, work: Callable[..., _T], *given: str) -> _T:
        if self._waiting >= WAITING_MAX:
            raise TooManyTries("too many passwords wait to be checked: try again in a moment")
        self._waiting += 1
        try:
            async with self._free:
                # Shielded: the next one must not begin before this thread has given its memory back.
                running = asyncio.ensure_future(asyncio.to_thread(work, *given))
                try:
                    return await asyncio.shield(running)
                except asyncio.CancelledError:
                    await asyncio.wait([running])
                    raise
        finally:
            self._waiting -= 1


def _matches(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
