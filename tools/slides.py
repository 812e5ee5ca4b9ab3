"""Slides from a page of Markdown, as one file that asks no other for anything: ``make slides``.

The page says by comments what is on a slide. Each ``##`` section with a ``<!-- slide -->`` in it is one: on it are
the heading and every block (paragraph, list, table, picture, example) right behind such a comment. What else the
section says is for the speaker, behind the key ``s``. The ``#`` heading makes the first slide, in the same way.

    tools/slides.py [PAGE [FILE]]     docs/deploy/containers.md and build/slides.html, if they aren't given
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "deploy" / "containers.md"
FILE: Final = ROOT / "build" / "slides.html"
MARK: Final = "<!-- slide -->"


class SlidesError(Exception):
    """The page can't become slides; the message says where and why."""


@dataclass
class Slide:
    """One slide: its level (1 is the title), and HTML of heading, of what is seen, and of what the speaker says."""

    level: int
    title: str
    seen: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def blocks(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Split the tokens of a page into its top-level blocks."""
    block: list[Token] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block
            block = []


def picture(folder: Path, source: str, text: str) -> str:
    """The HTML of a picture with all that is in it; ``text`` describes it to those who don't see it."""
    file = folder / source
    if not file.is_file():
        raise SlidesError(f"no picture {source} beside the page")
    label = html.escape(text)
    if file.suffix == ".svg":
        # The colours are those of the slides: their style sheet has the same classes.
        drawn = re.sub(r"\s*<(style|title)>.*?</\1>", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        return drawn.strip().replace("<svg ", f'<svg aria-label="{label}" ', 1)
    if file.suffix != ".png":
        raise SlidesError(f"{source}: pictures are .svg or .png")
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    return f'<img alt="{label}" src="data:image/png;base64,{data}">'


def markdown(folder: Path) -> MarkdownIt:
    """A renderer of pages in ``folder``: pictures go into the text, links lead nowhere from a slide."""
    md = MarkdownIt("commonmark").enable("table")

    def image(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
        return picture(folder, str(tokens[index].attrs["src"]), tokens[index].content)

    def nothing(*_: Any) -> str:
        return ""

    for name, rule in {"image": image, "link_open": nothing, "link_close": nothing}.items():
        md.add_render_rule(name, rule)
    return md


def slides(text: str, folder: Path) -> list[Slide]:
    """The slides of a page, in its order; raises `SlidesError` where a mark has nothing behind it."""
    md = markdown(folder)
    sections: list[Slide] = []
    marked = False
    for block in blocks(md.parse(text)):
        first = block[0]
        if marked and first.type in ("heading_open", "html_block"):
            raise SlidesError(f"line {(first.map or [0])[0]}: nothing to show behind {MARK}")
        if first.type == "heading_open" and first.tag in ("h1", "h2"):
            title = md.renderer.render(block[1:2], md.options, {})
            sections.append(Slide(int(first.tag[1]), title))
        elif first.type == "html_block":
            marked = first.content.strip() == MARK
        elif sections:
            rendered = md.renderer.render(block, md.options, {})
            (sections[-1].seen if marked else sections[-1].said).append(rendered)
            marked = False
    if marked:
        raise SlidesError(f"the last line: nothing to show behind {MARK}")
    found = [section for section in sections if section.seen]
    if not found:
        raise SlidesError(f"nothing is marked: put {MARK} before what a slide shows")
    return found


def _section(slide: Slide, number: int) -> str:
    heading = f'<h{slide.level} id="title-{number}" tabindex="-1">{slide.title}</h{slide.level}>'
    notes = f'<aside aria-label="What the speaker says">{"".join(slide.said)}</aside>' if slide.said else ""
    kind = "title" if slide.level == 1 else "slide"
    return (
        f'<section class="{kind}" aria-labelledby="title-{number}">'
        f'<div class="seen">{heading}{"".join(slide.seen)}</div>{notes}</section>'
    )


def _allowed(text: str) -> str:
    """How a content security policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def document(found: Sequence[Slide]) -> str:
    """The whole file. Its policy lets a browser load nothing that is not in it."""
    style, script = (
        Path(__file__).with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".css", ".js")
    )
    policy = f"default-src 'none'; img-src data:; style-src {_allowed(style)}; script-src {_allowed(script)}"
    title = re.sub(r"<[^>]+>", "", found[0].title)
    body = "\n".join(_section(slide, number) for number, slide in enumerate(found, 1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<nav aria-label="Slides">
<button id="back" type="button" aria-label="Previous slide">‹</button>
<span id="place" role="status"></span>
<button id="on" type="button" aria-label="Next slide">›</button>
<button id="help" type="button" aria-expanded="false" aria-controls="keys" aria-label="Keys">?</button>
</nav>
<div id="keys" hidden>
<p><kbd>→</kbd> <kbd>space</kbd> next, <kbd>←</kbd> back, <kbd>Home</kbd> <kbd>End</kbd> first and last</p>
<p><kbd>s</kbd> what the speaker says, <kbd>d</kbd> dark or light, <kbd>f</kbd> whole screen</p>
<p><kbd>Ctrl</kbd> <kbd>P</kbd> prints a page for each slide; with <kbd>s</kbd> what is said, too</p>
</div>
<script>{script}</script>
</body>
</html>
"""


def main(words: Sequence[str]) -> int:
    """Write the file; return the exit code."""
    page, file = (*map(Path, words), *(PAGE, FILE)[len(words) :])
    try:
        found = slides(page.read_text(encoding="utf-8"), page.parent)
    except (OSError, SlidesError) as error:
        print(f"slides: {page}: {error}", file=sys.stderr)
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(document(found), encoding="utf-8")
    print(f"{file}: {len(found)} slides, {file.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
