"""Signing in and out: tries are counted, the password is checked, a new session begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from math import ceil
from typing import Final

from ..errors import CallhomeError
from ..store import accounts, sessions
from ..store.line import Line
from . import keys
from .checks import PASSWORD_CHARACTERS_MAX, possible, prepare
from .gate import Gate
from .model import Lifetimes, Role
from .passwords import Passwords, is_outdated
from .throttle import Networks

# An outage of the database is seldom over sooner; a flood of passwords is.
_AWAY_RETRY_S: Final = 10


class Reason(StrEnum):
    """Why somebody is not signed in."""

    # The same, whether there is no such account or its password is another.
    WRONG = "wrong"
    # Too many tries, of the name or of the network.
    SLOW_DOWN = "slow down"
    # The database is away, or too many passwords wait to be checked.
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nobody was signed in; ``retry_after_s`` is 0 where the next try is looked at at once."""

    reason: Reason
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Begun:
    """A session: what the browser gets as its cookie, and for how many seconds."""

    cookie: str = field(repr=False)
    lasts_s: int
    role: Role


class Desk:
    """Signs people in and out. ``gate`` is told of sessions that end."""

    def __init__(self, line: Line, gate: Gate, lifetimes: Lifetimes) -> None:
        self._line = line
        self._gate = gate
        self._lifetimes = lifetimes
        self._passwords = Passwords()
        self._networks = Networks()

    async def sign_in(self, name: str, password: str, network: int, old: bytes | None) -> Begun | Refusal:
        """Begin a session, in place of an ``old`` one that the browser had, or say why not.

        ``network`` is the number of that from which it is tried. The same is done whether there is such an account or
        not. Cancelling it: signed in or not, never half.
        """
        name = possible(name)
        if wait_s := self._networks.take(network, time.monotonic()):
            return Refusal(Reason.SLOW_DOWN, ceil(wait_s))
        try:
            outcome = await self._sign_in(name, password[:PASSWORD_CHARACTERS_MAX], old)
        except CallhomeError:
            outcome = Refusal(Reason.LATER, _AWAY_RETRY_S)
        if not (isinstance(outcome, Refusal) and outcome.reason is Reason.WRONG):
            self._networks.give_back(network)
        return outcome

    async def _sign_in(self, name: str, password: str, old: bytes | None) -> Begun | Refusal:
        if wait_s := await self._line.do(partial(sessions.claim_try, name=name)):
            return Refusal(Reason.SLOW_DOWN, ceil(wait_s))
        found = await self._line.do(partial(accounts.credentials, name=name))
        password = prepare(password)
        if not await self._passwords.verify(found.password if found else None, password):
            await self._line.do(partial(sessions.refused, name=name))
            return Refusal(Reason.WRONG)
        assert found is not None, "nobody's password is never right"
        begun = await self._begin(name, found, old)
        if begun is None:
            return Refusal(Reason.WRONG)
        if is_outdated(found.password):
            password = await self._passwords.hash(password)
            await self._line.do(partial(accounts.rehash, found=found, password=password))
        return begun

    async def _begin(self, name: str, found: accounts.Credentials, old: bytes | None) -> Begun | None:
        cookie = keys.new_session()
        begin = partial(sessions.begin, name=name, found=found, digest=keys.digest(cookie), old=old)
        if not await self._line.do(begin):
            return None
        if old is not None:
            self._gate.forget(old)
        return Begun(cookie, self._lifetimes.cookie_s(found.role), found.role)

    async def enter(self, name: str) -> Begun:
        """Begin a session of an account without its password, for whoever has been recognised otherwise.

        Raises `CallhomeError`. Cancelling it: begun or not.
        """
        found = await self._line.do(partial(accounts.credentials, name=name))
        begun = found and await self._begin(name, found, None)
        if not begun:
            raise CallhomeError(f"there is no account {name!r}, or it was changed a moment ago")
        return begun

    async def sign_out(self, digest: bytes) -> None:
        """End a session. Raises `StoreUnavailable`. Cancelling it: ended or not."""
        await self._line.do(partial(sessions.end, digest=digest))
        self._gate.forget(digest)
