"""The one base class of the errors callhome raises for people to read."""

from __future__ import annotations


class CallhomeError(Exception):
    """An error whose message says what is wrong and what to do next.

    ``exit_code`` is what a ``callhome`` command ends with when this reaches the shell
    (1: it failed; 2: it was called or configured wrongly, as in ``sysexits`` and click).
    """

    exit_code: int = 1


class UsageError(CallhomeError):
    """The command line, a setting or a file given by the operator is wrong."""

    exit_code = 2
