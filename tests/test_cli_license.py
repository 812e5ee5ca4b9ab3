"""``callhome license`` on a real database."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from callhome.cli import main
from callhome.licenses.badlines import TOLD
from callhome.licenses.keys import KeyHasher
from test_cli import on_terminal
from test_cli_database import CLEAN

SECRET = "s" * 32
TODAY = datetime.now(UTC).date()
HEADER = "key,customer,product,seats\n"


@pytest.fixture
def es(database: str) -> str:
    """The DSN of a database with the product es."""
    assert run(database, "product", "add", "es").exit_code == 0
    return database


def run(dsn: str, *words: str, stdin: str | bytes = "") -> Result:
    """Run ``callhome`` with database and secret set."""
    env = {**CLEAN, "CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET}
    return CliRunner().invoke(main, list(words), env=env, input=stdin)


def add(dsn: str, key: str, *words: str, customer: str = "ACME", seats: int = 5) -> Result:
    """Add a license of es, its key from the standard input."""
    result = run(
        dsn, "license", "add", "es", "--customer", customer, "--seats", str(seats), *words, stdin=f"{key}\n"
    )
    assert result.exit_code == 0, result.output
    return result


def in_database(dsn: str, statement: str, *values: object) -> Any:
    """Run a statement there; return its first value."""

    async def work() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(work())


def listed(dsn: str, *words: str) -> list[dict[str, object]]:
    """Return what ``license list --json`` says."""
    result = run(dsn, "license", "list", "--json", *words)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_a_license_is_added_by_a_key_from_outside_the_command(es: str) -> None:
    """The key is read from the standard input, stored as the hash that pings get, and shown by its end alone."""
    first = add(es, "  SECRET-KEY-WXYZ ", "--ends", "2027-06-30", "--overage", "1.25", "--counts", "user")
    terms = "5 users, 6 allowed, named within 30 days, to 2027-06-30 and 14 days of grace"
    assert first.output == f"license 1 (…WXYZ) is registered: es, ACME, {terms}\n"
    assert add(es, "SECRET-KEY-WXYZ").output == f"license 1 (…WXYZ) was there, just so: es, ACME, {terms}\n"
    again = add(es, "SECRET-KEY-WXYZ", "--ends", "", "--overage", "unlimited", seats=7)
    assert again.output == (
        "license 1 (…WXYZ) was there; now: es, ACME, 7 users, any number more, named within 30 days\n"
    )
    stored = in_database(es, "SELECT key_hash FROM license")
    assert stored == KeyHasher(SECRET.encode())("SECRET-KEY-WXYZ").hash


def test_a_key_is_made_and_printed_once(es: str) -> None:
    """A made key is all that stands on the standard output, and is the key of the license."""
    words = ("license", "add", "es", "--customer", "ACME", "--seats", "5")
    made = run(es, *words, "--generate")
    key = made.stdout.strip()
    assert len(key) == 29
    assert f"(…{key[-4:]}) is registered" in made.stderr
    assert run(es, *words, "--key", key).stdout.startswith("license 1 ")
    assert key not in run(es, "license", "list", "--json").output


def test_a_key_is_asked_for_on_a_terminal(es: str) -> None:
    """On a terminal the key is asked for."""
    command = [sys.executable, "-m", "callhome", "license", "add", "es", "--customer", "A", "--seats", "1"]
    environ = {name: value for name, value in os.environ.items() if name not in CLEAN}
    environ |= {"CALLHOME_DATABASE_URL": es, "CALLHOME_SECRET": SECRET}
    ours, theirs = pty.openpty()
    os.write(ours, b"SECRET-KEY-WXYZ\n")  # a terminal keeps what is typed until somebody reads it
    done = subprocess.run(
        command, stdin=theirs, capture_output=True, env=environ, text=True, timeout=60, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert "License key: " in done.stderr
    assert done.stdout.startswith("license 1 (…WXYZ) is registered")


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["--seats", "none"], "K", "seats: got 'none'; expected a whole number from 1 to 1000000000"),
        (["--customer", "a\tb"], "K", "customer: got 'a\\tb'; expected 1 to 200 printable characters"),
        (["--ends", "30.6.2027"], "K", "ends: got '30.6.2027'; expected a day such as 2026-11-25"),
        (
            ["--starts", "2027-01-02", "--ends", "2027-01-01"],
            "K",
            "ends: got '2027-01-01'; expected no day before",
        ),
        (["--overage", "2"], "K", "overage: got '2'; expected 1, 1.25, 1.5 or unlimited"),
        (["--use", "both"], "K", "use: got 'both'; expected named or concurrent"),
        ([], "", "key: got a key of 0 characters; expected 1 to 128 printable characters"),
        ([], b"\xff\xfeK\n", "key: got a key of 3 characters; expected 1 to 128 printable characters"),
        (["--key", "K", "--generate"], "", "--key and --generate exclude each other"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    words: list[str], stdin: str | bytes, said: str, es: str
) -> None:
    """A field that is wrong is named, with what was given and what was expected; nothing is stored."""
    result = run(es, "license", "add", "es", "--customer", "ACME", "--seats", "5", *words, stdin=stdin)
    assert result.exit_code == 2
    assert said in result.stderr
    assert listed(es) == []


def test_an_unknown_product_is_told(es: str) -> None:
    """A product that isn't registered is named, with those that are and what to do."""
    result = run(es, "license", "add", "tool", "--customer", "A", "--seats", "1", "--key", "K")
    assert result.exit_code == 2
    assert "'tool' isn't registered; registered are es: `callhome product add KEY`" in result.stderr
    assert "'tool' isn't registered" in run(es, "license", "list", "tool").stderr


def test_a_file_is_tried_and_imported(es: str, tmp_path: Path) -> None:
    """Some thousand lines: a dry run says what the import then does; doing it again changes nothing."""
    file = tmp_path / "licenses.csv"
    lines = (f"IMPORTED-KEY-{n:06};Customer {n};es;{n + 1};2027-01-01\n" for n in range(3000))
    file.write_text("\ufeffkey;customer;product;seats;ends\n" + "".join(lines), encoding="utf-8")
    dry = run(es, "license", "import", str(file), "--dry-run")
    assert dry.stdout == "Nothing was imported. It would be 3000 new, 0 changed, 0 as they were\n"
    assert listed(es) == []
    assert run(es, "license", "import", str(file)).stdout == "3000 new, 0 changed, 0 as they were\n"
    assert (
        run(es, "license", "import", "-", stdin=file.read_bytes()).stdout
        == "0 new, 0 changed, 3000 as they were\n"
    )
    found = listed(es)
    assert len(found) == 3000
    assert [each["seats"] for each in found] == list(range(1, 3001))


def test_one_bad_line_keeps_all_out(es: str, tmp_path: Path) -> None:
    """Every bad line is told, those that only the database knows too; the good ones are not imported; exit code 2."""
    file = tmp_path / "licenses.csv"
    file.write_text(
        HEADER + "SECRET-KEY-0001,ACME,es,5\nSECRET-KEY-0002,ACME,tool,5\nSECRET-KEY-0003,ACME,es,\x1b[31m\n"
        "SECRET-KEY-0001,ACME,es,5\n"
    )
    for words in ([], ["--dry-run"]):
        result = run(es, "license", "import", str(file), *words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.splitlines()[1:] == [
            "callhome: 3 mistakes in the file; nothing was imported:",
            "  line 3, product: got 'tool'; expected the key of a registered product: `callhome product add KEY` "
            "registers one",
            "  line 4, seats: got '\\x1b[31m'; expected a whole number from 1 to 1000000000",
            "  line 5, key: got a key that ends in '0001'; expected each key once: it is in line 2 already",
        ]
    assert listed(es) == []


def test_a_report_is_bounded(es: str) -> None:
    """Of very many bad lines the first are told in full, and the rest is counted."""
    lines = "".join(f"SECRET-KEY-{n:06},ACME,es,x\n" for n in range(TOLD + 9))
    result = run(es, "license", "import", "-", stdin=HEADER + lines)
    told = result.stderr.splitlines()[1:]
    assert (result.exit_code, len(told), told[-1]) == (2, TOLD + 2, "  and 9 more")


def test_a_file_that_is_none_is_told(es: str, tmp_path: Path) -> None:
    """A file that isn't there, and one without the columns, are told with what to do."""
    assert "No such file" in run(es, "license", "import", str(tmp_path / "none.csv")).stderr
    result = run(es, "license", "import", "-", stdin="key,customer,product,seat\nA,B,es,1\n")
    assert result.exit_code == 2
    assert "'seat' is unknown; 'seats' is missing. expected key, customer, product, seats" in result.stderr


def test_licenses_are_listed_each_way(es: str) -> None:
    """Lines with tabs, JSON, CSV and a table: what strangers wrote is text in each of them."""
    formula, markup = '=HYPERLINK("http://x.example","y")', "<img src=x onerror=alert(1)>"
    add(es, "SECRET-KEY-0001", "--ends", str(TODAY), "--overage", "1.5", customer=formula)
    add(es, "SECRET-KEY-0002", "--ends", str(TODAY - timedelta(days=1)), customer=markup, seats=7)
    add(es, "SHORT", "--starts", str(TODAY + timedelta(days=1)))
    assert run(es, "license", "list").stdout.splitlines() == [
        f"1\t0001\t{formula}\tes\t5\t\t\t{TODAY}\tok",
        f"2\t0002\t{markup}\tes\t7\t\t\t{TODAY - timedelta(days=1)}\tgrace",
        "3\t\tACME\tes\t5\t\t\t\tnot_yet_valid",
    ]
    assert [each["customer"] for each in listed(es)] == [formula, markup, "ACME"]
    assert listed(es)[0] | {"starts": 0} == {
        "id": 1, "last4": "0001", "customer": formula, "product": "es", "seats": 5, "allowed": 7, "counts": "install",
        "use": "named", "window_days": 30, "starts": 0, "ends": str(TODAY), "grace_days": 14, "overage": "1.50",
        "revoked_on": None, "seats_used": None, "used_max": None, "max_day": None, "verdict": "ok",
    }  # fmt: skip
    cells = list(csv.DictReader(StringIO(run(es, "license", "list", "--csv").stdout)))
    assert [each["customer"] for each in cells] == ["'" + formula, markup, "ACME"]
    assert list(cells[0]) == list(listed(es)[0])
    _, table = on_terminal("license", "list", CALLHOME_DATABASE_URL=es, COLUMNS="160")
    assert formula in table
    assert "not_yet_valid" in table


def test_licenses_are_listed_by_what_they_are(es: str) -> None:
    """A product, a part of the customer's name, and the days until the end choose."""
    add(es, "SECRET-KEY-0001", "--ends", str(TODAY + timedelta(days=60)), customer="Example Inc.")
    add(es, "SECRET-KEY-0002", "--ends", str(TODAY + timedelta(days=61)), customer="Other")
    add(es, "SECRET-KEY-0003", "--ends", str(TODAY - timedelta(days=1)), customer="EXAMPLE SA")
    add(es, "SECRET-KEY-0004")
    assert [each["id"] for each in listed(es, "es")] == [1, 2, 3, 4]
    assert [each["id"] for each in listed(es, "--customer", "example")] == [1, 3]
    assert [each["id"] for each in listed(es, "--ending-within", "60")] == [1]
    assert [each["id"] for each in listed(es, "es", "--ending-within", "61", "--customer", "th")] == [2]


def test_a_license_is_revoked_by_id_end_or_key(es: str) -> None:
    """Whichever way it is named, it is revoked from today or a day on, and can be made valid again."""
    add(es, "SECRET-KEY-WXYZ")
    today = run(es, "license", "revoke", "1")
    terms = "es, ACME, 5 installs, named within 30 days"
    assert today.output == f"license 1 (…WXYZ) is revoked from {TODAY} on: {terms}, revoked from {TODAY} on\n"
    assert listed(es)[0]["verdict"] == "revoked"
    assert (
        run(es, "license", "revoke", "WXYZ", "--undo").output
        == f"license 1 (…WXYZ) is valid again: {terms}\n"
    )
    assert listed(es)[0]["verdict"] == "ok"
    later = run(es, "license", "revoke", "--key", "-", "--on", "2199-01-01", stdin="SECRET-KEY-WXYZ\n")
    assert later.exit_code == 0, later.output
    assert (listed(es)[0]["revoked_on"], listed(es)[0]["verdict"]) == ("2199-01-01", "ok")
    assert run(es, "license", "revoke", "…WXYZ", "--customer", "acme").exit_code == 0


NAMED = "expected its id or the last four characters of its key (for `revoke`, a whole key goes to --key)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["0001"],
            "more than one license is meant; give the id of one, or --customer:\n  license 1 (…0001): es, ACME, ",
        ),
        (["2222"], "no such license: `callhome license list`"),
        (["0001", "--customer", "nobody"], "no such license"),
        (["0001", "--customer", "a\nb"], "customer: got 'a\\nb'"),
        (["ABCDE"], f"which license? Got 5 characters; {NAMED}"),
        (["SECRET-KEY-0001"], f"which license? Got what ends in '0001'; {NAMED}"),
        (["99999999999"], f"which license? Got what ends in '9999'; {NAMED}"),
        ([], "which license?"),
        (["1", "--key", "SECRET-KEY-0001"], "which license?"),
        (["1", "--undo", "--on", "2026-01-01"], "--on and --undo exclude each other"),
        (["1", "--on", "today"], "revoked_on: got 'today'; expected a day such as 2026-11-25"),
    ],
)
def test_no_license_is_revoked_that_may_not_be_meant(words: list[str], said: str, es: str) -> None:
    """Where none or several licenses are meant, those are told, and none is revoked."""
    add(es, "SECRET-KEY-0001")
    add(es, "OTHER-KEY-0001", customer="B")
    result = run(es, "license", "revoke", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert {each["revoked_on"] for each in listed(es)} == {None}


def test_digits_may_be_an_id_and_an_end(es: str) -> None:
    """Four digits that are the id of one license and the end of another's key are told as both."""
    add(es, "SECRET-KEY-1000")
    in_database(es, "ALTER TABLE license ALTER COLUMN id RESTART WITH 1000")
    add(es, "SECRET-KEY-0002")
    result = run(es, "license", "revoke", "1000")
    assert result.exit_code == 2
    assert "license 1 (…1000)" in result.stderr
    assert "license 1000 (…0002)" in result.stderr


def test_usage_is_shown_against_the_seats(es: str) -> None:
    """A line for each day, those without any use too; JSON has the license with it."""
    add(es, "SECRET-KEY-0001", "--overage", "1.25", seats=10)
    for ago, counts in ((3, (8, 7, 6)), (1, (11, 9, 3)), (0, (12, 9, 0))):
        in_database(
            es,
            "INSERT INTO license_usage VALUES (1, $1, $2, $3, $4, 0)",
            TODAY - timedelta(days=ago),
            *counts,
        )
    shown = run(es, "license", "usage", "0001").stdout.splitlines()
    days = [TODAY - timedelta(days=ago) for ago in (3, 2, 1, 0)]
    lines = ["8\t10\t12\t7\t6", "0\t10\t12\t0\t0", "11\t10\t12\t9\t3", "12\t10\t12\t9\t0"]
    assert shown == [f"{day}\t{count}" for day, count in zip(days, lines, strict=True)]
    (record,) = json.loads(run(es, "license", "usage", "1", "--days", "2", "--json").stdout)
    assert (record["id"], record["seats"], record["allowed"]) == (1, 10, 12)
    assert record["usage"] == [
        {"day": str(days[2]), "seats_used": 11, "held": 9, "active": 3},
        {"day": str(days[3]), "seats_used": 12, "held": 9, "active": 0},
    ]


def test_usage_of_nothing_is_nothing(es: str) -> None:
    """A license that wasn't used has no lines; on a terminal that is said."""
    add(es, "SECRET-KEY-0001")
    assert run(es, "license", "usage", "1").output == ""
    _, said = on_terminal("license", "usage", "1", CALLHOME_DATABASE_URL=es)
    assert "No usage was counted in these days." in said


def test_without_the_secret_no_key_is_hashed(es: str) -> None:
    """Where the servers' secret isn't set, a command that needs it says so."""
    env = {**CLEAN, "CALLHOME_DATABASE_URL": es}
    for words in (["add", "es", "--customer", "A", "--seats", "1", "--key", "K"], ["import", "-"]):
        result = CliRunner().invoke(main, ["license", *words], env=env)
        assert result.exit_code == 2
        assert "CALLHOME_SECRET: missing" in result.stderr
