"""`callhome.console.pages`: what the build made is served as it should be, and nothing else."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from callhome.console import routes
from callhome.console.answers import add_headers
from callhome.console.pages import PAGE_POLICY, PageRoutes

SCRIPT = "console.log('" + "map " * 500 + "')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build, and a file beside it."""
    pages = tmp_path / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "map.html").write_text("<!doctype html><title>map</title>")
    (pages / "NOTICE.txt").write_text("Natural Earth\n")
    (pages / "assets" / "map-1f2e.js").write_text(SCRIPT)
    (pages / "assets" / "odd.exe").write_text("no kind that pages have")
    (tmp_path / "secret.txt").write_text("secret")
    return pages


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    routes.add(app, PageRoutes(folder).table())
    app.on_response_prepare.append(add_headers)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session:
            yield session
    finally:
        await runner.cleanup()


async def test_the_page_is_asked_for_again_and_runs_only_its_own(folder: Path) -> None:
    """The page has the strict policy, must be asked for each time, and costs nothing where it is known."""
    async with served(folder) as session:
        async with session.get("/map") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
            assert answer.headers["Cache-Control"] == "no-cache"
            etag = answer.headers["ETag"]
        async with session.get("/map", headers={"If-None-Match": etag}) as again:
            assert (again.status, await again.read()) == (304, b"")
    assert "unsafe" not in PAGE_POLICY


async def test_assets_are_kept_for_ever_and_packed(folder: Path) -> None:
    """A script may be kept for a year; it is packed for those who say that they can unpack it, and only for them."""
    async with served(folder) as session:
        for encoding, packed in (("gzip, br", True), ("identity", False)):
            async with session.get("/assets/map-1f2e.js", headers={"Accept-Encoding": encoding}) as answer:
                body = await answer.read()
                assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
                assert answer.headers["Vary"] == "Accept-Encoding"
                assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
                assert (gzip.decompress(body) if packed else body).decode() == SCRIPT
        async with session.head("/assets/map-1f2e.js") as answer:
            assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/odd.exe",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/..%2fmap.html",
        "/assets/",
    ],
)
async def test_nothing_else_is_there(folder: Path, path: str) -> None:
    """Only files that were there at the start exist, whatever a path says."""
    from yarl import URL

    async with (
        served(folder) as session,
        session.get(URL(path, encoded=True)) as answer,
    ):
        assert answer.status == 404


async def test_pages_that_are_not_built_say_how(tmp_path: Path) -> None:
    """In a checkout without a build the page names the command; everything else of the console goes on."""
    async with served(tmp_path) as session, session.get("/map") as answer:
        assert answer.status == 503
        assert "make page" in await answer.text()
