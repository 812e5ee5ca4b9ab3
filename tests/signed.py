"""Who is signed in within tests: a token that each test's database knows, and sessions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from callhome.access import keys
from callhome.access.checks import InvalidAccess
from callhome.access.model import Actor, Kind, Role
from callhome.access.passwords import hashed
from callhome.store import accounts, sessions, tokens

BY: Final = Actor(Kind.COMMAND, "tests")
# Each database of a test has it, with the role viewer.
TOKEN: Final = "ch_" + "t" * 43
# What a program of a viewer sends.
SIGNED: Final = {"Authorization": f"Bearer {TOKEN}"}
PASSWORD: Final = "four words that rhyme"


async def let_token_in(connection: Any) -> None:
    """Have a database know the token, if it doesn't yet."""
    with suppress(InvalidAccess):
        await tokens.add(connection, "tests", Role.VIEWER, keys.digest(TOKEN), BY)


async def cookie_of(connection: Any, name: str, role: Role) -> str:
    """Make an account with `PASSWORD`, and return what a browser has as cookie that is signed in as it."""
    await accounts.add(connection, name, role, hashed(PASSWORD), BY)
    found = await accounts.credentials(connection, name)
    assert found is not None
    cookie = keys.new_session()
    assert await sessions.begin(connection, name, found, keys.digest(cookie), None)
    return cookie
