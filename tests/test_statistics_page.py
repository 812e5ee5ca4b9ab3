"""The overview, the page of a product and the definitions in a real browser, with a real server and counted pings."""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import pytest
from playwright.async_api import Page, Route

from browser import inaccessible, needs_axe, needs_chromium, needs_pages, opened
from counted import DESK, HOSTILE, LAUNCHES, PHONE, counted, seen, shown
from running import running

pytestmark = [needs_chromium, needs_pages]
PATHS = ("/", "/products/es", "/products/es?range=7&window=day&adoption=count&inuse=build", "/definitions")


async def cells(page: Page, section: str) -> list[list[str]]:
    """The texts of the rows of the table in the section of that name."""
    rows: list[list[str]] = (
        await page.get_by_role("region", name=section)
        .first.locator("tbody tr")
        .evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))")
    )
    return rows


async def fits(page: Page) -> bool:
    """Whether the page isn't wider than the screen."""
    is_fitting: bool = await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return is_fitting


@needs_axe
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_every_page_can_be_read_by_everybody(database: str, theme: str, size: tuple[int, int]) -> None:
    """In both themes, on a desk and on a phone, axe finds nothing of A and AA, and nothing is wider than the screen."""
    async with counted(database) as app:
        for path in PATHS:
            async with opened(app.addresses.console.url, path, size, color_scheme=theme) as page:
                await shown(page)
                assert await inaccessible(page) == [], path
                assert await fits(page), path
                assert await page.evaluate("document.querySelectorAll('h1').length") == 1, path


async def test_the_overview_has_the_numbers_and_leads_on(database: str) -> None:
    """A product's row has its installs, users, launches and latest version; it leads to its page and its map."""
    async with seen(database, "/") as page:
        (row,) = await cells(page, "Products")
        assert [each.split("\n")[0] for each in row] == ["ES", "4", "4", "4", "8", str(LAUNCHES), "", "2.0"]
        assert row[3].split("\n")[1].startswith("▲ +100%")
        assert await page.locator("tfoot td").nth(2).inner_text() == row[3]
        assert await page.get_attribute("text=Map of ES", "href") == "/map?product=es"
        await page.click("tbody a:text-is('ES')")
        await shown(page)
        assert page.url.endswith("/products/es")
        assert await page.inner_text("h1") == "ES"


async def test_a_product_is_shown_in_numbers(database: str) -> None:
    """Headline numbers, versions, countries, updates and cohorts are those of the pings that were sent."""
    async with seen(database, "/products/es") as page:
        values = await page.eval_on_selector_all(".figures .value", "all => all.map(e => e.textContent)")
        assert values[:6] == ["4", "8", str(LAUNCHES), "2", "0", "0"]
        assert [row[:3] for row in await cells(page, "In use")] == [
            ["2.0", "3", "75%"],
            [HOSTILE, "1", "25%"],
        ]
        assert [row[:2] for row in await cells(page, "Countries")] == [
            ["France", "2"],
            ["Germany", "1"],
            ["Iceland", "1"],
        ]
        assert [row[:4] for row in await cells(page, "Updates")] == [["1.0", "2.0", "Upgrade", "2"]]
        assert sorted(row[0] for row in await cells(page, "Releases")) == sorted(["2.0", HOSTILE])
        assert await page.locator("figure.chart svg[role=img]").count() == 4


async def test_what_is_hostile_is_text(database: str) -> None:
    """A version of markup is shown as it is, in tables, charts, chips and the flow of updates; nothing of it runs."""
    async with seen(database, f"/products/es?version={quote(HOSTILE)}") as page:
        assert await page.text_content(".chip") == f"Version: {HOSTILE}×"
        await page.click(".chip .away")
        await shown(page)
        assert HOSTILE in await page.inner_text("main")
        assert await page.locator("main img").count() == 0
        assert await page.evaluate("window.alert.toString()") == "function alert() { [native code] }"


async def test_filters_and_days_are_in_the_address(database: str) -> None:
    """A row narrows the page down, a chip takes it away, and going back brings each step back."""
    async with seen(database, "/products/es") as page:
        await page.click("button.pick:text-is('France')")
        await page.wait_for_selector(".chip")
        await shown(page)
        assert "country=FR" in page.url
        assert await page.locator(".figures .value").first.inner_text() == "2"
        assert await page.locator("text=Not with these filters").count() == 3
        await page.click("button:text-is('7 days') >> nth=0")
        await page.wait_for_url("**range=7")
        await shown(page)
        assert await page.locator(".figures .value").first.inner_text() == "2"
        await page.go_back()
        await shown(page)
        assert page.url.endswith("?country=FR")
        await page.click(".chip .away")
        await page.wait_for_selector(".chip", state="detached")
        await shown(page)
        assert await page.locator(".figures .value").first.inner_text() == "4"
        await page.go_back()
        await page.wait_for_selector(".chip")


async def test_a_filter_is_chosen_from_a_list(database: str) -> None:
    """The chooser offers what is in use."""
    async with seen(database, "/products/es") as page:
        await page.select_option("[aria-label='Add a filter']", "os")
        await page.wait_for_selector("option[value=macos]", state="attached")
        await page.select_option("[aria-label=System]", "macos")
        await page.wait_for_selector(".chip")
        assert "os=macos" in page.url


async def test_a_chart_is_read_by_keys_and_saved(database: str) -> None:
    """Arrow keys tell each day's number, the table has the same, and the picture is a PNG with a name."""
    async with seen(database, "/products/es") as page:
        slider = page.get_by_role("slider", name="Active installs, day by day")
        assert "Active installs 4" in (await slider.get_attribute("aria-valuetext") or "")
        await slider.focus()
        await page.keyboard.press("Home")
        first = await slider.get_attribute("aria-valuetext") or ""
        assert "Active installs 2" in first
        assert (await page.inner_text(".readout:visible")).split("\n")[0] in first
        await page.locator("summary").first.click()
        await page.wait_for_selector("details.numbers[open] tbody tr")
        rows = await page.locator("details.numbers[open] tbody tr").all_inner_texts()
        assert [text.split("\t")[-1] for text in (rows[0], rows[-1])] == ["4", "2"]
        async with page.expect_download() as saving:
            await page.locator("button:text-is('Save as picture')").first.click()
        saved = await saving.value
        assert saved.suggested_filename.startswith("Active-installs-ES-")
        assert (await saved.path()).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


async def test_every_table_is_there_as_csv(database: str) -> None:
    """Each link to a CSV is answered with a table of the same parameters."""
    async with seen(database, "/products/es?country=FR") as page:
        links = await page.eval_on_selector_all("a[download]", "all => all.map(a => a.getAttribute('href'))")
        assert len(links) >= 5
        for link in links:
            assert "country=FR" in link
            answer = await page.request.get(page.url.partition("/products")[0] + link)
            assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), link
            assert list(csv.reader(io.StringIO(await answer.text()))), link


async def test_tables_sort_and_say_so(database: str) -> None:
    """A press on a header sorts and tells it to screen readers; the overview keeps it in its address."""
    async with seen(database, "/products/es") as page:
        table = page.get_by_role("region", name="Countries").first
        await table.locator("button:text-is('Country')").click()
        assert await table.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
        await table.locator("button:text-is('Country')").click()
        assert [row[0] for row in await cells(page, "Countries")] == ["Iceland", "Germany", "France"]
        assert await page.evaluate("document.activeElement.textContent") == "Country"
        await page.goto(f"{page.url.partition('/products')[0]}/?sort=-Launches")
        await shown(page)
        assert await page.get_attribute("th[aria-sort]", "aria-sort") == "descending"


async def test_a_server_without_pings_says_what_to_do(database: str) -> None:
    """Without any ping the overview and a product's page tell how to send one, or to choose other days."""
    async with running(database) as app:
        for path, words in (("/", "callhome ping"), ("/products/es", "Nothing was counted in these days")):
            async with opened(app.addresses.console.url, path, DESK) as page:
                await shown(page)
                assert await page.locator("[data-state=empty]").count() >= 1
                assert words in await page.inner_text("main")


async def test_an_unknown_product_leads_back(database: str) -> None:
    """A key of no product is told, with a way to those that there are."""
    async with (
        running(database) as app,
        opened(app.addresses.console.url, "/products/%3Cb%3E", DESK, fine=("404",)) as page,
    ):
        await page.wait_for_selector("text=There is no such product")
        assert "<b>" in await page.inner_text("main")
        await page.click("text=All products")
        await page.wait_for_url("**/")


async def test_an_error_is_told_and_tried_again(database: str) -> None:
    """While a part loads its shape is there; a failure is told with its message, and "Try again" mends it."""
    failing = {"is": True}

    async def fail(route: Route) -> None:
        if failing["is"]:
            body = '{"reason":"not_ready","message":"the database is away"}'
            await route.fulfill(status=503, content_type="application/json", body=body)
        else:
            await route.continue_()

    async with (
        counted(database) as app,
        opened(app.addresses.console.url, "/definitions", DESK, fine=("503",)) as page,
    ):
        await page.route("**/api/v1/statistics?**", fail)
        await page.route("**/api/v1/statistics", fail)
        await page.goto(f"{app.addresses.console.url}/")
        await page.wait_for_selector("[role=alert]")
        assert "the database is away" in await page.inner_text("[role=alert]")
        failing["is"] = False
        await page.click("text=Try again")
        await page.wait_for_selector("tbody tr")
        assert await page.locator("[role=alert]").count() == 0


async def test_nothing_jumps_when_numbers_arrive(database: str) -> None:
    """Where numbers will be there are shapes first, and they say that something loads."""
    async with counted(database) as app, opened(app.addresses.console.url, "/definitions", DESK) as page:
        held: list[Route] = []

        async def hold(route: Route) -> None:
            held.append(route)

        await page.route("**/api/v1/statistics**", hold)
        await page.goto(f"{app.addresses.console.url}/")
        await page.wait_for_selector("[aria-busy=true] [data-state=loading] .skeleton")
        assert await page.locator("tbody tr").count() == 0
        for route in held:
            await route.continue_()
        await page.wait_for_selector("tbody tr")


async def test_what_is_printed_can_be_read(database: str) -> None:
    """On paper figures, heads of tables and their rows are there, and what one would press isn't."""
    async with seen(database, "/products/es") as page:
        await page.emulate_media(media="print")
        assert await page.is_visible(".figures .value >> nth=0")
        assert await page.is_visible("th button:text-is('Country')")
        assert await page.is_visible("button.pick:text-is('France')")
        for gone in ("nav", "button:text-is('Save as picture')", "[aria-label='Add a filter']", ".picker"):
            assert not await page.is_visible(f"{gone} >> nth=0")


async def test_the_theme_is_kept(database: str) -> None:
    """The switch changes the ground, and the next page has it, too."""
    async with (
        running(database) as app,
        opened(app.addresses.console.url, "/", DESK, color_scheme="light") as page,
    ):
        ground = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(ground)
        await page.select_option("[aria-label=Theme]", "dark")
        dark = await page.evaluate(ground)
        await page.goto(f"{app.addresses.console.url}/definitions")
        await page.wait_for_selector("html[data-theme=dark]")
        assert (await page.evaluate(ground)) == dark != light


async def test_each_number_leads_to_its_definition(database: str) -> None:
    """Every link to a definition leads to a heading that there is."""
    async with seen(database, "/products/es") as page:
        links = await page.eval_on_selector_all(
            "a[href^='/definitions#']", "all => all.map(a => a.getAttribute('href'))"
        )
        await page.goto(f"{page.url.partition('/products')[0]}/definitions")
        there = await page.eval_on_selector_all("article [id]", "all => all.map(e => `/definitions#${e.id}`)")
    assert len(set(links)) > 8
    assert set(links) <= set(there)


async def test_whoever_is_signed_out_is_led_back_after_signing_in(database: str) -> None:
    """A page that is open when its session ends leads to the form, which knows the way back."""
    async with (
        counted(database) as app,
        opened(app.addresses.console.url, "/products/es?range=7", DESK, fine=("401",)) as page,
    ):
        await shown(page)
        await page.context.set_extra_http_headers({})
        await page.click("button:text-is('90 days')")
        await page.wait_for_url("**/sign-in?next=%2Fproducts%2Fes%3Frange%3D90")
