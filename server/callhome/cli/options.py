"""Options that are settings: their help comes from the settings table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..settings import TABLE
from ..settings.render import default_text

_Function = TypeVar("_Function", bound=Callable[..., Any])

config = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A TOML file with settings. [default: the one that CALLHOME_CONFIG names, else none]",
)


def setting(name: str, metavar: str, note: str = "") -> Callable[[_Function], _Function]:
    """Return an option that overrides the setting ``name``; the settings judge its value."""
    row = TABLE[name]
    default = f"[{row.variable}, default: {default_text(row)}]".replace("`", "")
    words = " ".join(part for part in (row.help, note, default) if part)
    return click.option("--" + name.replace("_", "-"), name, metavar=metavar, help=words)


database_url = setting(
    "database_url", "URL", "Other users of this machine can see an option with a password."
)
