"""Text of others on a terminal: no escape sequences, no bidirectional tricks, whoever sent it."""

from __future__ import annotations

from typing import Final

# A ping's fields have 64 characters at most; a name may have more, and a table has other columns.
SHOWN_CHARACTERS: Final = 64


def printable(text: str, characters: int | None = SHOWN_CHARACTERS) -> str:
    """The text without anything that a terminal would obey, cut to ``characters`` (``None``: all of it)."""
    shown = "".join(char if char.isprintable() else "�" for char in text)
    if characters is None or len(shown) <= characters:
        return shown
    return shown[: characters - 1] + "…"


def printable_lines(text: str) -> str:
    """The same for a text of several lines, all of it."""
    return "\n".join(printable(line, None) for line in text.split("\n"))
