"""``callhome findings`` on a real database."""

from __future__ import annotations

import asyncio
import csv
import json
from io import StringIO

import pytest

from offices import opened
from test_cli_database import run
from test_store_findings import misused


@pytest.fixture
def misused_database(database: str) -> str:
    """A database with a confirmed, an open and a closed finding, of a customer named like a formula."""

    async def fill() -> None:
        async with opened(database) as used:
            await misused(used)

    asyncio.run(fill())
    return database


def test_findings_are_listed(misused_database: str) -> None:
    """Open and confirmed ones as lines of tabs; others on demand."""
    lines = [line.split("\t") for line in run(misused_database, "findings", "list").stdout.splitlines()]
    assert [line[1:8] for line in lines] == [
        ["confirmed", "over_seats", "", "es", "=HYPERLINK(1) …7F3Q", "3", "1"],
        ["open", "cloned_install", "", "es", "install 000000000000", "2", "1"],
    ]
    closed = run(misused_database, "findings", "list", "--state", "closed", "--license", "7F3Q").stdout
    assert closed.split("\t")[1:3] == ["closed", "wrong_product"]
    assert run(misused_database, "findings", "list", "--license", "0000").stdout == ""


def test_csv_runs_no_formula(misused_database: str) -> None:
    """A customer named like a formula is text in a spreadsheet, and as it is in JSON."""
    every = ("--state", "open", "--state", "confirmed", "--state", "closed")
    text = run(misused_database, "findings", "list", *every, "--csv").stdout
    table = list(csv.DictReader(StringIO(text, newline="")))
    assert [row["customer"] for row in table] == ["'=HYPERLINK(1)", "", "'=HYPERLINK(1)"]
    listed = json.loads(run(misused_database, "findings", "list", *every, "--json").stdout)
    assert [one["customer"] for one in listed] == ["=HYPERLINK(1)", None, "=HYPERLINK(1)"]
    assert [one.keys() for one in listed] == [row.keys() for row in table]


def test_evidence_is_shown(misused_database: str) -> None:
    """Rule, days, countries, installs of a license; what alternated of a clone; all of it as JSON."""
    seats, clone = json.loads(run(misused_database, "findings", "list", "--json").stdout)
    page = run(misused_database, "findings", "show", str(seats["id"])).stdout
    assert page.startswith(f"Finding {seats['id']}: More seats are in use than allowed. Confirmed.\n")
    assert "measure   3 seats used; allowed 1; held at once " in page
    assert "Countries: DE" in page
    assert "Installs: 3:\n  " in page
    assert "version 2�[31m\n" in page
    page = run(misused_database, "findings", "show", str(clone["id"])).stdout
    assert "country alternates between DE and FR: 2 returns" in page
    assert "DE 1.0 -> FR 1.0" in page
    shown = json.loads(run(misused_database, "findings", "show", str(seats["id"]), "--json").stdout)
    assert shown["evidence"]["installs_total"] == 3
    unknown = run(misused_database, "findings", "show", "99")
    assert (unknown.exit_code, "there is no finding 99" in unknown.stderr) == (2, True)


def test_a_finding_is_closed_with_a_note(misused_database: str) -> None:
    """Who closed it and why is shown; an empty note is refused before a connection is made."""
    number = str(json.loads(run(misused_database, "findings", "list", "--json").stdout)[0]["id"])
    empty = run("postgresql://nobody@127.0.0.1:1/x", "findings", "close", number, "--note", " ")
    assert (empty.exit_code, "note: expected" in empty.stderr) == (2, True)
    done = run(misused_database, "findings", "close", number, "--note", "ordered five more", "--by", "Ann")
    assert done.stdout == f"finding {number} is closed: over_seats of =HYPERLINK(1) …7F3Q\n"
    page = run(misused_database, "findings", "show", number).stdout
    assert " by Ann\n  note      ordered five more\n" in page
    again = run(misused_database, "findings", "close", number, "--note", "again")
    assert (again.exit_code, "is closed already" in again.stderr) == (2, True)
