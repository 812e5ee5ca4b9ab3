"""The map as people set it up: themes, measures, languages, less motion, any screen, any reader."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import aiohttp
import asyncpg
import pytest

from browser import (
    WALL,
    address_of,
    arrived,
    inaccessible,
    needs_axe,
    needs_chromium,
    needs_pages,
    send,
    view,
    viewing,
)
from callhome.store import products
from running import running, until
from signed import SIGNED
from walls import FOUR_K, PHONE, PROXY, colour_of, listed, showing

pytestmark = [needs_chromium, needs_pages]


@pytest.mark.parametrize(
    ("query", "system", "theme"),
    [
        ("", "dark", "dark"),
        ("", "light", "light"),
        ("?theme=light", "dark", "light"),
        ("?theme=dark", "light", "dark"),
    ],
)
async def test_the_theme_is_that_of_the_address_or_the_system(
    database: str, query: str, system: str, theme: str
) -> None:
    """Without a word in the address the system's theme is shown, and followed; else that of the address."""
    async with showing(database, query, color_scheme=system) as page:
        assert await page.get_attribute("html", "data-theme") == theme
        bright = await page.evaluate(
            "document.querySelector('#land').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
        )
        assert (bright > 128) is (theme == "light")
        other = "light" if system == "dark" else "dark"
        await page.emulate_media(color_scheme=other)  # type: ignore[arg-type]
        expected = theme if query else other
        await page.wait_for_selector(f"html[data-theme={expected}]")


async def test_each_product_has_its_colour(database: str) -> None:
    """Two products differ in colour, each keeps its own, and the map is painted in it."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        connection = await asyncpg.connect(database)
        await products.add(connection, "two", "Second")
        await connection.close()
        await send(app, germany, install="install-1")
        async with viewing(app.addresses.console.url, "?tour=off&product=es") as page:
            await page.wait_for_selector("#choice option[value=two]", state="attached")
            await send(app, france, product="two", install="install-2")
            await page.wait_for_selector("#ranking [data-country=DE]")
            colours = []
            for product in ("es", "two", "es"):
                await page.select_option("#choice", product)
                await page.wait_for_selector(f"#ranking [data-country={'DE' if product == 'es' else 'FR'}]")
                colours.append(await colour_of(page, ":root", "getPropertyValue('--accent')"))
    assert colours[0] == colours[2] != colours[1]


async def test_the_measure_is_switched_and_kept_in_the_address(database: str) -> None:
    """Ranking, head, legend and card follow the measure, and the address brings it back."""
    async with showing(database, "?tour=off") as page:
        assert await listed(page) == [("DE", "3"), ("FR", "2"), ("IS", "1")]
        assert await page.inner_text("#ranking-title") == "Active installs, last 30 days"
        await page.select_option("#measure", label="Users, today")
        assert await listed(page) == [("FR", "40"), ("DE", "3"), ("IS", "1")]
        assert await page.inner_text("#ranking-title") == "Users, today"
        assert "measure=users&window=today" in page.url
        await page.keyboard.press("Escape")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("i")
        assert [country for country, _ in await listed(page)] == ["IS", "FR", "DE"]
        assert "inhabitants" in await page.inner_text("#ranking-title")
        assert "100,000 inhabitants" in await page.inner_text("#others")
        assert await page.get_attribute("#per", "aria-pressed") == "true"
        legend = await page.inner_text("#legend")
        await page.reload()
        await page.wait_for_selector("#ranking li:nth-child(3)")
        assert [country for country, _ in await listed(page)] == ["IS", "FR", "DE"]
        assert await page.inner_text("#legend") == legend
        await page.click("#ranking [data-country=IS]")
        await arrived(page, "IS")
        assert "per million inhabitants" in await page.inner_text("#card")
        assert "stop=IS" in page.url


async def test_a_country_has_its_last_days_and_its_versions(database: str) -> None:
    """The card shows the line of 30 days and the versions of that country alone, as the statistics have them."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        for number in range(3):
            await send(app, germany, install=f"install-{number}", version="1.0" if number else "2.0")
        await send(app, france, install="install-9", version="3.0")
        console = app.addresses.console.url

        async def counted() -> bool:
            path = f"{console}/api/v1/statistics/es/breakdown?by=version&country=DE"
            async with aiohttp.ClientSession(headers=SIGNED) as session, session.get(path) as answer:
                return bool((await answer.json())["sum"]["installs"] == 3)

        await until(counted)
        async with viewing(console, "?stop=DE") as page:
            await page.wait_for_selector("#card .spark polyline", state="attached")
            assert await page.locator("#card li").all_inner_texts() == ["1.0\n2", "2.0\n1"]
            assert await page.get_attribute("#card .spark", "aria-label") == (
                "Active installs within a week, last 30 days: from 0 to 3"
            )
            await page.select_option("#measure", label="Launches, today")
            await page.wait_for_selector(
                "#card .spark[aria-label='Launches a day, last 30 days: from 0 to 3']"
            )


@pytest.mark.parametrize(
    ("query", "locale", "language", "words", "country"),
    [
        ("", "de-AT", "de", "Aktive Installationen, letzte 30 Tage", "Deutschland"),
        ("?lang=fr", "de-AT", "fr", "Installations actives, 30 derniers jours", "Allemagne"),
        ("?lang=ja", "en-US", "en", "Active installs, last 30 days", "ドイツ"),
        ("?lang=%3Cb%3E", "en-US", "en", "Active installs, last 30 days", "Germany"),
    ],
)
async def test_words_and_names_are_in_the_viewers_language(
    database: str, query: str, locale: str, language: str, words: str, country: str
) -> None:
    """The browser's language, or that of the address; names of countries also where the page has no words."""
    async with showing(database, query, locale=locale) as page:
        assert await page.inner_text("#ranking-title") == words
        assert await page.inner_text("#ranking [data-country=DE] .name") == country
        assert await page.get_attribute("html", "lang") == language


async def test_with_reduced_motion_nothing_flies_and_nothing_pulses(database: str) -> None:
    """The view is there at once, and pings are seen in the numbers alone; without it, they pulse."""
    (germany,) = address_of("DE")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, germany, install="install-0")
        pulsed = {}
        for motion in ("reduce", "no-preference"):
            async with viewing(app.addresses.console.url, "?tour=off", reduced_motion=motion) as page:
                await page.wait_for_selector("#ranking button")
                await page.keyboard.press("ArrowRight")
                flown = (await view(page))["moving"]
                await arrived(page, "DE")
                before = await page.locator("#totals dd").nth(2).inner_text()
                await page.evaluate(
                    "window.most = 0; setInterval(() => { window.most = Math.max(window.most, callhome.pulses()) }, 5)"
                )
                await send(app, germany, install="install-0")
                await page.wait_for_selector(f"#totals div:nth-child(3) dd:not(:text-is('{before}'))")
                await page.wait_for_timeout(100)
                pulsed[motion] = (flown, await page.evaluate("window.most > 0"))
    assert pulsed == {"reduce": (False, False), "no-preference": (True, True)}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [WALL, FOUR_K, PHONE], ids=["a desktop", "a wall", "a phone"])
async def test_nothing_covers_anything_else(database: str, theme: str, size: tuple[int, int]) -> None:
    """At a stop the panels are on the screen, beside one another, in both themes and as a kiosk."""
    query = f"?stop=DE&theme={theme}{'&kiosk' if size == FOUR_K else ''}"
    async with showing(database, query, size=size) as page:
        await arrived(page, "DE")
        names = (".head", "#card", ".ranking", ".foot")
        script = "names => names.map(n => document.querySelector(n).getBoundingClientRect().toJSON())"
        found = list(zip(names, await page.evaluate(script, names), strict=True))
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= size[0] for _, box in found)
        assert [(a, b) for (a, one), (b, other) in combinations(found, 2) if overlap(one, other)] == []


@needs_axe
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("query", ["stop=DE", "tour=off&per=million", "stop=DE&kiosk", "product=none"])
async def test_everybody_can_use_it(database: str, theme: str, query: str) -> None:
    """axe finds nothing of levels A and AA, at a country, before the world, as a kiosk, and where nothing is."""
    async with running(database, trusted_proxies=PROXY) as app:
        (germany,) = address_of("DE")
        await send(app, germany)
        async with viewing(app.addresses.console.url, f"?{query}&theme={theme}") as page:
            await page.wait_for_selector("#empty:not([hidden])" if "none" in query else "#ranking button")
            await arrived(page, "DE" if "DE" in query else None)
            assert await inaccessible(page) == []


def overlap(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two boxes have more than an edge in common."""
    return all(
        one[at] + one[size] > other[at] + 1 and other[at] + other[size] > one[at] + 1
        for at, size in (("x", "width"), ("y", "height"))
    )
