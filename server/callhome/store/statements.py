"""The longer statements, each in a file of its own: ``sql/<name>.sql``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """Return the statement in ``sql/<name>.sql``; it is read once."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text("utf-8")
