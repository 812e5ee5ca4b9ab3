"""What can be read out of a page of Markdown: examples, anchors, links, names. Pure but for looking at the tree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "server" / "callhome"

# Made by commands, hence not in the tree.
MADE = (".venv", "dist", "build", "bench/results")

_BLOCK = re.compile(r"(?:^<!-- ([^>]*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"[\w.<>*-]+\.(py|sql|md|cfg)")


@dataclass(frozen=True)
class Example:
    """A block of commands: ``mark`` is the comment before it, ``shown`` the output behind it (``…``: anything)."""

    page: str
    mark: str
    code: str
    shown: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Page and first line."""
        return self.page, self.code.partition("\n")[0]

    def problem(self, exit_code: int, output: str, statuses: list[str]) -> str:
        """What differs from what the page says, ``""`` if nothing; a request is answered with 200 unless it says."""
        marked = re.fullmatch(r"expect: (\d{3})", self.mark)
        expected = marked[1] if marked else "200"
        if exit_code:
            return f"exit code {exit_code}"
        if any(status != expected for status in statuses):
            return f"statuses {statuses}, not {expected}"
        if self.shown is not None:
            wanted, had = ("".join(text.split()) for text in (self.shown, output))
            if not re.search(re.escape(wanted).replace("…", ".*") + "$", had):
                return f"the output is not as shown:\n{self.shown}"
        return ""


def examples(page: str, text: str) -> Iterator[Example]:
    """The blocks of shell commands, each with the output in the block right behind it."""
    for block, after in pairwise([*_BLOCK.finditer(text), None]):
        if block and block[2] == "sh":
            follows = after and after[2] in ("text", "json") and not text[block.end() : after.start()].strip()
            yield Example(page, block[1] or "", block[3], after[3] if after and follows else None)


def queries(text: str) -> list[str]:
    """The blocks of SQL."""
    return [block[3] for block in _BLOCK.finditer(text) if block[2] == "sql"]


def prose(text: str) -> str:
    """The text without its blocks."""
    return _BLOCK.sub("", text)


def spans(text: str) -> list[str]:
    """What stands between backticks, outside the blocks."""
    return _SPAN.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub and most others make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def broken_links(text: str, folder: Path = ROOT) -> list[str]:
    """Relative links of a page in ``folder`` that lead to no file, or to no heading in it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _SPAN.sub("", prose(text))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = folder / name
        if not target.exists() or (
            anchor and anchor not in anchors(target.read_text("utf-8") if name else text)
        ):
            broken.append(link)
    return broken


def missing_files(text: str) -> list[str]:
    """Files of the tree named between backticks that don't exist; ``<x>`` and ``*`` stand for anything."""
    rooms = {path.name for folder in (ROOT, PACKAGE) for path in folder.iterdir() if path.is_dir()}
    missing = []
    for span in spans(text):
        is_file = _FILE.fullmatch(span) is not None
        in_room = "/" in span and span.partition("/")[0] in rooms
        if not (is_file or in_room) or span.startswith(MADE):
            continue
        pattern = re.sub(r"<\w+>", "*", span).rstrip("/")
        folders = (ROOT, PACKAGE, ROOT / "docs") if is_file else (ROOT, PACKAGE)
        if not any(any(folder.glob(pattern)) for folder in folders):
            missing.append(span)
    return missing
