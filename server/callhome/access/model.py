"""Roles, what a route asks of its visitor, and who a visitor is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final


class Role(StrEnum):
    """What an account or a token may do; each may do all that those before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether it may do what ``needed`` may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER: Final = tuple(Role)


class Access(StrEnum):
    """Who may use a route."""

    OPEN = "open"
    # Viewers, and guests where the settings let them.
    GUEST = "guest"
    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    @property
    def role(self) -> Role:
        """The least role that may use it, of those who are signed in."""
        return Role.VIEWER if self in (Access.OPEN, Access.GUEST) else Role(self.value)


class Kind(StrEnum):
    """What acts."""

    ACCOUNT = "account"
    TOKEN = "token"
    # ``callhome`` on the command line.
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, for the audit trail."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """An account or a token that was recognised by what it showed, whose SHA-256 is ``digest``.

    ``ends_s`` is the Unix time from which on it counts for nothing.
    """

    kind: Kind
    name: str
    role: Role
    digest: bytes = field(repr=False)
    ends_s: float = inf

    @property
    def actor(self) -> Actor:
        """It, for the audit trail."""
        return Actor(self.kind, self.name)


class Verdict(StrEnum):
    """What becomes of a request."""

    YES = "yes"
    SIGN_IN = "sign in"
    FORBIDDEN = "forbidden"


def judge(access: Access, principal: Principal | None, *, map_guests: bool) -> Verdict:
    """Return whether a visitor, ``None`` where nobody is signed in, may use a route."""
    if access is Access.OPEN or (access is Access.GUEST and map_guests):
        return Verdict.YES
    if principal is None:
        return Verdict.SIGN_IN
    return Verdict.YES if principal.role.covers(access.role) else Verdict.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions last, in seconds: without use, and in all; those of viewers apart."""

    idle_s: float
    whole_s: float
    viewer_idle_s: float
    viewer_whole_s: float

    def cookie_s(self, role: Role) -> int:
        """How long a browser may keep its cookie."""
        return int(self.viewer_whole_s if role is Role.VIEWER else self.whole_s)
