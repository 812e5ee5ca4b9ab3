"""How many connections the operating system lets this process have: each takes a file descriptor.

A process without a free descriptor can neither accept nor open anything, its way to the database included.
"""

from __future__ import annotations

import logging
import sys
from typing import Final, NamedTuple

# Listeners, the event loop, the log, country data, sessions with the database and their reconnects.
OTHERS: Final = 64
# Beside its viewers the console has pages being loaded, programs, monitoring, and who is told 503.
CONSOLE_OTHERS: Final = 1_000
# What a setting may be: with less there is no serving.
_LEAST: Final = 10

logger = logging.getLogger(__name__)


class Shares(NamedTuple):
    """Connections that each listener may have open."""

    ingest: int
    console: int


def take(ingest: int, viewers: int, turned_away: int) -> Shares:
    """Raise the soft limit, and share what there is; logs a warning where that isn't what was asked for.

    ``turned_away`` is how many the ingest listener has open beyond its bound, to tell them so.
    """
    console = viewers + CONSOLE_OTHERS
    needed = ingest + turned_away + console + OTHERS
    limit = _raise_limit(needed)
    if needed <= limit:
        return Shares(ingest, console)
    room = limit - OTHERS
    console = max(_LEAST, min(console, max(room // 4, room - turned_away - ingest)))
    fitting = max(_LEAST, min(ingest, room - console - turned_away))
    logger.warning(
        "CALLHOME_CONNECTIONS=%d and CALLHOME_VIEWERS=%d take %d file descriptors, but the limit is %d: "
        "%d ingest and %d console connections are served; raise it (`ulimit -n %d`), or lower the settings",
        *(ingest, viewers, needed, limit, fitting, console, needed),
    )
    return Shares(fitting, console)


def _raise_limit(needed: int) -> int:
    """Raise the soft limit to the hard one; how many descriptors there are then."""
    if sys.platform == "win32":  # knows no such limit
        return needed
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return needed
    wanted = max(soft, needed) if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a lower bound of its own
        return soft
    return wanted
