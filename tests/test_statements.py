"""`callhome.store.statements`: statements come from their files, and each file is one that somebody uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from callhome.store import statements

STORE = Path(statements.__file__).parent
NAMES = sorted(path.stem for path in (STORE / "sql").glob("*.sql"))


@pytest.mark.parametrize("name", NAMES)
def test_each_statement_is_read_and_used(name: str) -> None:
    """A statement is the text of its file, and a module of the store names it."""
    assert statements.sql(name) == (STORE / "sql" / f"{name}.sql").read_text("utf-8")
    texts = "".join(path.read_text("utf-8") for path in STORE.glob("*.py"))
    assert f'"{name}"' in texts or f'"{name.removeprefix("report_")}"' in texts
