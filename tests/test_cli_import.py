"""``callhome import``: what it says, what it refuses, and what it writes."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callhome.cli import main
from callhome.cli.import_progress import Lines
from running import SECRET, connected
from test_cli_database import CLEAN

MAPPING = """
[file]
encoding = "latin-1"
delimiter = ";"
[time]
column = "when"
zone = "Europe/Paris"
[fields]
product = "p"
version = "v"
install = "m"
users = "n"
locale = "l"
[values.product]
Gone = ""
"""
HEAD = "when;p;v;m;n;l\n"
LINE = "2024-07-01 00:30:00;es;1.0;machine-1;7;fr_FR\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the mapping."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(MAPPING, "utf-8")
    return tmp_path


@pytest.fixture
def es(database: str) -> str:
    """The DSN of a database with the product es."""
    assert run(database, "product", "add", "es").exit_code == 0
    return database


def run(dsn: str, *words: str, stdin: bytes = b"") -> Result:
    """Run ``callhome`` with database and secret set."""
    env = {**CLEAN, "CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET}
    return CliRunner().invoke(main, list(words), env=env, input=stdin)


def bring(dsn: str, folder: Path, text: str, *words: str) -> Result:
    """Import a file with this text."""
    (folder / "old.csv").write_text(text, "latin-1")
    return run(dsn, "import", "old.csv", "--mapping", "m.toml", *words)


def in_database(dsn: str, statement: str) -> Any:
    """The first value of a statement there."""

    async def work() -> Any:
        async with connected(dsn) as connection:
            return await connection.fetchval(statement)

    return asyncio.run(work())


def test_a_dry_run_tells_all_and_stores_nothing(es: str, folder: Path) -> None:
    """Counts, times in UTC, the first rows as they are understood; the database stays as it was."""
    done = bring(es, folder, HEAD + LINE + LINE.replace("es", "Gone"), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "old.csv: 1 rows, 0 rejected, 1 left out" in done.output
    assert "es: 1 rows, 2024-06-30 22:30:00 to 2024-06-30 22:30:00 UTC" in done.output
    assert (
        "such as 2024-06-30T22:30:00.000000Z product=es version=1.0 users=7 event=start country=ZZ"
        in done.output
    )
    assert "Nothing was imported" in done.output
    assert in_database(es, "SELECT count(*) FROM import_run") == 0


def test_good_rows_go_in_and_bad_ones_into_the_report(es: str, folder: Path) -> None:
    """Each bad record is told with line, column and expectation; mended in the report, it is imported from there."""
    bad = LINE.replace("7;fr_FR", "many;français").replace("-1", "-2")
    done = bring(es, folder, HEAD + LINE + bad)
    assert done.exit_code == 0, done.output
    assert "line 3, n: expected `int`, got `str` (users) (got 'many')" in done.output
    assert "Imported 1 rows, 1 of them straight into the summaries" in done.output
    report = folder / "old.rejected.csv"
    report.write_bytes(report.read_bytes().replace(b"many", b"9"))
    again = run(es, "import", report.name, "--mapping", "m.toml", "--overlapping")
    assert again.exit_code == 0, again.output
    assert in_database(es, "SELECT sum(users) FROM usage_daily") == 16
    assert in_database(es, "SELECT sum(rejected) FROM import_run") == 1


def test_the_report_is_for_nobody_else(es: str, folder: Path) -> None:
    """It has install ids and keys as they were given: only its owner may read it, also where it was there before."""
    (folder / "old.rejected.csv").touch(0o644)
    bring(es, folder, HEAD + LINE.replace(";7;", ";many;"))
    assert (folder / "old.rejected.csv").stat().st_mode & 0o777 == 0o600


def test_a_report_without_a_header_is_read_with_the_same_mapping(es: str, folder: Path) -> None:
    """A file whose columns the mapping names: its report has none either, and more cells behind."""
    columns = 'columns = ["when", "p", "v", "m", "n", "l"]'
    (folder / "m.toml").write_text(MAPPING.replace("[file]", f"[file]\n{columns}"), "utf-8")
    assert bring(es, folder, LINE.replace(";7;", ";many;").replace("-1", "-2") + LINE).exit_code == 0
    report = folder / "old.rejected.csv"
    report.write_bytes(report.read_bytes().replace(b"many", b"9", 1))
    again = run(es, "import", report.name, "--mapping", "m.toml", "--overlapping")
    assert again.exit_code == 0, again.output
    assert in_database(es, "SELECT sum(users) FROM usage_daily") == 16


def test_the_report_takes_no_other_file(es: str, folder: Path) -> None:
    """Neither the file that is read, nor what a link leads to."""
    bad = HEAD + LINE.replace(";7;", ";many;")
    done = bring(es, folder, bad, "--report", "old.csv")
    assert (done.exit_code, "is the file to import itself" in done.output) == (2, True)
    (folder / "other").write_text("precious", "utf-8")
    (folder / "old.rejected.csv").symlink_to("other")
    assert bring(es, folder, bad).exit_code == 1
    assert (folder / "other").read_text("utf-8") == "precious"
    assert (folder / "old.csv").read_text("latin-1") == bad


def test_another_secret_is_another_import(es: str, folder: Path) -> None:
    """No row would be known again, so nothing goes on where another left off; old rows are refused."""
    assert bring(es, folder, HEAD + LINE).exit_code == 0
    env = {**CLEAN, "CALLHOME_DATABASE_URL": es, "CALLHOME_SECRET": "f" * 64}
    done = CliRunner().invoke(main, ["import", "old.csv", "--mapping", "m.toml"], env=env)
    assert (done.exit_code, "times that were imported before" in done.output) == (2, True)


def test_a_full_disk_is_told(es: str, folder: Path) -> None:
    """While rows are sorted: nothing was imported, and there is an option to name another folder."""
    (folder / "old.csv").write_text(HEAD + LINE * 2_000, "latin-1")
    command = [sys.executable, "-m", "callhome", "import", "old.csv", "--mapping", "m.toml"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CALLHOME_")}
    env |= {"CALLHOME_DATABASE_URL": es, "CALLHOME_SECRET": SECRET, "CALLHOME_ALLOW_FSYNC_OFF": "true"}
    limit = ["prlimit", f"--fsize={64 << 10}"]
    done = subprocess.run(
        [*limit, *command], env=env, capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 1
    assert "File too large, while rows were sorted" in done.stderr
    assert "--work-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_of_another_version_is_told_before_reading(es: str, folder: Path) -> None:
    """It lacks the table of imports."""
    in_database(es, "DROP TABLE import_product, import_run")
    done = bring(es, folder, HEAD + LINE)
    assert (done.exit_code, "run `callhome db upgrade`" in done.output) == (2, True)
    assert "rows" not in done.output


def test_strict_imports_all_or_nothing(es: str, folder: Path) -> None:
    """One bad record is enough."""
    done = bring(es, folder, HEAD + LINE + "x\n", "--strict", "--report", "bad.csv")
    assert done.exit_code == 2
    assert "1 record is rejected, see bad.csv; nothing was imported" in done.output
    assert in_database(es, "SELECT count(*) FROM usage_daily") == 0
    assert (folder / "bad.csv").exists()


def test_unknown_products_stop_it_before_the_first_row(es: str, folder: Path) -> None:
    """They are named with their rows, and what to do."""
    done = bring(es, folder, HEAD + LINE + 2 * LINE.replace("es", "Old Tool"))
    assert done.exit_code == 2
    assert "'Old Tool': 2 rows" in done.output
    assert "callhome product add KEY" in done.output
    assert in_database(es, "SELECT count(*) FROM import_run") == 0


def test_what_is_private_is_not_on_the_terminal(es: str, folder: Path) -> None:
    """Of an install that is wrong only the column is told; the report has the record."""
    done = bring(es, folder, HEAD + LINE + LINE.replace("machine-1", "secret"))
    assert "line 3, m: expected a length of at least 8 (install)" in done.output
    assert "secret" not in done.output
    assert "secret" in (folder / "old.rejected.csv").read_text("latin-1")


def test_it_reads_the_standard_input_and_gzip(es: str, folder: Path) -> None:
    """- is the standard input; what is gzipped is known by its content."""
    data = gzip.compress((HEAD + LINE).encode("latin-1"))
    words = ("import", "-", "--mapping", "m.toml", "--name", "from a pipe", "--processes", "1")
    done = run(es, *words, stdin=data)
    assert done.exit_code == 0, done.output
    assert in_database(es, "SELECT name FROM import_run") == "from a pipe"


def test_texts_are_decoded_as_the_mapping_says(es: str, folder: Path) -> None:
    """A latin-1 character arrives as itself."""
    recent = "INSERT INTO product (key, name) VALUES ('x', 'x') RETURNING (now() - interval '2 days')::text"
    when = in_database(es, recent)[:19]
    done = bring(es, folder, HEAD + f"{when};es;1.0;machine-1;7;françois\n")
    assert done.exit_code == 0, done.output
    assert in_database(es, "SELECT locale FROM ping") == "françois"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "noon"), "--from: expected a time such as 2026-12-01T08:30:00Z, got 'noon'"),
        (("--mapping", "none.toml"), "none.toml: No such file or directory"),
        (("--until", "2001-01-01"), "the file has no row to import"),
    ],
)
def test_wrong_options_are_told(es: str, folder: Path, words: tuple[str, ...], said: str) -> None:
    """What is wrong, and what was expected; nothing is done."""
    done = bring(es, folder, HEAD + LINE, *words)
    assert done.exit_code == 2
    assert said in done.output


def test_a_column_that_is_not_there_is_told_before_reading(es: str, folder: Path) -> None:
    """The mapping and the file must fit."""
    done = bring(es, folder, HEAD.replace("when", "at") + LINE)
    assert done.exit_code == 2
    assert "the file has no column 'when'; it has at, p, v, m, n, l" in done.output


def test_lines_of_progress_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    """Elsewhere than on a terminal, a stage begins with a line, and has another after a while."""
    lines = Lines()
    for done in range(100):
        lines("reading", done, 100)
    lines("storing", 5, 0)
    assert capsys.readouterr().err == "Reading: 0 of 100 (0 %) bytes\nStoring: 5 rows\n"
