"""The settings table for people: the text of ``docs/settings.md``, and the values that count now."""

from __future__ import annotations

from typing import Any, Final

from . import kinds
from .sources import OTHER_VARIABLES, Collected, Given
from .table import TABLE, Row

_INTRO: Final = """\
<!-- Written by `make docs` from server/callhome/settings/table.py: change that. -->
# Settings

Every setting has one name, and can be given in four ways. The first of these that gives it counts:

1. an option of a command, where it has one (`callhome serve --help`);
2. an environment variable: `CALLHOME_HEADER_S=5`; an empty one counts as not given;
3. a file in the secrets folder, named `secret` or `CALLHOME_SECRET`, whose content is the value;
4. a TOML file, named by `--config` or `CALLHOME_CONFIG`; none is read that wasn't named.

```toml
ingest_listen = ":8080"
trusted_proxies = ["10.0.0.0/8"]
legacy_paths = ["/ping.php"]

[legacy_fields]
prod = "product"
ver = "version"
```

`callhome settings` prints what counts, and where it came from. A wrong, missing or unknown setting stops
the start: all of them are listed, each with its source and what was expected. Variables that Kubernetes
sets for a Service (`CALLHOME_SERVICE_HOST`, `CALLHOME_PORT_8080_TCP`, …) are not taken for settings.
"""
# Bytes are told in MiB too.
_MIB: Final = 2**20


def markdown() -> str:
    """``docs/settings.md``, from the table."""
    others = "\n".join(f"- `{name}`: {meaning}" for name, meaning in sorted(OTHER_VARIABLES.items()))
    places = f"\nMore variables, which are no settings:\n\n{others}\n"
    return _INTRO + places + "".join(_section(row) for row in TABLE.values())


def default_text(row: Row) -> str:
    """The default with its unit: ``10 seconds``, ``none``, ``must be given``."""
    if row.default is None:
        return "must be given"
    if not row.default:
        return "none"
    mib = f" ({int(row.default) // _MIB} MiB)" if row.unit == "bytes" else ""
    return f"`{row.default}` {row.unit}".rstrip() + mib


def effective(collected: Collected) -> list[tuple[str, str, str]]:
    """Variable, value (secrets masked) and source of every setting, as they are now, right or wrong."""
    return [(row.variable, *_effective(row, collected.given.get(name))) for name, row in TABLE.items()]


def _effective(row: Row, given: Given | None) -> tuple[str, str]:
    if given is None:
        return (row.default or "", "missing" if row.default is None else "default")
    return _masked(given.value) if row.secret else kinds.show(given.value), given.where


def _masked(value: Any) -> str:
    """A URL without its password; of anything else nothing."""
    try:
        return str(kinds.database_url(value))
    except ValueError:
        return "***"


def _section(row: Row) -> str:
    lines = [f"\n## `{row.variable}`\n", row.help, "", f"- Default: {default_text(row)}"]
    lines.append(f"- Expected: {row.expected}")
    if row.reason:
        lines.append(f"- Why: {row.reason}")
    return "\n".join(lines) + "\n"
