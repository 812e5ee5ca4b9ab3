"""One frozen settings object, from command line, environment, secrets folder and TOML file.

``load(Settings)`` is all that a program needs. A wrong or unknown setting raises `SettingsError`, which
names each with where it came from and what was expected, and shows nothing that is secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..errors import UsageError
from .kinds import DatabaseUrl, Listen, Network
from .mail import SmtpUrl
from .sources import Collected, collect
from .table import TABLE, DatabaseSettings, Row, SecretSettings, Settings

__all__ = [
    "TABLE",
    "Collected",
    "DatabaseSettings",
    "DatabaseUrl",
    "Listen",
    "Network",
    "Row",
    "SecretSettings",
    "Settings",
    "SettingsError",
    "SmtpUrl",
    "check",
    "collect",
    "load",
]

# A wrong value is quoted up to this length: enough to recognise it, and a message stays a line.
_QUOTED_CHARACTERS = 80

_Model = TypeVar("_Model", bound=DatabaseSettings)


class SettingsError(UsageError):
    """Settings are wrong, missing or unknown; ``problems`` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        many = f"{len(problems)} settings are wrong:\n  " if len(problems) > 1 else ""
        super().__init__(many + "\n  ".join(problems))


def load(
    model: type[_Model],
    overrides: Mapping[str, Any] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    fallbacks: Mapping[str, Any] | None = None,
) -> _Model:
    """The settings of ``model``: `Settings`, or `DatabaseSettings` where a command needs no more.

    Sources, strongest first: ``overrides`` (by name; ``None`` is none), ``environ`` (default: the
    process's), the secrets folder and ``config`` (which the environment may name), ``fallbacks``, defaults.

    Raises `SettingsError` with all problems at once.
    """
    collected = collect(overrides or {}, config, os.environ if environ is None else environ, fallbacks or {})
    found, problems = check(model, collected)
    if found is None:
        raise SettingsError(problems)
    return found


def check(model: type[_Model], collected: Collected) -> tuple[_Model | None, list[str]]:
    """The settings, or ``None`` with every problem there is."""
    values = {name: one.value for name, one in collected.given.items() if name in model.model_fields}
    try:
        found = model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return None, collected.problems + [_explain(detail, collected) for detail in details]
    return (None if collected.problems else found), collected.problems


def _explain(detail: ErrorDetails, collected: Collected) -> str:
    """One validation error as a line that says which setting, from where, and what was expected."""
    message = str(detail.get("ctx", {}).get("error", ""))
    if not detail["loc"]:
        return message
    row = TABLE[str(detail["loc"][0])]
    if detail["type"] == "missing":
        return f"{row.variable}: missing; expected {row.expected}. {row.help}"
    given = collected.given[row.name]
    if not message and not row.secret:
        quoted = repr(given.value)
        message = "got " + (quoted[:_QUOTED_CHARACTERS] + "…" if len(quoted) > _QUOTED_CHARACTERS else quoted)
    return f"{given.label}: expected {row.expected}; {message}"
