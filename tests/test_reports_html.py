"""The HTML of mails keeps the rules of docs/mail-rules.md, is safe from hostile texts, and looks right in Chromium."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

import pytest
from playwright.async_api import Page as BrowserPage

import figures as samples
import mail_rules
from bench import chromium
from browser import PATIENCE_MS, needs_chromium
from callhome.reports.compose import HTML_BYTES, compose
from callhome.reports.figures import Figures
from callhome.reports.model import LANGUAGES, SECTIONS, UNSUBSCRIBE, Composed
from mail_rules import Page, Rule

DOCS = Path(__file__).parent.parent / "docs"
CONSOLE = "https://callhome.example"
SAMPLES = {
    "usual": samples.USUAL,
    "several": samples.SEVERAL,
    "empty": samples.EMPTY,
    "no product": samples.NO_PRODUCT,
    "hostile": samples.hostile(3),
}
USUAL = compose(samples.order(), samples.USUAL, CONSOLE).html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SAMPLES)
def test_mails_keep_the_rules(name: str, language: str) -> None:
    """Whatever the figures and the language, each rule is kept, with an address to unsubscribe at and without."""
    for console_url in (CONSOLE, None):
        composed = compose(samples.order(language), SAMPLES[name], console_url)
        assert not mail_rules.complaints(composed.html)
        assert composed.html.count(UNSUBSCRIBE) == (console_url is not None)


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_keeps_the_rules_alone(section: str) -> None:
    """A mail of a single section keeps each rule, too."""
    composed = compose(samples.order(sections=(section,)), samples.SEVERAL, CONSOLE)
    assert not mail_rules.complaints(composed.html)


# The rule, what is taken out of a usual mail, and what is put there instead.
PLANTED = (
    (mail_rules.small, "</body>", f"<p>{'x' * 100_000}</p></body>"),
    (mail_rules.plain_elements, "</body>", "<script></script></body>"),
    (mail_rules.plain_elements, "</body>", '<form action="x"></form></body>'),
    (mail_rules.plain_elements, "</head>", '<link rel="stylesheet" href="x"></head>'),
    (mail_rules.plain_elements, "<body ", '<body onload="x" '),
    (mail_rules.plain_elements, "<body ", '<body background="x" '),
    (mail_rules.standards, "<!DOCTYPE html>", ""),
    (mail_rules.standards, '<meta charset="utf-8">', ""),
    (mail_rules.no_foreign_layout, "margin:0;", "display:flex;"),
    (mail_rules.no_foreign_layout, "margin:0;", "position: absolute;"),
    (mail_rules.no_foreign_layout, "margin:0;", "margin-top:-4px;"),
    (mail_rules.no_foreign_layout, "</style>", ".x{float:left}</style>"),
    (mail_rules.known_properties, "margin:0;", "box-shadow:0 0 2px;"),
    (mail_rules.boxes_are_cells, '<p class="q" style="', '<p class="q" style="padding:4px;'),
    (mail_rules.inline_styles, "font-family:", "font-famly:"),
    (mail_rules.inline_styles, "color:#1f2933", ""),
    (mail_rules.small_styles, "</style>", f"/*{'x' * 8_192}*/</style>"),
    (mail_rules.small_styles, "</body>", "<style>.x{color:red}</style></body>"),
    (mail_rules.small_styles, ".b{", "a:hover{color:red}.b{"),
    (mail_rules.own_resources, 'src="cid:', 'src="https://example.com/'),
    (mail_rules.own_resources, "</style>", "@font-face{font-family:x}</style>"),
    (mail_rules.own_resources, "margin:0;", "background-image:url(x);"),
    (mail_rules.own_links, "</body>", '<a href="https://example.com">x</a></body>'),
    (mail_rules.sized_pictures, ' width="552"', ""),
    (mail_rules.sized_pictures, ' width="552"', ' width="700"'),
    (mail_rules.sized_pictures, ' alt="', ' title="'),
    (mail_rules.sized_pictures, "display:block;", ""),
    (mail_rules.told_tables, ' role="presentation"', ""),
    (mail_rules.told_tables, ' scope="col"', ""),
    (mail_rules.told_tables, ' cellpadding="0"', ""),
    (mail_rules.told_language, ' lang="en"', ""),
    (mail_rules.told_language, "<title>Weekly", "<title></title><title>Weekly"),
    (mail_rules.fluid, "max-width:600px", "max-width:700px"),
    (mail_rules.fluid, "<!--[if mso]><table", "<!--[if mso]><xable"),
    (mail_rules.fluid, '<table role="presentation" class="p" width="100%"', '<table class="p" width="640"'),
    (mail_rules.two_schemes, '<meta name="color-scheme"', '<meta name="scheme"'),
    (mail_rules.two_schemes, "prefers-color-scheme:dark", "print"),
    (mail_rules.readable, "color:#52606d", "color:#9aa5b1"),
    (mail_rules.readable, ".q{color:#a5b1bd!important}", ".q{color:#52606d!important}"),
    (mail_rules.preheader, "display:none;", ""),
    (mail_rules.preheader, "mso-hide:all;", ""),
)


@pytest.mark.parametrize(("rule", "old", "new"), PLANTED)
def test_rule_finds_planted_violation(rule: Rule, old: str, new: str) -> None:
    """Each rule complains of a violation planted in a usual mail that kept it."""
    assert old in USUAL
    if new.startswith("<title></title>"):  # the title that counts is the empty one
        planted = re.sub("<title>[^<]*</title>", "<title></title>", USUAL)
    else:
        planted = USUAL.replace(old, new)
    assert not list(rule(Page(USUAL)))
    assert list(rule(Page(planted)))


def test_every_rule_was_planted() -> None:
    """No rule is without a violation that it finds."""
    assert {rule for rule, _, _ in PLANTED} == set(mail_rules.RULES)


def test_rules_are_those_in_the_document() -> None:
    """docs/mail-rules.md has each rule in the words of the code, with its sources, and no other."""
    told = re.findall(r"^\| (.+?) \| (.+?) \|$", (DOCS / "mail-rules.md").read_text("utf-8"), re.MULTILINE)
    expected = [
        (str(rule.__doc__), re.findall(r"https?://\S+", " ".join(sources)))
        for rule, sources in mail_rules.RULES.items()
    ]
    found = [(said, re.findall(r"\]\((\S+?)\)", links)) for said, links in told[2:]]
    assert found == expected


@pytest.mark.fault(13)
def test_hostile_texts_are_text() -> None:
    """Markup, entities and templates in names and versions are shown as they are, and no element comes of them."""
    page = Page(SAMPLES_HTML["hostile"])
    assert not [element for element in page.named("img") if not element.attributes["src"].startswith("cid:")]
    text = " ".join(element.text for element in page.texts)
    assert "<img src=x onerror=alert(1)>" in text
    assert "&amp;{{7*7}}{% raw %}" in text
    assert escape("<img src=x onerror=alert(1)>") in page.source
    for char in "\x02\x03\u202e\r":
        assert char not in page.source.replace(UNSUBSCRIBE, "")


SAMPLES_HTML = {name: compose(samples.order(), figures, CONSOLE).html for name, figures in SAMPLES.items()}


def test_many_products_fit_into_a_mail() -> None:
    """Of fewer products sections tell in full where more would be cut off by Gmail; the first sentences say so."""
    composed = compose(samples.order(), samples.hostile(3), CONSOLE)
    assert 20_000 < len(composed.html.encode()) <= HTML_BYTES
    assert "The sections tell of the largest only" in composed.text
    assert (
        "The sections tell of the largest only" not in compose(samples.order(), samples.SEVERAL, CONSOLE).text
    )


# --- in a browser -----------------------------------------------------------------------------------------------------


def with_pictures(composed: Composed) -> str:
    """The HTML as a mail program shows it: its own pictures in their places."""
    html = composed.html
    for image in composed.images:
        data = base64.b64encode(image.content).decode()
        html = html.replace(f"cid:{image.cid}", f"data:image/png;base64,{data}")
    return html


@asynccontextmanager
async def reading(composed: Composed, width: int, scheme: str = "light") -> AsyncIterator[BrowserPage]:
    """The mail in a browser, which asks nobody for anything and finds no fault."""
    troubles: list[str] = []
    async with chromium.launched() as browser:
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text))
        page.on(
            "request", lambda asked: None if asked.url.startswith("data:") else troubles.append(asked.url)
        )
        await page.set_content(with_pictures(composed))
        yield page
    assert not troubles


BACKGROUND = "getComputedStyle(document.querySelector('.p')).backgroundColor"
COLOUR = "getComputedStyle(document.querySelector('h1')).color"


@needs_chromium
@pytest.mark.parametrize("name", ["usual", "several", "hostile"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_mail_fits_a_phone(name: str, language: str) -> None:
    """At 360 pixels nothing stands over, every picture is there, and nothing is asked of any host."""
    figures: Figures = SAMPLES[name]
    async with reading(compose(samples.order(language), figures, CONSOLE), 360) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        pictures = await page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.width])")
        assert pictures
        assert all(complete and natural == 1104 and shown <= 328 for complete, natural, shown in pictures)


@needs_chromium
async def test_mail_is_light_or_dark() -> None:
    """It is dark on light, 600 pixels wide in a wide window, and light on dark for who prefers that."""
    composed = compose(samples.order(), samples.USUAL, CONSOLE)
    async with reading(composed, 1200) as page:
        assert await page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
        assert await page.evaluate(COLOUR) == "rgb(31, 41, 51)"
        assert await page.evaluate("document.querySelector('.p').offsetWidth") == 600
    async with reading(composed, 1200, "dark") as page:
        assert await page.evaluate(BACKGROUND) == "rgb(29, 35, 41)"
        assert await page.evaluate(COLOUR) == "rgb(230, 234, 238)"


@needs_chromium
@pytest.mark.fault(13)
async def test_hostile_texts_do_nothing_in_a_browser() -> None:
    """No script of a stranger runs, and no picture of theirs is asked for."""
    async with reading(compose(samples.order(), samples.hostile(), CONSOLE), 800) as page:
        assert await page.evaluate("document.querySelectorAll('img:not([src^=data])').length") == 0
        assert await page.evaluate("document.scripts.length") == 0
        assert "<img src=x onerror=alert(1)>" in await page.inner_text("body")
