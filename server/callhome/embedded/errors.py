"""The error of the embedded PostgreSQL; apart, since both processes of the launcher use it."""

from __future__ import annotations

from ..errors import CallhomeError


class EmbeddedPostgresError(CallhomeError):
    """The embedded PostgreSQL can't be found, started or stopped; the message says why and what to do."""
