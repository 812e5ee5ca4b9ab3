"""Each fault of the table in docs/promises.md has tests that carry its number, in the files that the table names."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "promises.md"
NUMBERS = range(1, 31)

# Number -> names of the test files.
Shown = Mapping[int, set[str]]


def promised(text: str) -> Shown:
    """What the table says: the files in the last cell of each row that begins with a number."""
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    return {int(number): set(re.findall(r"`tests/(test_\w+\.py)`", files)) for number, files in rows}


def marked(source: str) -> set[int]:
    """The numbers that tests of a file carry: those of a test class or file of marks don't count."""
    return {
        number.value
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_")
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault"
        for number in mark.args
        if isinstance(number, ast.Constant) and isinstance(number.value, int)
    }


def differences(table: Shown, marks: Shown) -> list[str]:
    """What the table says and the marks don't, or the other way round; a fault that nothing shows."""
    found = [f"{number}: no test is marked with it" for number in NUMBERS if not marks.get(number)]
    found += [f"{number}: not in the table" for number in sorted({*NUMBERS, *marks} - table.keys())]
    for number, files in sorted(table.items()):
        found += [
            f"{number}: no test in {file} is marked with it"
            for file in sorted(files - marks.get(number, set()))
        ]
        found += [
            f"{number}: the table leaves out {file}" for file in sorted(marks.get(number, set()) - files)
        ]
    return found


def test_each_fault_is_shown_where_the_table_says() -> None:
    """The table has the faults 1 to 30, and names just the files in which tests are marked with their numbers."""
    marks = defaultdict[int, set[str]](set)
    for path in TESTS.rglob("test_*.py"):
        for number in marked(path.read_text(encoding="utf-8")):
            marks[number].add(path.name)
    found = differences(promised(PAGE.read_text(encoding="utf-8")), marks)
    assert not found, "docs/promises.md:\n" + "\n".join(found)


ALL = {number: {"test_a.py"} for number in NUMBERS}
ROW = "| 7 | gzip | 400 | `tests/test_a.py` |"


@pytest.mark.parametrize(
    ("table", "marks", "found"),
    [
        (ALL, ALL, []),
        (
            ALL,
            {**ALL, 7: set()},
            ["7: no test is marked with it", "7: no test in test_a.py is marked with it"],
        ),
        (ALL, {**ALL, 31: {"test_a.py"}}, ["31: not in the table"]),
        ({n: files for n, files in ALL.items() if n != 7}, ALL, ["7: not in the table"]),
        (ALL, {**ALL, 7: {"test_a.py", "test_b.py"}}, ["7: the table leaves out test_b.py"]),
    ],
)
def test_a_missing_number_is_found(table: Shown, marks: Shown, found: list[str]) -> None:
    """A fault without a test, a number without a fault and a file that is not named are complained of, nothing else."""
    assert differences(table, marks) == found


def test_numbers_are_read() -> None:
    """A row is a number and the files of its last cell; marks are read where they stand on tests, and nowhere else."""
    assert promised(f"| # | a |\n| --- | --- |\n{ROW}\n") == {7: {"test_a.py"}}
    source = "@pytest.mark.fault(1, 2)\nasync def test_x(): ...\n@pytest.mark.fault(3)\ndef helper(): ...\n"
    assert marked(source + "@pytest.mark.long\n@pytest.mark.fault(4)\ndef test_y(): ...\n") == {1, 2, 4}
