"""`callhome.console.unsubscribe`: one button, one request of a mail program, and nothing that a link does by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest

from bench import chromium
from browser import needs_chromium
from callhome.console.unsubscribe import UnsubscribeRoutes
from callhome.errors import CallhomeError
from callhome.reports import unsubscribe
from consoles import console
from subscriptions import SECRET

ADDRESS = "o'hara&sons@example.com"
TOKEN = unsubscribe.token(SECRET, 7, ADDRESS)


@asynccontextmanager
async def page(is_away: bool = False) -> AsyncIterator[tuple[str, list[Any]]]:
    """A console with a page to unsubscribe at: its address, and who has unsubscribed."""
    gone: list[Any] = []

    async def end(report: int, address: str) -> bool:
        if is_away:
            raise CallhomeError("no connection to PostgreSQL")
        gone.append((report, address))
        return True

    routes = UnsubscribeRoutes(partial(unsubscribe.read, SECRET), end)
    async with console(unsubscribe=routes) as running:
        yield f"http://127.0.0.1:{running.port}/unsubscribe", gone


@pytest.mark.parametrize("body", [{"List-Unsubscribe": "One-Click"}, None])
async def test_a_post_unsubscribes_as_often_as_it_comes(body: Any) -> None:
    """A mail program's one request (RFC 8058), or the button's, unsubscribes; again, it says the same."""
    async with page() as (url, gone), aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(url, params={"t": TOKEN}, data=body) as response:
                assert response.status == 200
                assert "You are unsubscribed: o&#x27;hara&amp;sons@example.com" in await response.text()
        assert gone == [(7, ADDRESS)] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_following_the_link_changes_nothing(method: str) -> None:
    """Who follows the link, as programs do that look for viruses, sees a button and has changed nothing."""
    async with page() as (url, gone), aiohttp.ClientSession() as session:
        async with session.request(method, url, params={"t": TOKEN}) as response:
            text = await response.text()
            assert response.status == 200
            assert "form-action 'self'" in response.headers["Content-Security-Policy"]
            assert "<script" not in text
        assert gone == []


@pytest.mark.parametrize(
    "token", ["", TOKEN[:-1], TOKEN + "A", "x" * 10_000, unsubscribe.token(b"o" * 32, 7, ADDRESS)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_address_that_was_not_signed_is_unknown(token: str, method: str) -> None:
    """A token that is cut, changed, too long, missing or of another secret is answered with 404 and does nothing."""
    async with page() as (url, gone), aiohttp.ClientSession() as session:
        async with session.request(method, url, params={"t": token}) as response:
            assert response.status in (404, 400)
            assert "<html" not in await response.text()
        assert gone == []


async def test_while_the_database_is_away_it_is_told() -> None:
    """Where it can't be done now, the answer is 503 with a time to come again, for programs too."""
    async with (
        page(is_away=True) as (url, _gone),
        aiohttp.ClientSession() as session,
        session.post(url, params={"t": TOKEN}) as response,
    ):
        assert (response.status, response.headers["Retry-After"]) == (503, "60")
        assert "Try again in a minute" in await response.text()


async def test_a_french_browser_reads_french() -> None:
    """The page speaks the language that the browser asks for first, of the two that mails have."""
    async with page() as (url, _gone), aiohttp.ClientSession() as session:
        headers = {"Accept-Language": "fr-CH, fr;q=0.9, en;q=0.8"}
        async with session.get(url, params={"t": TOKEN}, headers=headers) as response:
            assert "Ne plus envoyer ces rapports" in await response.text()


@needs_chromium
async def test_the_button_works_in_a_browser() -> None:
    """In Chromium the button sends its form, the style applies, and nothing breaks the policy."""
    async with page() as (url, gone), chromium.launched() as browser:
        shown = await browser.new_page(locale="en-US")
        complaints: list[str] = []
        shown.on("console", lambda message: complaints.append(message.text))
        await shown.goto(f"{url}?t={TOKEN}")
        assert await shown.evaluate("getComputedStyle(document.body).maxWidth") == "512px"
        await shown.get_by_role("button", name="Unsubscribe").click()
        await shown.get_by_text("You are unsubscribed").wait_for()
        assert gone == [(7, ADDRESS)]
        assert not [each for each in complaints if "Content Security Policy" in each]
