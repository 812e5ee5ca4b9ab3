"""The slides: what of a page is on them, that each fits its screen, and that keys lead from one to the next."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from bench import chromium
from browser import needs_chromium

slides: Any = import_module("tools.slides")

TEXT = """# Title

<!-- slide -->
A lead

## One

<!-- slide -->
Seen, with [a link](other.md)

Said

## Not a slide

Only to read.

## Two

<!-- slide -->
- a
- b
"""
SCREENS = [(1280, 720), (1024, 768)]
# The smallest text of a slide on a screen of 720 lines: smaller is not read from the back of a room.
SMALLEST_PX = 20.0

# What is wrong with the slide that is shown: taller or wider than its room, or with text that is too small or cut off.
FAULTS = """(smallest) => {
    const seen = [...document.querySelectorAll("section")].find((one) => !one.hidden).querySelector(".seen");
    const room = seen.parentElement.getBoundingClientRect();
    const unit = room.height / 720;
    const found = [];
    if (seen.scrollHeight > seen.clientHeight || seen.scrollWidth > seen.clientWidth) found.push("it overflows");
    const foot = document.querySelector("nav").getBoundingClientRect().top;
    for (const text of seen.querySelectorAll("h1, h2, p, li, td, th, code, text")) {
        const box = text.getBoundingClientRect();
        const drawn = text.ownerSVGElement;
        const scale = drawn ? drawn.getScreenCTM().a : 1;
        const size = parseFloat(getComputedStyle(text).fontSize) * scale / unit;
        const frame = drawn ? drawn.getBoundingClientRect() : room;
        if (size < smallest) found.push(`${size} px: ${text.textContent}`);
        if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(`cut off: ${text.textContent}`);
        if (box.bottom > room.bottom) found.push(`below the slide: ${text.textContent}`);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slides, built as `make slides` builds them."""
    file = tmp_path_factory.mktemp("slides") / "slides.html"
    done = subprocess.run(
        [sys.executable, slides.__file__, str(slides.PAGE), str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return file


@asynccontextmanager
async def shown(deck: Path, size: tuple[int, int] = SCREENS[0], **options: Any) -> AsyncIterator[Page]:
    """The slides in a browser. At the end there must have been no error, and no request but for the file."""
    troubles: list[str] = []
    async with chromium.launched() as browser:
        page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
        page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda asked: (
                troubles.append(asked.url) if not asked.url.startswith((deck.as_uri(), "data:")) else None
            ),
        )
        await page.goto(deck.as_uri())
        yield page
    assert not troubles


async def place(page: Page) -> str:
    """Number of the slide that is shown, and the only one that is."""
    assert await page.locator("section:visible").count() == 1
    return (await page.locator("#place").inner_text()).split()[0]


def test_slides_are_what_the_page_marks() -> None:
    """A section with a mark is a slide with the marked blocks; the others are the speaker's, a link leads nowhere."""
    found = slides.slides(TEXT, slides.ROOT)
    assert [(one.level, one.title) for one in found] == [(1, "Title"), (2, "One"), (2, "Two")]
    assert found[1].seen == ["<p>Seen, with a link</p>\n"]
    assert found[1].said == ["<p>Said</p>\n"]
    assert "<li>a</li>" in found[2].seen[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# A\n\nText\n", "nothing is marked"),
        ("# A\n\n<!-- slide -->\n## B\n", "nothing to show"),
        ("# A\n\ntext\n\n<!-- slide -->\n", "nothing to show"),
        ("# A\n\n<!-- slide -->\n![x](no.svg)\n", "no picture no.svg"),
        ("# A\n\n<!-- slide -->\n![x](tests/test_slides.py)\n", "pictures are"),
    ],
)
def test_a_wrong_page_is_refused(text: str, said: str) -> None:
    """A mark without a block, a page without a mark and a picture that isn't there are told."""
    with pytest.raises(slides.SlidesError, match=said):
        slides.slides(text, slides.ROOT)


def test_a_page_that_is_not_there_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command names the page that it can't read, and writes nothing."""
    assert slides.main([str(tmp_path / "no.md"), str(tmp_path / "out.html")]) == 1
    assert "no.md" in capsys.readouterr().err
    assert not (tmp_path / "out.html").exists()


def test_nothing_in_the_file_leads_elsewhere(deck: Path) -> None:
    """No link, no source and no import; the policy in the file allows what is inside, and nothing else."""
    text = deck.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(
        r"""<(?:link|iframe|base|form|a)\b|@import|url\((?!#)|(?:src|href)="(?!data:)""", text
    )


def test_pictures_have_the_colours_of_the_slides(deck: Path) -> None:
    """Each class of a picture is in the style sheet; no picture brings its own; each is described in words."""
    style = Path(slides.__file__).with_suffix(".css").read_text(encoding="utf-8")
    drawn = re.findall(r"<svg .*?</svg>", deck.read_text(encoding="utf-8"), re.DOTALL)
    assert len(drawn) > 5
    for picture in drawn:
        assert re.match(r'<svg aria-label="[^"]{20,}"', picture)
        assert "<style" not in picture
        named = {name for classes in re.findall(r'class="([^"]+)"', picture) for name in classes.split()}
        assert not {name for name in named if f"svg .{name} " not in style}


@needs_chromium
@pytest.mark.parametrize("size", SCREENS)
async def test_every_slide_fits_its_screen(deck: Path, size: tuple[int, int]) -> None:
    """Nothing overflows, is cut off or too small to be read, on any slide."""
    async with shown(deck, size) as page:
        for number in range(1, await page.locator("section").count() + 1):
            assert await place(page) == str(number)
            assert await page.evaluate(FAULTS, SMALLEST_PX) == [], f"slide {number}"
            await page.keyboard.press("ArrowRight")


@needs_chromium
async def test_a_slide_that_does_not_fit_is_found(tmp_path: Path) -> None:
    """The search for slides that don't fit finds a long one."""
    deck = tmp_path / "long.html"
    text = TEXT + "\n".join(f"- line {number}" for number in range(20)) + "\n"
    deck.write_text(slides.document(slides.slides(text, slides.ROOT)), encoding="utf-8")
    async with shown(deck) as page:
        assert await page.evaluate(FAULTS, SMALLEST_PX) == []
        await page.keyboard.press("End")
        assert "it overflows" in await page.evaluate(FAULTS, SMALLEST_PX)


@needs_chromium
async def test_keys_lead_through_the_slides(deck: Path) -> None:
    """Forward, back, first, last; the address follows, and leads back to a slide; the heading has the focus."""
    async with shown(deck) as page:
        last = str(await page.locator("section").count())
        steps = [
            *(("ArrowRight", "2"), ("PageDown", "3"), (" ", "4"), ("ArrowDown", "5")),
            *(("ArrowLeft", "4"), ("PageUp", "3"), ("Shift+Space", "2"), ("ArrowUp", "1"), ("ArrowUp", "1")),
            *(("End", last), ("ArrowRight", last), ("Home", "1"), ("ArrowRight", "2")),
        ]
        for key, number in steps:
            await page.keyboard.press("Space" if key == " " else key)
            assert await place(page) == number, key
        assert await page.evaluate("document.activeElement.matches('section:not([hidden]) h2')")
        assert page.url.endswith("#2")
        await page.goto(f"{deck.as_uri()}#4")
        assert await place(page) == "4"
        await page.get_by_role("button", name="Next slide").click()
        assert await place(page) == "5"


@needs_chromium
async def test_notes_colours_and_keys_are_a_key_away(deck: Path) -> None:
    """``s`` shows what is said, ``d`` turns dark, ``?`` the keys; each again puts it away."""
    async with shown(deck, color_scheme="light") as page:
        await page.keyboard.press("ArrowRight")
        colour = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(colour)
        for key, seen in (("s", "section:visible aside"), ("?", "#keys")):
            assert await page.locator(seen).is_hidden()
            await page.keyboard.press(key)
            assert await page.locator(seen).is_visible()
            await page.keyboard.press(key)
            assert await page.locator(seen).is_hidden()
        await page.keyboard.press("d")
        assert await page.evaluate(colour) != light
        await page.keyboard.press("d")
        assert await page.evaluate(colour) == light


@needs_chromium
async def test_printing_gives_a_page_for_each_slide(deck: Path) -> None:
    """The PDF has as many pages as there are slides, each of a slide's size."""
    async with shown(deck) as page:
        number = await page.locator("section").count()
        pdf = await page.pdf(prefer_css_page_size=True)
    # Pages are objects of their own in a PDF of Chromium, uncompressed.
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == number
    assert {box.split()[2:] == [b"960", b"540"] for box in re.findall(rb"/MediaBox \[([^]]+)\]", pdf)} == {
        True
    }
