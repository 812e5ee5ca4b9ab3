"""Who runs a command, for the audit trail."""

from __future__ import annotations

import getpass
import os

from ..access.model import Actor, Kind


def actor() -> Actor:
    """Return the user of the operating system; a container's may have a number only."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor(Kind.COMMAND, name)
