"""``callhome notice`` on a real database."""

from __future__ import annotations

import json

import pytest

from test_cli import on_terminal
from test_cli_database import run


@pytest.fixture
def es(database: str) -> str:
    """The DSN of a database with the product es."""
    assert run(database, "product", "add", "es").exit_code == 0
    return database


FULL = [
    *("--text", "We rest – on [b]Sunday[/b]", "--level", "warning", "--url", "https://example.com/rest"),
    *("--product", "es", "--from-version", "5.9", "--to-version", "5.10"),
    *("--starts", "2096-12-20T09:00+01:00", "--ends", "2096-12-24"),
]


def test_a_notice_is_added_and_withdrawn(es: str) -> None:
    """Each step says what there is now; a day as an end is told to its end."""
    assert run(es, "notice", "add", *FULL).output == (
        "notice 1 is registered: warning, to es, versions 5.9 to 5.10, from 2096-12-20 08:00 to 2096-12-25 00:00 UTC\n"
    )
    open_end = run(es, "notice", "add", "--text", "Hello", "--product", "es", "--to-version", "5.9").output
    assert open_end.startswith("notice 2 is registered: info, to es, versions … to 5.9, from ")
    assert open_end.endswith(" UTC on\n")
    assert run(es, "notice", "withdraw", "1").output == "notice 1 is withdrawn\n"
    assert run(es, "notice", "withdraw", "1").output == "notice 1 was withdrawn before\n"
    assert [each["id"] for each in json.loads(run(es, "notice", "list", "--json").stdout)] == [2]


def test_notices_are_listed_both_ways(es: str) -> None:
    """A line each with tabs between, or JSON; those that are over only if asked for."""
    run(es, "notice", "add", *FULL)
    assert run(es, "notice", "list").stdout == (
        "1\tes\t5.9 to 5.10\twarning\t2096-12-20 08:00\t2096-12-25 00:00\t\t"
        "We rest – on [b]Sunday[/b]\thttps://example.com/rest\n"
    )
    run(es, "notice", "withdraw", "1")
    assert run(es, "notice", "list").stdout == ""
    (one,) = json.loads(run(es, "notice", "list", "--all", "--json").stdout)
    assert one.pop("withdrawn_at") is not None
    assert one == {
        "id": 1,
        "product": "es",
        "text": "We rest – on [b]Sunday[/b]",
        "level": "warning",
        "url": "https://example.com/rest",
        "from_version": "5.9",
        "to_version": "5.10",
        "starts_at": "2096-12-20T08:00:00+00:00",
        "ends_at": "2096-12-25T00:00:00+00:00",
    }


def test_a_terminal_shows_a_table(es: str) -> None:
    """On a terminal there is a table with the texts as they are, and where there is no notice what to do."""
    _, shown = on_terminal("notice", "list", CALLHOME_DATABASE_URL=es)
    assert "callhome notice add --text TEXT" in shown
    run(es, "notice", "add", "--text", "[b]Hi[/b]")
    exit_code, shown = on_terminal("notice", "list", CALLHOME_DATABASE_URL=es)
    assert exit_code == 0
    assert "│ [b]Hi[/b] │" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add"], "Missing option '--text'"),
        (["add", "--text", " "], "callhome: --text: ' ' can't be: expected one line"),
        (["add", "--text", "x", "--url", "x"], "callhome: --url: 'x' can't be"),
        (
            ["add", "--text", "x", "--starts", "now"],
            "callhome: --starts: 'now' can't be: expected a day such as",
        ),
        (
            ["add", "--text", "x", "--ends", "2020-01-01"],
            "callhome: --ends: '2020-01-01' can't be: expected a moment that is still to come",
        ),
        (
            ["add", "--text", "x", "--starts", "2096-12-24", "--ends", "2096-12-23"],
            "callhome: --ends: '2096-12-23' can't be: expected a moment after ",
        ),
        (
            ["add", "--text", "x", "--product", "es", "--from-version", "2", "--to-version", "1"],
            "callhome: --to-version: '1' can't be: expected a version not older than 2",
        ),
        (["add", "--text", "x", "--from-version", "1 0"], "callhome: --from-version: '1 0' can't be"),
        (
            ["add", "--text", "x", "--from-version", "2"],
            "callhome: --product is missing: expected a product, since versions of several have nothing in common",
        ),
        (["add", "--text", "x", "--product", "nope"], "'nope' isn't registered; registered are es"),
        (["withdraw", "7"], "callhome: there is no notice 7: `callhome notice list --all`"),
        (["withdraw", "x"], "'x' is not a valid integer"),
    ],
)
def test_a_mistake_is_told(words: list[str], said: str, es: str) -> None:
    """A mistake ends with 2 and says on stderr what is wrong; nothing is stored."""
    result = run(es, "notice", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert run(es, "notice", "list", "--all").stdout == ""
