"""``callhome user``, ``token`` and ``audit``: what they say, what they store, and what they refuse."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest

from callhome.access import keys
from callhome.access.passwords import Passwords
from callhome.store import accounts
from running import connected
from signed import PASSWORD
from test_cli_serve import CLEAN


def run(dsn: str, *words: str, said: str = "") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command that reads ``said``."""
    done = subprocess.run(
        [sys.executable, "-m", "callhome", *words],
        input=said,
        capture_output=True,
        text=True,
        env=CLEAN | {"CALLHOME_DATABASE_URL": dsn},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def password_of(dsn: str, name: str, password: str) -> bool:
    """Whether an account has that password."""
    async with connected(dsn) as connection:
        found = await accounts.credentials(connection, name)
    return found is not None and await Passwords().verify(found.password, password)


async def test_an_account_is_made_changed_and_removed(database: str) -> None:
    """Each command says what it did; a password comes from standard input or is made, and is shown once."""
    code, out, err = run(
        database, "user", "add", "Ada", "--role", "admin", "--password-stdin", said=PASSWORD + "\n"
    )
    assert (code, out, err) == (0, "ada may sign in, with the role admin\n", "")
    assert await password_of(database, "ada", PASSWORD)
    code, out, _ = run(database, "user", "change", "ada", "--role", "viewer", "--generate")
    made = out.splitlines()[-1].partition("shown this once: ")[2]
    assert (code, out.splitlines()[0]) == (0, "ada is changed; sessions ended: 0")
    assert await password_of(database, "ada", made)
    (listed,) = json.loads(run(database, "user", "list", "--json")[1])
    assert (listed["name"], listed["role"], listed["used_at"]) == ("ada", "viewer", None)
    assert run(database, "user", "list")[1].startswith("ada\tviewer\t20")
    assert run(database, "user", "remove", "ada")[1] == "ada is removed\n"
    trail = run(database, "audit", "list", "--action", "account")[1]
    assert [line.split("\t")[3] for line in trail.splitlines()] == [
        "account.remove",
        "account.password",
        "account.role",
        "account.add",
    ]
    assert made not in trail


async def test_a_token_is_shown_once_and_revoked(database: str) -> None:
    """Standard output has the token alone, so that a shell can keep it; the list shows nothing of it."""
    code, token, said = run(database, "token", "add", "laptop", "--role", "viewer", "--days", "90")
    assert code == 0
    assert keys.token_digest(token.strip())
    assert "shown this once" in said
    listed = {each["name"]: each for each in json.loads(run(database, "token", "list", "--json")[1])}
    assert listed["laptop"]["role"] == "viewer"
    assert token.strip() not in json.dumps(listed)
    assert run(database, "token", "revoke", "Laptop")[1] == "laptop is revoked\n"
    entries = json.loads(run(database, "audit", "list", "--json", "--action", "token", "--limit", "2")[1])
    assert [each["action"] for each in entries] == ["token.revoke", "token.add"]
    assert entries[1]["details"] == {"role": "viewer", "days": 90}
    assert entries[1]["kind"] == "command"


@pytest.mark.parametrize(
    ("words", "said", "message"),
    [
        (("user", "add", "a b", "--role", "viewer", "--generate"), "", "'a b' is no name: expected 1 to 64"),
        (("user", "add", "ada", "--role", "viewer", "--password-stdin"), "short\n", "15 to 256 characters"),
        (
            ("user", "add", "ada", "--role", "viewer"),
            "",
            "no terminal to ask.*--password-stdin or --generate",
        ),
        (("user", "add", "ada", "--role", "viewer", "--generate", "--password-stdin"), "", "give one"),
        (("user", "change", "ada"), "", "nothing to change: give --role"),
        (("user", "remove", "ada"), "", "no account 'ada'; there is none: `callhome user list`"),
        (
            ("token", "add", "tests", "--role", "viewer"),
            "",
            "that no token has; `callhome token revoke tests`",
        ),
        (("token", "revoke", "none"), "", "no token 'none': `callhome token list`"),
    ],
)
async def test_what_is_refused_says_what_to_do(
    database: str, words: tuple[str, ...], said: str, message: str
) -> None:
    """An error ends with 2, names what to do next, and shows no password."""
    code, out, err = run(database, *words, said=said)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert "short" not in err


async def test_a_password_is_asked_for_twice_without_an_echo(database: str) -> None:
    """On a terminal it is typed unseen, and again."""
    own, other = pty.openpty()
    process: Any = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop
        [sys.executable, "-m", "callhome", "user", "add", "ada", "--role", "viewer"],
        stdin=other,
        stdout=other,
        stderr=other,
        env=CLEAN | {"CALLHOME_DATABASE_URL": database},
        start_new_session=True,
    )
    os.close(other)
    seen = b""
    try:
        for prompt in (b"Password of ada: ", b"The same again: "):
            while prompt not in seen:
                seen += os.read(own, 1_000)
            os.write(own, PASSWORD.encode() + b"\n")
        while b"may sign in" not in seen:
            seen += os.read(own, 1_000)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(own)
    assert PASSWORD.encode() not in seen
    assert await password_of(database, "ada", PASSWORD)


async def test_an_empty_trail_and_a_day_of_it(database: str) -> None:
    """Only what was done from a day on is listed; nobody's name finds nothing."""
    assert run(database, "audit", "list", "--actor", "nobody")[:2] == (0, "")
    assert run(database, "audit", "list", "--since", "2999-01-01")[:2] == (0, "")
    assert "token.add" in run(database, "audit", "list", "--since", "2020-01-01")[1]
