"""Every role on every route of a running server, and what becomes of those who are turned away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from callhome import app as app_module
from callhome.access import gate, keys
from callhome.access.model import Access, Kind, Principal, Role
from callhome.access.origins import Origins
from callhome.app import App
from callhome.console import recheck, routes
from callhome.console.cookies import Cookies
from callhome.console.guard import Rules, guard
from callhome.console.server import ConsoleServer
from callhome.demo.entrance import Entrance
from callhome.demo.mailbox import Mailbox
from callhome.demo.mailbox_page import MailboxPage
from callhome.store import accounts, tokens
from callhome.store.connection import StoreUnavailable
from consoles import console
from running import PATIENCE_S, connected, settings_of, until
from signed import BY, SIGNED, TOKEN, cookie_of

O, G, V, A = Access.OPEN, Access.GUEST, Access.VIEWER, Access.ANALYST  # noqa: E741 - as in the heads of the table
# Who may use what: each route of a server with the demo's. A new one needs its line here.
WHO: Final = {
    ("GET", "/"): V,
    ("GET", "/account"): V,
    ("GET", "/api/v1/live"): G,
    ("GET", "/api/v1/me"): V,
    ("GET", "/api/v1/openapi.json"): V,
    ("GET", "/api/v1/products"): V,
    ("GET", "/api/v1/products.csv"): V,
    ("GET", "/api/v1/statistics"): V,
    ("GET", "/api/v1/statistics.csv"): V,
    ("GET", "/api/v1/statistics/{product}"): V,
    ("GET", "/api/v1/statistics/{product}/breakdown"): V,
    ("GET", "/api/v1/statistics/{product}/breakdown.csv"): V,
    ("GET", "/api/v1/statistics/{product}/cohorts"): V,
    ("GET", "/api/v1/statistics/{product}/cohorts.csv"): V,
    ("GET", "/api/v1/statistics/{product}/moved"): V,
    ("GET", "/api/v1/statistics/{product}/moved.csv"): V,
    ("GET", "/api/v1/statistics/{product}/releases"): V,
    ("GET", "/api/v1/statistics/{product}/releases.csv"): V,
    ("GET", "/api/v1/statistics/{product}/series"): V,
    ("GET", "/api/v1/statistics/{product}/series.csv"): V,
    ("GET", "/api/v1/statistics/{product}/updates"): V,
    ("GET", "/api/v1/statistics/{product}/updates.csv"): V,
    ("GET", "/assets/{name}"): O,
    ("GET", "/definitions"): V,
    ("GET", "/demo/mailbox"): A,
    ("GET", "/demo/mailbox/style.css"): A,
    ("GET", r"/demo/mailbox/{number}"): A,
    ("GET", r"/demo/mailbox/{number}/files/{place}"): A,
    ("GET", r"/demo/mailbox/{number}/html"): A,
    ("GET", "/demo/open"): O,
    ("GET", "/live"): G,
    ("GET", "/livez"): O,
    ("GET", "/map"): G,
    ("GET", "/metrics"): O,
    ("GET", "/NOTICE.txt"): O,
    ("GET", "/products/{key}"): V,
    ("GET", "/readyz"): O,
    ("GET", "/sign-in"): O,
    ("POST", "/sign-in"): O,
    ("POST", "/sign-out"): O,
    ("GET", "/unsubscribe"): O,
    ("POST", "/unsubscribe"): O,
}


class Remembering(ConsoleServer):
    """A console that is found again by tests."""

    last: ConsoleServer

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        Remembering.last = self


@dataclass
class Site:
    """A running server, its database, and the cookie of an account of each role."""

    app: App
    dsn: str
    cookies: dict[Role, str]

    @property
    def url(self) -> str:
        """The console's."""
        return self.app.addresses.console.url

    async def ask(self, method: str, path: str, role: Role | None = None, /, **headers: str) -> Answer:
        """What somebody of a role is answered, or nobody."""
        cookie = {"Cookie": f"callhome={self.cookies[role]}"} if role else {}
        sent = {"Origin": self.url, **cookie, **headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", allow_redirects=False, headers=sent) as answer,
        ):
            return Answer(answer.status, answer.headers, await answer.text())

    async def follow(self, role: Role) -> ClientConnection:
        """A viewer of a role."""
        address = f"ws://{self.app.addresses.console}/live"
        return await connect(address, additional_headers={"Cookie": f"callhome={self.cookies[role]}"})


@dataclass(frozen=True)
class Answer:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: str


@asynccontextmanager
async def serving(dsn: str, monkeypatch: pytest.MonkeyPatch, **given: Any) -> AsyncIterator[Site]:
    """A server with the routes of the demo, and an account of each role."""
    monkeypatch.setattr(app_module, "ConsoleServer", Remembering)
    async with AsyncExitStack() as stack:
        mailbox = await stack.enter_async_context(Mailbox())
        more = [*MailboxPage(mailbox).table(), *Entrance().table()]
        app = await stack.enter_async_context(App(settings_of(dsn, **given), more))
        connection = await stack.enter_async_context(connected(dsn))
        cookies = {role: await cookie_of(connection, role.value, role) for role in Role}
        yield Site(app, dsn, cookies)


@pytest.fixture
async def site(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A server whose map is for those alone who are signed in."""
    async with serving(database, monkeypatch) as here:
        yield here


def routes_of(server: ConsoleServer) -> list[tuple[str, str]]:
    """Method and path of each route that a running server answers."""
    assert server._runner is not None
    assert server._runner.app is not None
    there = server._runner.app.router.routes()
    return [(each.method, each.resource.canonical) for each in there if each.resource is not None]


def example(path: str) -> str:
    """A path that a route answers."""
    return path.replace("{name}", "x").replace(r"{number}", "1").replace(r"{place}", "0")


def expected(access: Access, role: Role | None, map_guests: bool) -> str:
    """What must become of a request."""
    order = [None, Role.VIEWER, Role.ANALYST, Role.ADMIN]
    least = {O: 0, G: 0 if map_guests else 1, V: 1, A: 2, Access.ADMIN: 3}[access]
    return "answered" if order.index(role) >= least else "forbidden" if role else "sign in"


def outcome(method: str, path: str, answer: Answer) -> str:
    """What became of a request."""
    if answer.status == 401 or answer.headers.get("Location", "").startswith("/sign-in?next="):
        return "sign in"
    # A HEAD has no body; of the open ones, the demo's entrance says 403 for a reason of its own.
    has_said = "this is for the role" in answer.body or (method == "HEAD" and path != "/demo/open")
    return "forbidden" if answer.status == 403 and has_said else "answered"


@pytest.mark.parametrize("map_guests", [False, True])
async def test_each_role_on_each_route(
    database: str, monkeypatch: pytest.MonkeyPatch, map_guests: bool
) -> None:
    """Of each route of the running server it is said who may use it, and nobody else gets anything of it."""
    async with serving(database, monkeypatch, map_guests=str(map_guests).lower()) as here:
        # Signing out comes last.
        there = sorted(routes_of(Remembering.last), key=lambda each: each[1] == "/sign-out")
        assert sorted(each for each in there if each[0] != "HEAD") == sorted(WHO)
        wrong = []
        for method, path in there:
            access = WHO["GET" if method == "HEAD" else method, path]
            for role in (None, *Role):
                answer = await here.ask(method, example(path), role)
                wanted, got = expected(access, role, map_guests), outcome(method, path, answer)
                if got != wanted:
                    wrong.append((method, path, role, answer.status, f"{got}, not {wanted}"))
        assert not wrong


async def test_a_stranger_is_led_to_the_sign_in_page_or_told_as_json(site: Site) -> None:
    """Pages lead to the form and back, programs get 401 as JSON; what is nowhere is no different."""
    for path in ("/map?product=es&tour=off", "/nowhere", "/"):
        answer = await site.ask("GET", path)
        place = quote(path, safe="")
        assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in?next={place}")
        assert answer.headers["Cache-Control"] == "no-store"
    for method, path in (
        ("GET", "/api/v1/live"),
        ("GET", "/live"),
        ("GET", "/api/nowhere"),
        ("DELETE", "/nowhere"),
    ):
        answer = await site.ask(method, path)
        assert (answer.status, json.loads(answer.body)["reason"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await site.ask("POST", "/map")).status == 405


async def test_too_low_a_role_is_told_which_it_takes(site: Site) -> None:
    """The page says which role is needed, and which one has."""
    answer = await site.ask("GET", "/demo/mailbox", Role.VIEWER)
    assert (answer.status, answer.body) == (403, "this is for the role analyst; viewer has the role viewer\n")
    assert (await site.ask("GET", "/nowhere", Role.VIEWER)).status == 404


FORGED_TOKENS: Final = (
    *("Bearer", "Bearer x", f"Bearer {TOKEN}x", "bearer ch_" + "x" * 43, "Bearer " + "x" * 4_000),
)
FORGED_COOKIES: Final = ("", "x", "x" * 43, "x" * 4_000, '"', "é", "../../etc/passwd", "a;b=c")


async def test_what_is_forged_is_refused(site: Site) -> None:
    """A wrong token is told, though a cookie is beside it; a wrong cookie is none; nothing goes wrong."""
    for shown in FORGED_TOKENS:
        for path in ("/api/v1/live", "/map"):
            assert (await site.ask("GET", path, Role.ADMIN, Authorization=shown)).status == 401
    for others in ("Basic dGVzdHM6eA==", "x", ""):
        assert (await site.ask("GET", "/account", Role.ADMIN, Authorization=others)).status == 200
        assert (await site.ask("GET", "/account", Authorization=others)).status == 303
    for cookie in FORGED_COOKIES:
        answer = await site.ask("GET", "/api/v1/live", Cookie=f"callhome={cookie}; __Host-callhome={cookie}")
        assert answer.status == 401


async def test_a_token_works_for_a_program_until_it_is_revoked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads numbers and follows them; revoked, it is refused after the seconds for which it is remembered."""
    monkeypatch.setattr(gate, "FRESH_S", 0.2)
    monkeypatch.setattr(recheck, "RECHECK_S", 0.1)
    assert (await site.ask("GET", "/api/v1/live", None, **SIGNED)).status in (200, 503)
    async with connect(f"ws://{site.app.addresses.console}/live", additional_headers=SIGNED):
        async with connected(site.dsn) as connection:
            await tokens.revoke(connection, "tests", BY)

        async def refused() -> bool:
            return (await site.ask("GET", "/api/v1/live", None, **SIGNED)).status == 401

        await until(refused)


async def test_viewers_are_parted_from_when_their_session_ends(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open map of an account that is removed is closed, others go on."""
    monkeypatch.setattr(recheck, "RECHECK_S", 0.1)
    async with serving(database, monkeypatch) as here:
        going, staying = await here.follow(Role.VIEWER), await here.follow(Role.ADMIN)
        async with connected(here.dsn) as connection:
            await accounts.remove(connection, "viewer", BY)
        async with asyncio.timeout(PATIENCE_S):
            await going.wait_closed()
        assert going.close_code == 1008
        await (await staying.ping())

        async def refused() -> bool:
            return (await here.ask("GET", "/account", Role.VIEWER)).status == 303

        await until(refused)
        with pytest.raises(InvalidStatus) as turned_away:
            await here.follow(Role.VIEWER)
        assert turned_away.value.response.status_code == 401
        await staying.close()


async def test_while_the_database_is_away_screens_stay_and_strangers_wait(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is known goes on; who isn't hears 503 and when to come back."""
    monkeypatch.setattr(recheck, "RECHECK_S", 0.1)
    async with serving(database, monkeypatch) as here:
        assert (await here.ask("GET", "/account", Role.VIEWER)).status == 200
        viewer = await here.follow(Role.VIEWER)
        monkeypatch.setattr(gate, "FRESH_S", 0.0)
        console = Remembering.last
        gone = asyncpg.ConnectionDoesNotExistError("gone")

        async def away(_digests: object) -> Any:
            raise StoreUnavailable("away") from gone

        monkeypatch.setattr(console._reception.gate, "_find", away)
        assert (await here.ask("GET", "/account", Role.VIEWER)).status == 200
        answer = await here.ask("GET", "/account", Role.ADMIN)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        await asyncio.sleep(0.3)
        await (await viewer.ping())
        await viewer.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "http://evil.example", **SIGNED, "Content-Type": "text/plain"}, 200),
    ],
)
async def test_another_website_changes_nothing(headers: dict[str, str], status: int) -> None:
    """With a cookie, what changes something must come from a page of this host, as JSON; a token needs none."""
    known = keys.new_session()
    viewer = Principal(Kind.ACCOUNT, "ada", Role.VIEWER, keys.digest(known))
    token = Principal(Kind.TOKEN, "tests", Role.VIEWER, keys.digest(TOKEN))

    async def find(digests: Sequence[bytes]) -> Mapping[bytes, Principal]:
        return {each.digest: each for each in (viewer, token) if each.digest in digests}

    async def change(request: web.Request) -> web.Response:
        return web.Response(text=request[routes.PRINCIPAL].name)

    app = web.Application()
    accesses = routes.add(app, [routes.post("/api/change", change, Access.VIEWER)])
    app.middlewares.append(guard(accesses, Rules(gate.Gate(find), Cookies(Origins()), map_guests=True)))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        own = f"http://127.0.0.1:{server.port}"
        sent = {"Origin": own, "Cookie": f"callhome={known}", "Content-Type": "application/json", **headers}
        async with session.post(f"{own}/api/change", data=b"{}", headers=sent) as answer:
            assert answer.status == status
        del sent["Origin"]
        if status == 200 and headers == {}:
            async with session.post(f"{own}/api/change", data=b"{}", headers=sent) as answer:
                assert answer.status == 403


async def test_a_route_of_which_nobody_said_who_may_use_it_stops_the_start() -> None:
    """Beside the table no route can be added: the server doesn't start."""

    async def secret(_request: web.Request) -> web.Response:
        return web.Response(text="secret")

    app = web.Application()
    app.router.add_get("/secret", secret)
    with pytest.raises(ValueError, match=r"nobody has said who may use .*secret"):
        routes.add(app, [])
    running = console()
    running._routes = [web.get("/secret", secret)]  # type: ignore[list-item]
    with pytest.raises(AttributeError):
        await running.__aenter__()


async def test_guests_see_the_map_while_the_database_is_away(unused_tcp_port: int) -> None:
    """An open map asks nobody who they are; a cookie of nobody makes no difference to it."""

    async def away(_digests: object) -> Any:
        raise StoreUnavailable("away")

    running = console()
    running._reception.gate._find = away
    async with running, aiohttp.ClientSession() as session:
        url, cookie = f"http://127.0.0.1:{running.port}", {"Cookie": f"callhome={keys.new_session()}"}
        for path, status in (("/api/v1/live", "not_ready"), ("/account", "not_now")):
            async with session.get(f"{url}{path}", headers=cookie, allow_redirects=False) as answer:
                assert (await answer.json())["reason"] == status
