"""Connections to PostgreSQL: one way to open them, with the session settings that the promises rest on."""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from ..errors import CallhomeError
from ..persistent import Connection as Connection

# A host that answers at all answers within this; libpq's manual advises against less than 2 s.
CONNECT_S: Final = 5.0
# A statement waits no longer than this for a lock: a replay can stand behind a frozen original.
LOCK_MS: Final = 2_000

_SESSION: Final = (
    ("synchronous_commit", "on"),  # a 2xx means durable, whatever the database's default is
    ("timezone", "UTC"),
    ("jit", "off"),  # compiling costs more than any of our statements
    ("lock_timeout", str(LOCK_MS)),
    ("idle_in_transaction_session_timeout", "60000"),  # a session left behind must not hold locks for ever
)


# URL, user and password, (places), (database), parameters. What isn't just so may have a password anywhere.
_PLACE: Final = r"(?:\[[\w:.%]+\]|[\w.%-]*)(?::\d+)?"
_DSN: Final = re.compile(rf"\w+://(?:[^@/?#]*@)?({_PLACE}(?:,{_PLACE})*)(/[^@?#]*)?(?:\?[^@]*)?", re.ASCII)


class StoreUnavailable(CallhomeError):
    """PostgreSQL can't be reached, or went away. What was being written may or may not be stored."""


def where(dsn: str) -> str:
    """Return host, port and database of a connection string, without its password; never raises."""
    matched = _DSN.fullmatch(dsn)
    return f"{matched[1]}{matched[2] or ''}" if matched else "CALLHOME_DATABASE_URL"


async def connect(dsn: str, purpose: str) -> Connection:
    """Open a connection; ``purpose`` shows in ``pg_stat_activity``.

    Raises `StoreUnavailable` naming the place and what to check. Cancelling it opens nothing.
    """
    settings = {**dict(_SESSION), "application_name": f"callhome {purpose}"}
    cause: Exception | None = None
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_S, server_settings=settings)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        said, cause = str(error) or type(error).__name__, error
    except (ValueError, OverflowError, IndexError) as error:  # from its parser: may show any part of it
        said = f"its URL can't be read ({type(error).__name__})"
    raise StoreUnavailable(
        f"no connection to PostgreSQL at {where(dsn)}: {said}; "
        "check that it runs there and that CALLHOME_DATABASE_URL names the right user, password and database"
    ) from cause
