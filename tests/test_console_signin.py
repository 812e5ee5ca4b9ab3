"""Signing in and out over HTTP and in a real browser, and the attacks on it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest

from bench import chromium
from browser import PATIENCE_MS, needs_chromium, needs_pages
from callhome.access import keys, throttle
from callhome.access.model import Role
from callhome.app import App
from callhome.console import signin_page
from callhome.console.signin import local
from callhome.demo.entrance import Entrance, register
from callhome.store import audit
from running import connected, settings_of
from signed import PASSWORD, cookie_of

HOSTILE: Final = '"><script>alert(1)</script>&\u202e'


@pytest.fixture
async def app(database: str) -> AsyncIterator[App]:
    """A server behind a proxy on this machine, with the account ``ada`` and the entrance of a demo."""
    async with App(settings_of(database, trusted_proxies="127.0.0.0/8"), Entrance().table()) as running:
        async with connected(database) as connection:
            await cookie_of(connection, "ada", Role.ANALYST)
        yield running


class Browser:
    """Sends what a browser would; keeps cookies where told to."""

    def __init__(self, app: App, session: aiohttp.ClientSession) -> None:
        self.url = app.addresses.console.url
        self.session = session

    async def send(self, method: str, path: str, form: Any = None, **headers: str) -> tuple[Any, str]:
        """The answer's own self (status, headers, cookies), and its text."""
        sent = {"Origin": self.url, **headers}
        # What is shown on purpose is not to be joined by what was kept.
        jar = aiohttp.DummyCookieJar() if "Cookie" in headers else self.session.cookie_jar
        async with (
            aiohttp.ClientSession(cookie_jar=jar) as session,
            session.request(
                method, f"{self.url}{path}", data=form, headers=sent, allow_redirects=False
            ) as answer,
        ):
            return answer, await answer.text()

    async def sign_in(
        self, name: str = "ada", password: str = PASSWORD, place: str = "/", **headers: str
    ) -> Any:
        """The answer to the form."""
        form = {"name": name, "password": password, "next": place}
        return (await self.send("POST", "/sign-in", form, **headers))[0]


@pytest.fixture
async def browser(app: App) -> AsyncIterator[Browser]:
    """One browser."""
    # Cookies of a host that is an address.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(app, session)


async def test_signing_in_begins_a_new_session_and_out_ends_it(browser: Browser) -> None:
    """The cookie is for this host and no script; the session that a browser came with is none afterwards."""
    planted = keys.new_session()
    first = await browser.sign_in(Cookie=f"callhome={planted}")
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.cookies["callhome"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (
        True,
        "Lax",
        "/",
        "",
    )
    assert cookie["domain"] == ""
    assert cookie["max-age"] == str(30 * 86_400)
    assert cookie.value != planted
    second = await browser.sign_in(Cookie=f"callhome={cookie.value}")
    shown = f"callhome={second.cookies['callhome'].value}"
    assert cookie.value not in shown
    old, _ = await browser.send("GET", "/account", Cookie=f"callhome={cookie.value}")
    assert old.status == 303
    answer, text = await browser.send("GET", "/account", Cookie=shown)
    assert (answer.status, "Signed in as ada, with the role analyst." in text) == (200, True)
    out, _ = await browser.send("POST", "/sign-out", Cookie=shown)
    assert (out.status, out.headers["Location"], out.cookies["callhome"].value) == (303, "/sign-in", "")
    assert (await browser.send("GET", "/account", Cookie=shown))[0].status == 303
    assert (await browser.send("POST", "/sign-out", Cookie=shown))[0].status == 303


async def test_by_https_the_cookie_is_for_https_alone(browser: Browser) -> None:
    """Where a trusted proxy says https, the cookie is bound to https and host, and a plain one counts for nothing."""
    answer = await browser.sign_in(**{"X-Forwarded-Proto": "https"})
    cookie = answer.cookies["__Host-callhome"]
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    for name, status in (("__Host-callhome", 200), ("callhome", 303)):
        shown = {"Cookie": f"{name}={cookie.value}", "X-Forwarded-Proto": "https"}
        assert (await browser.send("GET", "/account", **shown))[0].status == status


async def test_a_wrong_name_and_a_wrong_password_look_the_same(browser: Browser) -> None:
    """Status, headers and words are the same but for the name that was typed; it is shown as text."""
    answers = []
    for name in ("ada", "eve"):
        form = {"name": name, "password": "wrong", "next": "/map"}
        answer, text = await browser.send("POST", "/sign-in", form)
        headers = {key: value for key, value in answer.headers.items() if key != "Date"}
        answers.append((answer.status, headers, text.replace(name, "NAME")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 403
    assert 'role="alert"' in answers[0][2]
    _, text = await browser.send("POST", "/sign-in", {"name": HOSTILE, "password": "x", "next": HOSTILE})
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    french, text = await browser.send("POST", "/sign-in", {"name": "eve"}, **{"Accept-Language": "fr-CH"})
    assert "mot de passe" in text
    assert "callhome" not in french.cookies


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/map//evil",
        "/map\r\nSet-Cookie: a=b",
        "evil.example",
        "",
        "/" + "x" * 2_000,
        "/é",
        "/sign-in?next=/",
    ],
)
def test_nobody_is_led_elsewhere(place: str) -> None:
    """After signing in one gets to a path of this console, or to its first page."""
    assert local(place) == "/"


@pytest.mark.parametrize("place", ["/", "/map", "/map?product=es&tour=off", "/x?a=//b", "/demo/mailbox/3"])
def test_a_path_of_ones_own_is_kept(place: str) -> None:
    """What a stranger asked for is where they get to."""
    assert local(place) == place


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["foreign", "null", "fetch metadata"],
)
async def test_another_website_signs_nobody_in_or_out(browser: Browser, headers: dict[str, str]) -> None:
    """What another page sends is refused with the form, and nothing has changed."""
    assert (await browser.sign_in(**headers)).status == 403
    await browser.sign_in()
    answer, _ = await browser.send("POST", "/sign-out", **headers)
    assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
    assert (await browser.send("GET", "/account"))[0].status == 200


async def test_a_page_of_signing_in_has_a_policy_without_inline(browser: Browser) -> None:
    """No script, one style by its hash, forms to this host; nothing is kept."""
    answer, text = await browser.send("GET", "/sign-in?next=//evil.example")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == signin_page.POLICY
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "evil" not in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"name=%FF%00&password=%ED%A0%80", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"name=ada&password=x", "application/x-www-form-urlencoded; charset=nonsense"),
        (b"+AGE-", "application/x-www-form-urlencoded; charset=utf-7"),
        (
            b"--x\r\nContent-Disposition: form-data; name=name; filename=a\r\n\r\nb\r\n--x--",
            "multipart/form-data; boundary=x",
        ),
        (b"{}", "application/json"),
        (b"a" * 9_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_odd_bodies_are_refused(app: App, browser: Browser, body: bytes, kind: str) -> None:
    """Whatever is sent to the form, it is a 4xx."""
    answer, _ = await browser.send("POST", "/sign-in", body, **{"Content-Type": kind})
    assert 400 <= answer.status < 500


async def test_too_many_tries_are_told_when_to_come_back(
    app: App, browser: Browser, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that was tried too often waits, from other networks too; log and trail hold no secret and no address."""
    caplog.set_level(logging.DEBUG)
    for number in range(throttle.FREE_TRIES):
        answer = await browser.sign_in(password="a wrong secret", **{"X-Forwarded-For": f"203.0.{number}.9"})
        assert answer.status == 403
    answer = await browser.sign_in(**{"X-Forwarded-For": "198.51.100.7"})
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    async with connected(database) as connection:
        await connection.execute("UPDATE sign_in_try SET next_at = now()")
        begun = await browser.sign_in(**{"X-Forwarded-For": "198.51.100.7"})
        trail = await audit.newest(connection, action="session")
    assert begun.status == 303
    assert [each.action for each in trail] == ["session.begin", *["session.refused"] * 5, "session.begin"]
    kept = caplog.text + repr(trail)
    for secret in ("a wrong secret", PASSWORD, begun.cookies["callhome"].value, "203.0.", "198.51.100"):
        assert secret not in kept


async def test_the_demo_signs_in_who_has_its_key(database: str) -> None:
    """The printed address gives a session and leads on without the key; another key gives nothing."""
    entrance = Entrance()
    async with App(settings_of(database), entrance.table()) as app, aiohttp.ClientSession() as session:
        async with connected(database) as connection:
            await register(connection)
            await register(connection)
        url = entrance.url(app.addresses.console.url, "/demo/mailbox")
        async with session.get(url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/demo/mailbox")
            assert answer.cookies["callhome"].value
        for wrong in (url.replace("key=", "key=x"), url.partition("?")[0], f"{url.partition('?')[0]}?key=é"):
            async with session.get(wrong, allow_redirects=False) as answer:
                assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)


@needs_chromium
@needs_pages
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
async def test_a_person_signs_in_and_out(app: App, scheme: Any, size: tuple[int, int]) -> None:
    """By keyboard alone: the form, a wrong password that is said in an alert, the map, and out again."""
    console, asked = app.addresses.console.url, []
    async with chromium.launched() as browser:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-US"
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{console}/map?product=es")
        assert page.url.startswith(f"{console}/sign-in?next=")
        await page.locator("input[name=name]:focus").wait_for()
        await page.keyboard.type("Ada")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        alert = page.get_by_role("alert")
        await alert.wait_for()
        assert "not the name and password" in await alert.inner_text()
        # Typed before, it would go nowhere.
        await page.locator("input[name=password]:focus").wait_for()
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("html[data-state=live]", state="attached")
        assert page.url == f"{console}/map?product=es"
        assert not await page.evaluate("document.cookie")
        await page.goto(f"{console}/account")
        wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide
        await page.get_by_role("button", name="Sign out").press("Enter")
        await page.wait_for_url(f"{console}/sign-in")
        await page.goto(f"{console}/map")
        assert page.url.startswith(f"{console}/sign-in")
    assert not [url for url in asked if not url.startswith((console, "data:", console.replace("http", "ws")))]
