"""``callhome release`` on a real database."""

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


def test_a_release_is_added_changed_withdrawn_and_offered_again(es: str) -> None:
    """Each step says what there is now."""
    added = run(es, "release", "add", "es", "5.10", "--day", "2026-12-01", "--share", "10", "--oldest", "5.0")
    terms = "channel stable, from 2026-12-01 on, 10 % of installs, normal, over 5.0 or newer"
    assert added.output == f"es 5.10 is registered: {terms}\n"
    changed = run(es, "release", "add", "es", "5.10", "--share", "100", "--severity", "security")
    now = terms.replace("10 %", "100 %").replace("normal", "security")
    assert changed.output == f"es 5.10 was there; now: {now}\n"
    assert run(es, "release", "withdraw", "es", "5.10").output == "es 5.10 on stable is withdrawn\n"
    assert run(es, "release", "withdraw", "es", "5.10").output == "es 5.10 on stable was withdrawn before\n"
    assert run(es, "release", "list").output == ""
    assert run(es, "release", "add", "es", "5.10").output == changed.output


def test_releases_are_listed_both_ways(es: str) -> None:
    """A line each with tabs between, or JSON; the newest first, withdrawn ones only if asked for."""
    url = "https://example.com/es"
    for words in (
        ["5.9", "--day", "2026-10-01", "--url", url, "--notes-url", f"{url}#n"],
        ["5.10", "--day", "2026-12-01"],
        ["6.0b1", "--channel", "beta", "--day", "2026-12-24", "--oldest", "5.9"],
    ):
        assert run(es, "release", "add", "es", *words).exit_code == 0
    run(es, "release", "withdraw", "es", "6.0b1", "--channel", "beta")
    assert run(es, "release", "list", "es").stdout.splitlines() == [
        "es\t5.10\tstable\t2026-12-01\tnormal\t100\t\t\t\t",
        f"es\t5.9\tstable\t2026-10-01\tnormal\t100\t\t\t{url}\t{url}#n",
    ]
    every = json.loads(run(es, "release", "list", "--all", "--json").stdout)
    assert [(each["version"], each["withdrawn_at"] is None) for each in every] == [
        ("6.0b1", False),
        ("5.10", True),
        ("5.9", True),
    ]
    del every[0]["withdrawn_at"]
    assert every[0] == {
        "product": "es",
        "version": "6.0b1",
        "channel": "beta",
        "day": "2026-12-24",
        "severity": "normal",
        "share": 100,
        "oldest": "5.9",
        "url": None,
        "notes_url": None,
    }


def test_a_terminal_shows_a_table(es: str) -> None:
    """On a terminal there is a table, and where there is no release what to do."""
    _, shown = on_terminal("release", "list", CALLHOME_DATABASE_URL=es)
    assert "callhome release add PRODUCT VERSION" in shown
    run(es, "release", "add", "es", "[red]5[/red]", "--day", "2026-12-01")
    exit_code, shown = on_terminal("release", "list", CALLHOME_DATABASE_URL=es)
    assert exit_code == 0
    assert "│ es      │ [red]5[/red] │ stable  │ 2026-12-01 │ normal" in shown


def test_a_version_that_is_only_a_text_is_noted(es: str) -> None:
    """Whoever registers a version that can't be read hears how it is compared; it is registered all the same."""
    result = run(es, "release", "add", "es", "R12B")
    assert result.exit_code == 0
    assert "'R12B' is a version neither of PEP 440 nor of SemVer" in result.stderr
    assert run(es, "release", "add", "es", "12.0.0-alpha.beta").stderr == ""


def test_an_empty_text_takes_an_address_away(es: str) -> None:
    """``--url ""`` and ``--oldest ""`` leave the release without."""
    run(es, "release", "add", "es", "5.10", "--url", "https://example.com/", "--oldest", "5.0")
    run(es, "release", "add", "es", "5.10", "--url", "", "--oldest", "")
    (one,) = json.loads(run(es, "release", "list", "--json").stdout)
    assert (one["url"], one["oldest"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "es", "5 10"], "callhome: version: '5 10' can't be"),
        (["add", "es", "5.10", "--day", "tomorrow"], "callhome: day: 'tomorrow' can't be: expected a day"),
        (["add", "es", "5.10", "--share", "101"], "callhome: share: 101 can't be: expected a percentage"),
        (["add", "es", "5.10", "--share", "x"], "'x' is not a valid integer"),
        (["add", "es", "5.10", "--url", "example.com"], "callhome: url: 'example.com' can't be"),
        (["add", "es", "5.10", "--severity", "huge"], "'huge' is not one of 'normal'"),
        (["add", "es", "5.10", "--oldest", "5.10"], "expected a version older than 5.10"),
        (["add", "nope", "5.10"], "callhome: product: 'nope' isn't registered; registered are es"),
        (["list", "nope"], "callhome: product: 'nope' isn't registered; registered are es"),
        (["withdraw", "es", "5.11"], "callhome: es has no release '5.11' on the channel 'stable'; there is"),
    ],
)
def test_a_mistake_is_told(words: list[str], said: str, es: str) -> None:
    """A mistake ends with 2 and says on stderr what is wrong; nothing is changed."""
    result = run(es, "release", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert run(es, "release", "list", "--all").stdout == ""


def test_without_tables_it_says_to_upgrade(empty_database: str) -> None:
    """On a database without tables it names the command that makes them."""
    result = run(empty_database, "release", "list")
    assert (result.exit_code, "run `callhome db upgrade`" in result.stderr) == (2, True)
