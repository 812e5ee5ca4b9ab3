"""Where settings come from: command line, environment, secrets folder, TOML file; the first wins.

Collecting never stops at the first mistake: an operator wants to hear of all of them at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .table import PREFIX, TABLE

SECRETS_FOLDER: Final = Path("/run/secrets/callhome")
# Variables that are ours and no settings, and what they are.
OTHER_VARIABLES: Final = {
    "CALLHOME_CONFIG": "the TOML file with settings, as `--config`",
    "CALLHOME_SECRETS_DIR": f"the secrets folder, a file each (default: {SECRETS_FOLDER}, if it exists)",
    "CALLHOME_DISABLE": "read by `callhome.client` in the programs that ping: they don't",
    "CALLHOME_TOKEN": "the API token that `callhome watch` shows to the server",
    "CALLHOME_PG_BIN": "the folder of PostgreSQL's programs, for `callhome serve --embedded`",
}
# Kubernetes tells every pod of every Service in its namespace; one named callhome is no mistake of a setting.
_SERVICE_LINK: Final = re.compile(
    r"CALLHOME_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_LINK_PORT: Final = re.compile(r"CALLHOME_(\w+_)?PORT=(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was given, and by whom."""

    name: str  # as in the table, if it is there
    key: str  # as it was written
    value: Any = field(repr=False)
    where: str

    @property
    def label(self) -> str:
        """How a message names it."""
        return f"{self.key} ({self.where})"


@dataclass(slots=True)
class Collected:
    """What all sources say: by name the value that counts, and what is wrong already."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, source: Iterator[Given | str]) -> None:
        """Take in a source that is weaker than those before; a text in it is a problem."""
        found: dict[str, Given] = {}
        for one in source:
            if isinstance(one, str):
                self.problems.append(one)
            elif one.name not in TABLE:
                self.problems.append(f"{one.label}: there is no such setting{_meant(one)}")
            elif one.name in found:
                self.problems.append(f"{one.label}: given twice, also as {found[one.name].key}")
            else:
                found[one.name] = one
        self.given = found | self.given


def collect(
    overrides: Mapping[str, Any],
    config: Path | None,
    environ: Mapping[str, str],
    fallbacks: Mapping[str, Any],
) -> Collected:
    """All sources, strongest first. ``None`` among ``overrides`` is an option that wasn't used."""
    collected = Collected()
    collected.add(_options(overrides))
    collected.add(_environment(environ))
    collected.add(_secrets(environ.get("CALLHOME_SECRETS_DIR")))
    if named := config or environ.get("CALLHOME_CONFIG"):
        collected.add(_toml(Path(named)))
    collected.add(Given(name, name, value, "made by --embedded") for name, value in fallbacks.items())
    return collected


def _options(overrides: Mapping[str, Any]) -> Iterator[Given | str]:
    for name, value in overrides.items():
        if value is not None:
            yield Given(name, "--" + name.replace("_", "-"), value, "command line")


def _environment(environ: Mapping[str, str]) -> Iterator[Given | str]:
    """An empty variable counts as none: ``${VAR:-}`` in a compose file means just that."""
    for key, value in sorted(environ.items()):
        if not key.startswith(PREFIX) or key in OTHER_VARIABLES or not value:
            continue
        if _SERVICE_LINK.fullmatch(key) or _SERVICE_LINK_PORT.fullmatch(f"{key}={value}"):
            continue
        name = key.removeprefix(PREFIX)
        yield Given(name.lower() if name == name.upper() else key, key, value, "environment")


def _secrets(named: str | None) -> Iterator[Given | str]:
    """Files ``secret`` or ``CALLHOME_SECRET``; what begins with a dot is Kubernetes' own."""
    folder = Path(named) if named else SECRETS_FOLDER
    if not folder.is_dir():
        if named:
            yield f"CALLHOME_SECRETS_DIR (environment): there is no folder {named!r}; unset it, or name another"
        return
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    except OSError as error:
        yield f"secrets folder {folder}: {error.strerror}"
        return
    for file in files:
        try:
            text = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            yield f"{file.name} (secrets folder {folder}): it can't be read: {reason}"
            continue
        name = file.name.lower().removeprefix(PREFIX.lower())
        yield Given(name, file.name, text, f"secrets folder {folder}")


def _toml(file: Path) -> Iterator[Given | str]:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        yield f"settings file {file}: it can't be read: {error.strerror}"
    except UnicodeDecodeError:
        yield f"settings file {file}: it is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        yield f"settings file {file}: it is not TOML: {error}"
    else:
        for key, value in content.items():
            yield Given(key, key, value, str(file))


def _meant(given: Given) -> str:
    """A guess at what was meant, written as its source writes it."""
    bare = given.name.lower().removeprefix(PREFIX.lower())
    guesses = difflib.get_close_matches(bare, TABLE, n=1)
    if not guesses:
        return "; `callhome settings` lists them"
    match given.where:
        case "environment":
            meant = PREFIX + guesses[0].upper()
        case "command line":
            meant = "--" + guesses[0].replace("_", "-")
        case _:
            meant = guesses[0]
    return f"; did you mean {meant}?"
