"""The rules that HTML keeps in mails, as data: docs/mail-rules.md says them, and each can find a violation.

A rule is a function of a `Page`, which yields complaints; its docstring is the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Final

from callhome.reports.model import UNSUBSCRIBE

Rule = Callable[["Page"], Iterator[str]]

MAIL_BYTES: Final = 100_000
STYLE_CHARACTERS: Final = 8_192
WIDTH_PX: Final = 600
PREHEADER_CHARACTERS: Final = 30
CONTRAST: Final = 4.5

WORD: Final = "https://learn.microsoft.com/en-us/previous-versions/office/developer/office-2007/aa338201%28v=office.12%29"
OUTLOOKS: Final = "https://www.hteumeuleu.com/2020/outlook-rendering-engine/"
GMAIL: Final = "https://developers.google.com/workspace/gmail/design/css"
GMAIL_12: Final = "https://www.emailonacid.com/blog/article/email-development/12_things_you_must_know_when_developing_for_gmail_and_gmail_mobile_apps"
DARK: Final = "https://parcel.io/guides/color-scheme-in-email"
WCAG: Final = "https://www.w3.org/WAI/WCAG22/Understanding"

ELEMENTS: Final = frozenset(
    "html head meta title style body table tr td th div p h1 h2 h3 img a span br strong".split()  # noqa: SIM905
)
VOID: Final = frozenset({"meta", "img", "br"})
BOXES: Final = frozenset({"width", "height", "padding", "border"})
# What Word knows, and behind the line what it may ignore without harm.
PROPERTIES: Final = frozenset(
    {
        *(
            "color",
            "background-color",
            "font-family",
            "font-size",
            "font-weight",
            "line-height",
            "text-align",
        ),
        *(
            "text-decoration",
            "border",
            "border-top",
            "border-collapse",
            "margin",
            "padding",
            "width",
            "height",
        ),
        *("display", "white-space"),
        *("max-width", "max-height", "overflow", "border-radius", "word-break", "mso-hide"),
    }
)


@dataclass
class Element:
    """An element with what is around it."""

    name: str
    attributes: dict[str, str]
    parent: Element | None
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @cached_property
    def style(self) -> dict[str, str]:
        """The inline style."""
        return declarations(self.attributes.get("style", ""))

    @cached_property
    def classes(self) -> list[str]:
        """The names of its classes."""
        return self.attributes.get("class", "").split()

    def up(self) -> Iterator[Element]:
        """Itself and all around it."""
        at: Element | None = self
        while at is not None:
            yield at
            at = at.parent

    def inherited(self, name: str, dark: dict[str, dict[str, str]] | None = None) -> str:
        """The nearest value of a property; with ``dark``, classes have a say first."""
        for element in self.up():
            for one in element.classes:
                if dark and name in dark.get(one, {}):
                    return dark[one][name]
            if name in element.style:
                return element.style[name]
        return ""

    @property
    def is_hidden(self) -> bool:
        """Whether it is not shown."""
        return any(element.style.get("display") == "none" for element in self.up())


class Page(HTMLParser):
    """A mail's HTML, taken apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.elements: list[Element] = []
        self.comments: list[str] = []
        self.doctype = ""
        self._open: Element | None = None
        self.feed(source)
        self.close()

    def handle_decl(self, decl: str) -> None:
        """Keep the doctype."""
        self.doctype = decl

    def handle_comment(self, data: str) -> None:
        """Keep a comment."""
        self.comments.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self.elements.append(element)
        if self._open is not None:
            self._open.children.append(element)
        if tag not in VOID:
            self._open = element

    def handle_endtag(self, tag: str) -> None:
        """End an element, and those in it."""
        for element in self._open.up() if self._open else ():
            if element.name == tag:
                self._open = element.parent
                return

    def handle_data(self, data: str) -> None:
        """Keep text with its element."""
        if self._open is not None:
            self._open.text += data

    def named(self, *names: str) -> Iterator[Element]:
        """The elements of these names."""
        return (element for element in self.elements if element.name in names)

    @cached_property
    def styles(self) -> list[str]:
        """The style sheets that everybody reads."""
        return [element.text for element in self.named("style")]

    @cached_property
    def texts(self) -> list[Element]:
        """The elements of the body with text of their own that is shown."""
        return [
            element
            for element in self.elements
            if element.text.strip()
            and not element.is_hidden
            and any(above.name == "body" for above in element.up())
        ]

    @cached_property
    def dark(self) -> dict[str, dict[str, str]]:
        """What classes mean in the dark."""
        media = re.search(
            r"@media \(prefers-color-scheme:dark\)\{((?:[^{}]*\{[^{}]*\})*)", "\n".join(self.styles)
        )
        found: dict[str, dict[str, str]] = {}
        for names, body in re.findall(r"([^{}]+)\{([^{}]*)\}", media[1] if media else ""):
            for name in names.split(","):
                found.setdefault(name.strip().lstrip("."), {}).update(declarations(body))
        return found


def declarations(text: str) -> dict[str, str]:
    """The declarations of a style."""
    pairs = (part.partition(":") for part in text.split(";") if part.strip())
    return {name.strip().lower(): value.replace("!important", "").strip() for name, _, value in pairs}


def small(page: Page) -> Iterator[str]:
    """The HTML has fewer than 100,000 bytes."""
    if len(page.source.encode()) >= MAIL_BYTES:
        yield f"{len(page.source.encode()):,} bytes"


def plain_elements(page: Page) -> Iterator[str]:
    """No script, form, frame, drawing, video, linked style sheet nor anything else that mail programs take out."""
    yield from (f"<{element.name}>" for element in page.elements if element.name not in ELEMENTS)
    for element in page.elements:
        yield from (name for name in element.attributes if name.startswith("on") or name == "background")


def standards(page: Page) -> Iterator[str]:
    """It begins with the doctype of HTML5, and says that it is UTF-8."""
    if page.doctype.lower() != "doctype html":
        yield f"doctype {page.doctype!r}"
    if not any(meta.attributes.get("charset") == "utf-8" for meta in page.named("meta")):
        yield "no charset"


def no_foreign_layout(page: Page) -> Iterator[str]:
    """Nothing is laid out by flex, grid, position, float or negative margins."""
    wrong = r"\b(flex|grid)\b|\bposition\s*:|\bfloat\s*:|\bmargin[\w-]*\s*:[^;}]*-\d"
    for text in (*page.styles, *(element.attributes.get("style", "") for element in page.elements)):
        yield from (hit[0] for hit in re.finditer(wrong, text))


def known_properties(page: Page) -> Iterator[str]:
    """An inline style has only what Word knows, or may ignore without harm."""
    for element in page.elements:
        yield from (f"<{element.name}> {name}" for name in element.style if name not in PROPERTIES)


def boxes_are_cells(page: Page) -> Iterator[str]:
    """Widths and padding are those of tables and cells, not of blocks of text."""
    for element in page.named("div", "p", "span"):
        if not element.is_hidden:
            yield from (
                f"<{element.name}> {name}" for name in element.style if name.partition("-")[0] in BOXES
            )


def inline_styles(page: Page) -> Iterator[str]:
    """Without any style sheet, every text has its font, size and colour from inline styles."""
    for element in page.texts:
        for name in ("font-family", "font-size", "color"):
            if not element.inherited(name):
                yield f"<{element.name}> {element.text.strip()[:20]!r} has no {name}"


def small_styles(page: Page) -> Iterator[str]:
    """Style sheets stand in the head, have 8,192 characters at most, and only classes and elements for selectors."""
    if sum(map(len, page.styles)) > STYLE_CHARACTERS:
        yield f"{sum(map(len, page.styles)):,} characters"
    for element in page.named("style"):
        if not element.parent or element.parent.name != "head":
            yield "a style sheet in the body"
        selectors = re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{", "", element.text))
        for selector in selectors:
            if re.search(r"[\[:>+~*]", selector) and len(selectors) > 1:
                yield f"{selector.strip()} beside other rules: Gmail may drop them all"


def own_resources(page: Page) -> Iterator[str]:
    """Nothing is fetched: pictures are parts of the mail, and there are no fonts, imports or background pictures."""
    for element in page.named("img"):
        if not element.attributes.get("src", "").startswith("cid:"):
            yield f"picture {element.attributes.get('src')!r}"
    for text in (*page.styles, *(element.attributes.get("style", "") for element in page.elements)):
        yield from (hit[0] for hit in re.finditer(r"url\(|@import|@font-face|background-image", text))


def own_links(page: Page) -> Iterator[str]:
    """A link leads to where the recipient unsubscribes, and nowhere else."""
    for element in page.named("a"):
        if element.attributes.get("href") != UNSUBSCRIBE:
            yield f"link to {element.attributes.get('href')!r}"


def sized_pictures(page: Page) -> Iterator[str]:
    """A picture has width and height as attributes, is a block, shrinks with its column, and says what it shows."""
    for element in page.named("img"):
        for name in ("width", "height", "alt"):
            if not element.attributes.get(name):
                yield f"picture without {name}"
        if int(element.attributes.get("width") or 0) > WIDTH_PX:
            yield "picture wider than the mail"
        if (element.style.get("display"), element.style.get("width"), element.style.get("height")) != (
            "block", "100%", "auto",
        ):  # fmt: skip
            yield "picture that does not shrink"


def told_tables(page: Page) -> Iterator[str]:
    """A table for layout has role=presentation; one of data has headings with their scope. Neither has default gaps."""
    for element in page.named("table"):
        headings = [
            cell
            for row in element.children
            for cell in row.children
            if row.name == "tr" and cell.name == "th"
        ]
        if (element.attributes.get("role") == "presentation") is bool(headings):
            yield "a table that is neither layout nor data"
        if any("scope" not in heading.attributes for heading in headings):
            yield "a heading without its scope"
        if any(element.attributes.get(name) != "0" for name in ("cellpadding", "cellspacing", "border")):
            yield "a table with default gaps"


def told_language(page: Page) -> Iterator[str]:
    """The language is told, and there is a title."""
    if not any(
        re.fullmatch("[a-z]{2}", element.attributes.get("lang", "")) for element in page.named("html")
    ):
        yield "no lang"
    if not any(element.text.strip() for element in page.named("title")):
        yield "no title"


def fluid(page: Page) -> Iterator[str]:
    """The mail is at most 600 pixels wide and shrinks; Word, which knows no max-width, has a table of 600 around it."""
    for element in page.named("table", "td", "th"):
        width = element.attributes.get("width", "")
        if (width.isdigit() and int(width) > WIDTH_PX) or "px" in element.style.get("width", ""):
            yield f"<{element.name}> of a fixed width"
    if not any(element.style.get("max-width") == f"{WIDTH_PX}px" for element in page.named("table")):
        yield "no table of at most 600 pixels"
    if not any(
        comment.startswith("[if mso]><table") and f'width="{WIDTH_PX}"' in comment
        for comment in page.comments
    ):
        yield "no table for Word"


def two_schemes(page: Page) -> Iterator[str]:
    """Light and dark are both told by meta elements, and the dark colours by a media query."""
    for name in ("color-scheme", "supported-color-schemes"):
        if not any(
            (meta.attributes.get("name"), meta.attributes.get("content")) == (name, "light dark")
            for meta in page.named("meta")
        ):
            yield f"no {name}"
    if not page.dark:
        yield "no dark colours"


def readable(page: Page) -> Iterator[str]:
    """Every text stands out from its background by 4.5 to 1, in light, in dark, and where colours are inverted."""
    for element in page.texts:
        light, dark = (
            (element.inherited("color", scheme), element.inherited("background-color", scheme))
            for scheme in (None, page.dark)
        )
        for pair in (light, dark, (inverted(light[0]), inverted(light[1]))):
            if contrast(*pair) < CONTRAST:
                yield f"{element.text.strip()[:20]!r}: {pair[0]} on {pair[1]}"


def inverted(colour: str) -> str:
    """The colour as programs show it that turn all colours round."""
    return f"#{0xFFFFFF - int(colour[1:], 16):06x}" if re.fullmatch("#[0-9a-f]{6}", colour) else colour


def contrast(colour: str, background: str) -> float:
    """The ratio of contrast that WCAG defines; 0 where a colour is not told."""
    if not all(re.fullmatch("#[0-9a-f]{6}", one) for one in (colour, background)):
        return 0.0

    def luminance(one: str) -> float:
        parts = (int(one[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(colour), luminance(background)))
    return (lighter + 0.05) / (darker + 0.05)


def preheader(page: Page) -> Iterator[str]:
    """What lists of mails show beside the subject comes first in the body, hidden there, also for Word."""
    body = next(page.named("body"), None)
    first = body.children[0] if body and body.children else None
    if first is None or not first.is_hidden or first.style.get("mso-hide") != "all":
        yield "the body does not begin with a hidden text"
    elif len(first.text.strip()) < PREHEADER_CHARACTERS:
        yield f"only {first.text!r}"


# Each rule, and who says so.
RULES: Final[dict[Rule, tuple[str, ...]]] = {
    small: ("https://github.com/hteumeuleu/email-bugs/issues/41",),
    plain_elements: (WORD, "https://www.caniemail.com/features/html-link/"),
    standards: (GMAIL_12,),
    no_foreign_layout: (
        "https://www.caniemail.com/features/css-display-flex/",
        "https://www.caniemail.com/features/css-display-grid/",
        "https://www.caniemail.com/features/css-position/",
    ),
    known_properties: (WORD, GMAIL),
    boxes_are_cells: (OUTLOOKS,),
    inline_styles: ("https://www.caniemail.com/features/html-style/", GMAIL_12),
    small_styles: ("https://www.caniemail.com/features/html-style/", GMAIL_12),
    own_resources: (
        "https://www.caniemail.com/features/css-background-image/",
        "https://www.caniemail.com/features/css-at-font-face/",
    ),
    own_links: (GMAIL_12,),
    sized_pictures: (OUTLOOKS, GMAIL_12, f"{WCAG}/non-text-content.html"),
    told_tables: ("https://www.w3.org/TR/wai-aria-1.2/#presentation", f"{WCAG}/info-and-relationships.html"),
    told_language: (f"{WCAG}/language-of-page.html",),
    fluid: (OUTLOOKS, "https://www.caniemail.com/features/css-max-width/"),
    two_schemes: (DARK,),
    readable: (f"{WCAG}/contrast-minimum.html",),
    preheader: (GMAIL_12,),
}


def complaints(source: str) -> list[str]:
    """All that is wrong with a mail's HTML."""
    page = Page(source)
    return [f"{rule.__name__}: {said}" for rule in RULES for said in rule(page)]
