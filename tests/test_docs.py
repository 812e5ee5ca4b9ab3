"""The documents are true: examples run, links lead somewhere, names exist, and nothing is left out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from callhome import metrics
from callhome.ingest.routes import Routes
from callhome.settings import TABLE
from callhome.settings.sources import OTHER_VARIABLES
from consoles import console
from listener import config_of
from pages import ROOT, Example, anchors, broken_links, examples, missing_files, queries, spans
from signed import TOKEN
from test_cli_serve import CLEAN, KNOWN_S, serving, told

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
EXAMPLES = [example for page, text in PAGES.items() for example in examples(page, text)]
RUN = {page: [e for e in EXAMPLES if e.page == page and e.mark != "not run"] for page in PAGES}

# Page and first line of the examples that are not run, and why.
NOT_RUN = {
    ("CONTRIBUTING.md", "# all tests"): "would run this very test; that the targets exist is tested below",
    ("README.md", "callhome serve --embedded"): "runs until Ctrl-C; test_cli_serve.py starts it",
    ("README.md", "make demo"): "runs until Ctrl-C; test_demo_run.py starts it",
    ("README.md", "make test"): "would run this very test",
    ("README.md", "python3 -m venv ~/callhome && . ~/callhome/bin/activate"): "test_project.py builds it",
    (
        "docs/licenses.md",
        "callhome findings show 12",
    ): "needs a finding; test_cli_findings.py shows and closes one",
    ("docs/operating.md", "createuser --pwprompt callhome"): "asks for a password",
    (
        "docs/operating.md",
        "export CALLHOME_DATABASE_URL=postgresql://callhome:password@db1,db2,db3/callhome",
    ): ("names databases of the reader"),
    ("docs/operating.md", "export CALLHOME_DATABASE_URL=postgresql://callhome:password@localhost/callhome"): (
        "names a database of the reader"
    ),
    ("docs/spool.md", "callhome spool inspect /var/lib/callhome/spool"): "test_spool_cli.py runs it",
    ("docs/spool.md", "callhome spool drain /mnt/old-server/spool"): "test_spool_cli.py runs it",
    (
        "docs/workers.md",
        "callhome serve --workers 4",
    ): "runs until Ctrl-C; test_workers_supervisor.py starts it",
}

# Pages and mails link to these definitions: an anchor that is here stays.
TERMS = {
    *("ping", "duplicate", "time", "day", "late-ping", "license"),
    *("install", "weak-install", "country", "build-in-use", "update", "unverified"),
    *("active-installs", "users", "launches", "today", "last-30-days"),
    *("release", "notice", "cloned-install", "seats-used", "seats-held", "finding"),
    *(
        "new-returned-and-lost",
        "share",
        "time-to-half-of-the-installs",
        "median-age",
        "versions-behind",
        "cohort",
    ),
}


@pytest.fixture
def shell(database: str, tmp_path: Path) -> Iterator[Callable[[Example], str]]:
    """Runs an example against a fresh server and says how it differs from what its page says.

    ``callhome`` and ``curl`` are the real ones: the first told where the server is (the last --url counts),
    the second to print the status to stderr.
    """
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("the examples need curl: apt-get install curl")
    (tmp_path / "database_url").write_text(database)
    (tmp_path / "secret").write_text("s" * 32)
    with serving(CALLHOME_SECRETS_DIR=str(tmp_path)) as (_, lines):
        ingest, console = told(lines, "pings at "), told(lines, "console at ")
        url = f'case $1 in ping) set -- "$@" --url {ingest};; watch) set -- "$@" --url {console};; esac'
        commands = tmp_path.with_name(tmp_path.name + "-bin")
        commands.mkdir()
        # What examples write, such as a preview of a mail.
        work = tmp_path.with_name(tmp_path.name + "-work")
        work.mkdir()
        for name, script in {
            "callhome": f'{url}\nexec {sys.executable} -m callhome "$@"\n',
            "python3": f'exec {sys.executable} "$@"\n',
            "curl": f"exec {curl} --write-out '%{{stderr}}\\nHTTP %{{http_code}}\\n' \"$@\"\n",
        }.items():
            (commands / name).write_text(f"#!/bin/sh\n{script}")
            (commands / name).chmod(0o755)
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        environ = CLEAN | {"PATH": path, "CALLHOME_SECRETS_DIR": str(tmp_path), "CALLHOME_TOKEN": TOKEN}
        assumed = {
            "http://127.0.0.1:8080": ingest,
            "http://127.0.0.1:8081": console,
            "/tmp/callhome-...": str(tmp_path),
        }

        def run(example: Example) -> str:
            code = example.code
            for there, here in assumed.items():
                code = code.replace(there, here)
            done = subprocess.run(
                ["sh", "-ec", code],
                cwd=work,
                env=environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            statuses = re.findall(r"^HTTP (\d{3})$", done.stderr, re.MULTILINE)
            problem = example.problem(done.returncode, done.stdout, statuses)
            said = f"{example.page}: {code}\n{done.stdout}\n{done.stderr}"
            return problem and f"{problem}\n{said}"

        yield run


@pytest.mark.parametrize("page", [page for page, found in RUN.items() if found])
def test_examples_do_what_the_page_says(page: str, shell: Callable[[Example], str]) -> None:
    """All examples of a page, in order: each has the exit code, status and output that the page shows."""
    found = RUN[page]
    if not any("callhome product add es" in example.code for example in found):
        found = [Example(page, "", "callhome product add es"), *found]
    for example in found:
        # A product is known, and a ping counted, within a moment; what was refused is harmless to repeat.
        give_up_s = time.monotonic() + KNOWN_S
        while (problem := shell(example)) and time.monotonic() < give_up_s:
            time.sleep(0.1)
        assert not problem, problem


def test_examples_that_are_not_run_are_these() -> None:
    """An example is left out only where this file says why, and every mark is one that is understood."""
    left_out = {example.key for example in EXAMPLES if example.mark == "not run"}
    # Those need an engine for containers or a cluster: each of these pages says what of it was tried, and how.
    assert {key for key in left_out if not key[0].startswith("docs/deploy/")} == NOT_RUN.keys()
    strange = [example for example in EXAMPLES if not re.fullmatch(r"|not run|expect: \d{3}", example.mark)]
    assert not strange


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page leads to a file, and its anchor to a heading there."""
    assert not broken_links(PAGES[page], (ROOT / page).parent)


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    """Every file of the tree that a page names is there."""
    assert not missing_files(PAGES[page])


@pytest.mark.parametrize(
    ("search", "text", "found"),
    [
        (broken_links, "## A b\n[x](#a-b) [y](#c) `[z](#d)`", ["#c"]),
        (
            broken_links,
            "[x](README.md) [y](no.md) [z](docs/protocol.md#no)",
            ["no.md", "docs/protocol.md#no"],
        ),
        (broken_links, "## A\n## A\n[x](#a-1) [y](#a-2) [z](https://example.com/no)", ["#a-2"]),
        (missing_files, "`tests/test_<module>.py` `ingest/nothing.py` `dist/`", ["ingest/nothing.py"]),
        (missing_files, "`setup.cfg` `settings.md` `no_such.py` `application/json`", ["no_such.py"]),
    ],
)
def test_planted_faults_are_found(search: Callable[[str], list[str]], text: str, found: list[str]) -> None:
    """The searches for dead links and missing files find them, and nothing else."""
    assert search(text) == found


@pytest.mark.parametrize(
    ("exit_code", "output", "statuses", "is_fine"),
    [
        (0, 'HTTP/1.1 400\n\n{"a":1,"b":"x"}', ["400"], True),
        (0, '{"a":1,"b":"x"} more', ["400"], False),
        (0, '{"a":2,"b":"x"}', ["400"], False),
        (0, '{"a":1,"b":"x"}', ["400", "204"], False),
        (7, '{"a":1,"b":"x"}', ["400"], False),
    ],
)
def test_other_results_than_shown_are_found(
    exit_code: int, output: str, statuses: list[str], is_fine: bool
) -> None:
    """An example fails on another exit code, another status and another output than its page shows."""
    text = '<!-- expect: 400 -->\n```sh\ncurl x\n```\n\n```json\n{"a": 1, "b": …}\n```\n'
    (example,) = examples("page", text)
    assert (example.problem(exit_code, output, statuses) == "") is is_fine


def test_terms_keep_their_anchors() -> None:
    """The defined terms are those that were promised, and the index of definitions has them all."""
    text = PAGES["docs/definitions.md"]
    defined = anchors("\n".join(re.findall(r"^### .+$", text, re.MULTILINE)))
    indexed = re.findall(r"\(#([\w-]+)\)", text.partition("\n## ")[0])
    assert defined == TERMS
    assert sorted(indexed) == sorted(TERMS)


async def test_routes_are_those_in_the_table() -> None:
    """The table of what the listeners answer has every route of both, and no other."""
    row = re.compile(r"^\| (ingest|console) \| ([A-Z, ]+) \| `([^`]+)` \|", re.MULTILINE)
    routes = [
        ("ingest", b", ".join(route.methods).decode(), path.decode())
        for path, route in Routes(config_of())._by_path.items()
    ]
    async with console() as running:
        assert running._runner is not None
        assert running._runner.app is not None
        for route in running._runner.app.router.routes():
            if route.method != "HEAD":  # aiohttp adds it to each GET
                assert route.resource is not None
                routes.append(("console", route.method, route.resource.canonical))
    assert sorted(row.findall(PAGES["docs/operating.md"])) == sorted(routes)


def test_metrics_are_those_in_the_table() -> None:
    """The table of metrics has every metric that is exposed, and no other."""
    tally = metrics.Tally()
    tally.spool = metrics.SpoolRoom(0, 0, 0.0, 0.0)
    rows = re.findall(r"^\| (`(?:callhome|process)_[\w`, ]+) \|", PAGES["docs/operating.md"], re.MULTILINE)
    exposed = re.findall(r"^# TYPE (\w+) ", metrics.render(tally).decode(), re.MULTILINE)
    assert sorted(name for row in rows for name in spans(row)) == sorted(exposed)


@pytest.mark.parametrize("page", PAGES)
def test_named_settings_and_targets_exist(page: str) -> None:
    """Every setting and every target of make that a page names exists."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([\w-]+)", PAGES[page], re.MULTILINE)) <= set(targets)
    if page != "docs/settings.md":  # generated from the table; it names variables that are no settings, too
        named = set(re.findall(r"\bCALLHOME_[A-Z_]+", PAGES[page]))
        assert named <= {row.variable for row in TABLE.values()} | OTHER_VARIABLES.keys()


async def test_every_column_has_a_comment(database: str) -> None:
    """No table and no column is without its comment; partitions have those of their table."""
    tables = (
        "FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace "
    )
    bare = (
        f"SELECT DISTINCT c.relname::text AS name {tables} AND obj_description(c.oid, 'pg_class') IS NULL UNION "
        f"SELECT c.relname || '.' || a.attname {tables} AND col_description(c.oid, a.attnum) IS NULL"
    )
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetch(bare) == []
        await connection.execute("CREATE TABLE planted (x integer)")
        assert {row["name"] for row in await connection.fetch(bare)} == {"planted", "planted.x"}
    finally:
        await connection.close()


async def test_definitions_are_in_terms_of_the_schema(database: str) -> None:
    """Every ``table.column`` that a page names exists, and every query in it runs."""
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
        known = {(row["table_name"], row["column_name"]) for row in rows}
        tables = {table for table, _ in known}
        for page, text in PAGES.items():
            pairs = {tuple(span.split(".")) for span in spans(text) if re.fullmatch(r"\w+\.[a-z0-9_]+", span)}
            assert {pair for pair in pairs if pair[0] in tables and pair[1] != "py"} <= known, page
        assert queries(PAGES["docs/definitions.md"])
        for text in PAGES.values():
            for query in queries(text):
                await connection.fetch(query)
    finally:
        await connection.close()
