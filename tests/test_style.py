"""The package keeps the rules of style, and each rule can fail."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import style
from style import Module, Rule

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "callhome"
TESTS = ROOT / "tests"

# Pure: nothing they import, directly or through callhome, does I/O.
PURE = (
    "errors",
    "ingest.admission",
    "ingest.ceiling",
    "ingest.decode",
    "ingest.enrich",
    "ingest.legacy",
    "ingest.lines",
    "ingest.model",
    "ingest.reasons",
    "access.checks",
    "access.keys",
    "access.model",
    "access.origins",
    "access.throttle",
    "addresses",
    "alerts.facts",
    "alerts.model",
    "alerts.page",
    "alerts.parameters",
    "alerts.rules",
    "alerts.signing",
    "alerts.telling",
    "alerts.texts",
    "alerts.texts_en",
    "alerts.texts_fr",
    "console.signin_page",
    "csvcells",
    "imports.chunks",
    "imports.mapping",
    "imports.picking",
    "imports.records",
    "imports.times",
    "pseudonyms",
    "licenses.badlines",
    "licenses.clones",
    "licenses.csvfile",
    "licenses.fields",
    "licenses.findings",
    "licenses.keys",
    "licenses.verdict",
    "licenses.model",
    "releases.checks",
    "releases.model",
    "releases.notices",
    "releases.offers",
    "releases.version",
    "reports.charts",
    "reports.compose",
    "reports.figures",
    "reports.html",
    "reports.mailing",
    "reports.message",
    "reports.schedule",
    "reports.subscription",
    "reports.unsubscribe",
    "reports.license_sections",
    "reports.model",
    "reports.outline",
    "reports.plain",
    "reports.product_sections",
    "reports.sections",
    "reports.tables",
    "reports.telling",
    "reports.texts",
    "reports.texts_en",
    "reports.texts_fr",
    "reports.wording",
    "statistics.installs",
    "statistics.model",
    "statistics.months",
    "statistics.releases",
    "live.counters",
    "store.encoding",
    "workers.merge",
    "workers.orders",
)

# Dotted name of a function -> why it takes more than six parameters.
MANY_PARAMETERS = {
    "client.Client.__init__": "each option by its own name, as programs call it",
    "store.encoding.encode_row": "one for each column, in their order",
}

# Module -> the test that covers it, where that is not test_<module>.py or test_<room>_<module>.py.
COVERED_BY = {
    "alerts.messenger": "test_jobs_alerts.py",
    "alerts.model": "test_alerts_rules.py",
    "alerts.page": "test_alerts_telling.py",
    "alerts.texts": "test_alerts_telling.py",
    "alerts.texts_en": "test_alerts_telling.py",
    "alerts.texts_fr": "test_alerts_telling.py",
    "reports.figures": "test_store_figures.py",
    "reports.license_sections": "test_reports_compose.py",
    "reports.outline": "test_reports_compose.py",
    "reports.product_sections": "test_reports_compose.py",
    "reports.sections": "test_reports_compose.py",
    "reports.telling": "test_reports_compose.py",
    "reports.texts": "test_reports_wording.py",
    "reports.texts_en": "test_reports_wording.py",
    "reports.texts_fr": "test_reports_wording.py",
    "console.cookies": "test_console_signin.py",
    "console.recheck": "test_console_guard.py",
    "console.routes": "test_console_guard.py",
    "console.signin_page": "test_console_signin.py",
    "jobs.access": "test_settings_effects.py",
    "store.accounts": "test_store_access.py",
    "store.audit": "test_store_access.py",
    "store.line": "test_store_access.py",
    "store.sessions": "test_store_access.py",
    "store.tokens": "test_store_access.py",
    "ingest.pending": "test_batch.py",
    "jobs.all": "test_app.py",
    "listeners": "test_app.py",
    "store.counts": "test_series.py",
    "store.delivery_sql": "test_deliveries.py",
    "store.statistics": "test_api_statistics.py",
    "__main__": "test_cli.py",
    "errors": "test_cli.py",
}

# Rooms small enough for one test file: tests/test_<room>.py, or several beginning so.
ONE_TEST_ROOMS = ("access", "api", "cli", "demo", "embedded", "imports", "settings", "spool", "statistics")

# What only the makers of a text know, or only one machine: work places, trackers, registries, tools.
UNFIT = tuple(
    re.compile(pattern)
    for pattern in (
        r"/wor[k]/|/roo[t]/|/home/\w+/",
        r"(?i)\bissu[e] #?\d+\b",
        r"(?i)shared/(desig[n]|styl[e]|part[s]|fault[s])|\b(clau[d]e|anthropi[c])\b",
        r"(?i)\b(pyp[i]|pythonhoste[d]|npmj[s]|crate[s]|golan[g]|deb\.debia[n]|mave[n])\.(org|io|com|apache)\b",
    )
)
THIRD_PARTY = re.compile(r"(^|/)(node_modules|site-packages|vendor|third_party)/|\.(min\.js|whl|mmdb)$")


def _modules() -> dict[str, Module]:
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = Module(name, path.read_text(encoding="utf-8"), is_package)
    return modules


MODULES = _modules()


def _tracked() -> list[Path]:
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    paths = [ROOT / name for name in found.stdout.split("\0") if name]
    if not paths:
        pytest.skip("not a git checkout with files in it")
    return [path for path in paths if path.is_file()]


def _complaints(rule: Rule, module: Module) -> list[str]:
    if rule is style.many_parameters:
        return list(style.many_parameters(module, MANY_PARAMETERS))
    return list(rule(module))


@pytest.mark.parametrize("rule", style.RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_rule(rule: Rule) -> None:
    """No module of the package breaks the rule."""
    complaints = [
        f"{name or 'callhome'}: {text}" for name, m in MODULES.items() for text in _complaints(rule, m)
    ]
    assert not complaints, "\n".join([rule.__doc__ or "", *complaints])


@pytest.mark.parametrize("name", PURE)
def test_pure_module_stays_pure(name: str) -> None:
    """Importing a pure module brings in no library of I/O, not even on a detour."""
    assert name in MODULES, f"no module {name}: take it off the list, or name its new place"
    assert not list(style.impurities(MODULES[name], MODULES))


def test_exemptions_are_still_needed() -> None:
    """An exemption from the six parameters names a function that does take more."""
    # line 12: f takes 7 parameters
    found = {f"{name}.{text.split()[2]}" for name, m in MODULES.items() for text in style.many_parameters(m)}
    assert MANY_PARAMETERS.keys() <= found


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_module_has_its_test(name: str) -> None:
    """A module with code in it has a test file of its name, or one that is said to cover it."""
    module = MODULES[name]
    if module.is_package and not any(True for _ in module.functions()):
        return
    room, _, stem = name.rpartition(".")
    candidates = {COVERED_BY[name]} if name in COVERED_BY else {f"test_{stem}.py", f"test_{room}_{stem}.py"}
    if (first := name.partition(".")[0]) in ONE_TEST_ROOMS:
        candidates |= {path.name for path in TESTS.glob(f"test_{first}*.py")} or {f"test_{first}.py"}
    assert any((TESTS / candidate).is_file() for candidate in candidates), f"none of {sorted(candidates)}"


def test_cover_list_is_true() -> None:
    """The list of covering tests names modules and files that exist."""
    for name, file in COVERED_BY.items():
        assert name in MODULES, name
        assert (TESTS / file).is_file(), file


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_each_test_says_its_behaviour(path: Path) -> None:
    """Each test has a docstring of one line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            said = ast.get_docstring(node) or ""
            assert len(said.splitlines()) == 1, f"{path.name}:{node.lineno}: {node.name}"


def test_committed_text_is_fit_to_publish() -> None:
    """No committed text names a machine's folders, a registry's host or how it came to be."""
    found = []
    for path in _tracked():
        data = path.read_bytes()
        text = "" if b"\0" in data else data.decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for unfit in UNFIT if (hit := unfit.search(text))]
    assert not found, "\n".join(found)


def test_no_foreign_code_is_committed() -> None:
    """Third-party code and data come from packages, and are not in the tree."""
    names = [path.relative_to(ROOT).as_posix() for path in _tracked()]
    assert not [name for name in names if THIRD_PARTY.search(name)]


DOC = '"""Doc."""\n'
PLANTED: tuple[tuple[Rule, str, str | None], ...] = (
    (style.long_module, DOC + "x = 1\n" * 300, "more than 300"),
    (style.long_module, '"""Doc.\n\nlong: a table.\n"""\n' + "x = 1\n" * 300, None),
    (style.long_function, "def f():\n" + "    g()\n" * 40, "f has 41 lines"),
    (style.long_function, 'def f():\n    """A.\n\n    B.\n    """\n' + "    g()\n\n    # why\n" * 39, None),
    (style.long_function, "class C:\n    def f(self):\n" + "        g()\n" * 40, "C.f has 41 lines"),
    (style.many_parameters, "def f(a, b, c, *, d, e, f, g): ...\n", "f takes 7"),
    (style.many_parameters, "class C:\n    def f(self, a, b, c, d, e, f): ...\n", None),
    (style.broad_except, "try:\n    f()\nexcept Exception:\n    pass\n", "line 3"),
    (
        style.broad_except,
        "try:\n    f()\nexcept (OSError, BaseException) as error:\n    log(error)\n",
        "line 3",
    ),
    (style.broad_except, "try:\n    f()\nexcept:\n    pass\n", "line 3"),
    (style.broad_except, "try:\n    f()\nexcept Exception:  # task root\n    log()\n", None),
    (style.broad_except, "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n", None),
    (style.mutable_global, "cache = {}\n", "cache is a mutable global"),
    (style.mutable_global, "seen: set[int] = set()\n", "seen is a mutable global"),
    (style.mutable_global, "TABLE = [1, 2]\n", "TABLE is a mutable global"),
    (style.mutable_global, "queue = collections.deque()\n", "queue is a mutable global"),
    (style.mutable_global, "def f():\n    global n\n    n = 1\n", "rebinds the global n"),
    (style.mutable_global, "TABLE: Final = {1: 2}\nPAIR = (1, 2)\n__all__ = ['f']\n", None),
    (style.missing_docstring, "x = 1\n", "the module has no docstring"),
    (style.missing_docstring, DOC + "class C:\n    pass\n", "C has no docstring"),
    (
        style.missing_docstring,
        DOC + "class C:\n    'D.'\n    async def f(self): ...\n",
        "C.f has no docstring",
    ),
    (style.missing_docstring, DOC + "def f():\n    'D.'\n    def g(): ...\ndef _h(): ...\n", None),
    (style.silent_cancellation, "async def f():\n    'Waits.'\n", "does not say what cancellation does"),
    (style.silent_cancellation, "async def f():\n    'Waits. Cancelling it is safe.'\n", None),
    (style.stray_sql, "def f():\n    return db.run(f'SELECT {x}')\n", "SQL outside the store"),
    (style.stray_sql, "x = '''\\n  WITH old AS (DELETE FROM ping)'''\n", "SQL outside the store"),
    (style.stray_sql, "f(f'UPDATE {table} SET x = 1')\n", "SQL outside the store: UPDATE"),
    (style.stray_sql, "f('COPY ping (id) FROM STDIN')\n", "SQL outside the store: COPY"),
    (style.stray_sql, "help = 'how long a COPY or UPDATE may take'\n", None),
    (style.stray_sql, "def f():\n    'SELECT 1 is not run here.'\n    # DELETE FROM ping\n", None),
    (style.backward_import, "from callhome.ingest.batch import GroupCommit\n", "imports ingest"),
    (style.backward_import, "def f():\n    from .. import app\n", "imports app"),
    (style.backward_import, "from ..console import pages\nimport callhome.errors\n", None),
)


@pytest.mark.parametrize(("rule", "source", "expected"), PLANTED)
def test_rule_finds_planted_violation(rule: Rule, source: str, expected: str | None) -> None:
    """Each rule complains of a planted violation and of nothing that is allowed."""
    complaints = list(rule(Module("live.push", source)))
    assert len(complaints) == (expected is not None), complaints
    assert expected is None or expected in complaints[0]


@pytest.mark.parametrize(
    ("room", "source", "finds"),
    [
        ("", "import asyncio\n", True),
        ("", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncpg\n", False),
        ("", "from . import other\n", True),
        ("", "from .other import thing\n", True),
        ("import aiohttp.web\n", "import json\n", True),
        ("", "from ..errors import CallhomeError\n", False),
    ],
)
def test_purity_follows_imports(room: str, source: str, finds: bool) -> None:
    """Impurity is found directly, over another module, and in the packages above, but not in types alone."""
    sources = {
        "": "",
        "errors": "",
        "room": room,
        "room.other": "def f():\n    import asyncpg\n",
        "room.pure": source,
    }
    modules = {name: Module(name, text, name in ("", "room")) for name, text in sources.items()}
    assert bool(list(style.impurities(modules["room.pure"], modules))) is finds


@pytest.mark.parametrize(
    "text",
    ["see /wor~k/main", "fixes issu~e 12", "https://pyp~i.org/simple", "files.pythonhoste~d.org"],
)
def test_unfit_text_is_found(text: str) -> None:
    """The search for unfit text finds it (a ~ hides it here from that search)."""
    assert any(unfit.search(text.replace("~", "")) for unfit in UNFIT)
