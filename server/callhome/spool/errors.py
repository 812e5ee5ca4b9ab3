"""The error of a spool that takes nothing now."""

from __future__ import annotations

from ..errors import CallhomeError


class SpoolUnavailable(CallhomeError):
    """The spool is full, has failed or is closed; what was to be appended is not known to be on disk."""
