"""Two services behind one address: the proxy of docs/deploy/migration.md with the real nginx and a real callhome."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pages import ROOT
from running import connected, running, until

PAGE = (ROOT / "docs/deploy/migration.md").read_text("utf-8")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
FORM = b"p=es&v=4.2&m=from-a-form-1"
SOON_S = 20.0


def block(language: str) -> str:
    """The one block of the page in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Old:
    """The older service: it notes what it is asked, and answers `old` once it may."""

    port: int = 0
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.asked.append((head.split()[1].decode(), body))
                await self.may_answer.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def old_service() -> AsyncIterator[Old]:
    """An older service that answers."""
    old = Old()
    old.may_answer.set()
    server = await asyncio.start_server(old.answer, "127.0.0.1", 0)
    old.port = server.sockets[0].getsockname()[1]
    try:
        yield old
    finally:
        old.may_answer.set()
        server.close()


@asynccontextmanager
async def proxy(folder: Path, split: str, *, old: int, callhome: int) -> AsyncIterator[str]:
    """The nginx of the page, with another line in ``split_clients`` and the ports of this test: its URL."""
    if NGINX is None:
        pytest.skip("needs nginx: sudo apt-get install nginx-light")
    port = free_port()
    text = block("nginx").replace("listen 80;", f"listen 127.0.0.1:{port};")
    text = text.replace("127.0.0.1:9000", f"127.0.0.1:{old}").replace(
        "127.0.0.1:8080", f"127.0.0.1:{callhome}"
    )
    assert "    * old;\n" in text
    assert "proxy_read_timeout 2s;" in text
    text = text.replace(
        "proxy_read_timeout 2s;", "proxy_read_timeout 600s;"
    )  # nothing is to be freed by waiting
    (folder / "ping.conf").write_text(text.replace("    * old;\n", f"    {split}\n"), "utf-8")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/ping.conf; }}\n",
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"
    )
    url = f"http://127.0.0.1:{port}"
    try:

        async def answers() -> bool:
            assert process.returncode is None, (folder / "error.log").read_text("utf-8")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(answers)
        yield url
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), SOON_S)


def legacy() -> dict[str, Any]:
    """The settings of the page."""
    return tomllib.loads(block("toml"))


async def asked(url: str, path: str, body: bytes | None = None) -> str:
    """The answer's body, or else the status."""
    async with aiohttp.ClientSession() as session:
        method = "POST" if body else "GET"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        async with session.request(method, url + path, data=body, headers=headers) as response:
            return (await response.text()).strip() if response.status < 300 else str(response.status)


async def pings(dsn: str, count: int) -> list[tuple[str, str]]:
    """Version and country of the pings, once there are so many."""
    async with connected(dsn) as connection:

        async def are_there() -> bool:
            return bool(await connection.fetchval("SELECT count(*) = $1 FROM ping", count))

        await until(are_there)
        return [
            tuple(row) for row in await connection.fetch("SELECT version, country FROM ping ORDER BY version")
        ]


@pytest.mark.parametrize(("split", "answer"), [("* old;", "old"), ("* callhome;", "OK")])
async def test_both_get_each_request_and_one_answers(
    database: str, open_tmp_path: Path, split: str, answer: str
) -> None:
    """Query string and form reach both, once each; the client reads the answer of the one that is to answer."""
    async with running(database, **legacy()) as app, old_service() as old:
        port = app.addresses.ingest.port
        async with proxy(open_tmp_path, split, old=old.port, callhome=port) as url:
            assert await asked(url, "/ping.php?p=es&v=4.1&m=from-a-query-1") == answer
            assert await asked(url, "/ping.php", FORM) == answer
            assert [row[0] for row in await pings(database, 2)] == ["4.1", "4.2"]

            async def has_both() -> bool:
                return len(old.asked) == 2

            await until(has_both)
            assert sorted(old.asked) == [("/ping.php", FORM), ("/ping.php?p=es&v=4.1&m=from-a-query-1", b"")]


async def test_a_share_of_the_clients_is_answered_by_callhome(database: str, open_tmp_path: Path) -> None:
    """With a percentage, each client has one answerer, and both services have all requests."""
    async with running(database, **legacy()) as app, old_service() as old:
        port = app.addresses.ingest.port
        async with proxy(open_tmp_path, "50% callhome;\n    * old;", old=old.port, callhome=port) as url:
            said = [await asked(url, f"/ping.php?p=es&v={n}&m=install-{n}") for n in range(6)]
            assert len(set(said)) == 1, "one address, one answerer"
            await pings(database, 6)

            async def has_all() -> bool:
                return len(old.asked) == 6

            await until(has_all)


async def test_a_dead_copy_costs_the_client_nothing(open_tmp_path: Path) -> None:
    """With nobody where the copies go, the older service's answer comes as always."""
    async with (
        old_service() as old,
        proxy(open_tmp_path, "* old;", old=old.port, callhome=free_port()) as url,
    ):
        assert [await asked(url, f"/ping.php?p=es&v={n}") for n in range(3)] == ["old"] * 3


async def test_a_silent_copy_delays_no_answer(database: str, open_tmp_path: Path) -> None:
    """While the receiver of the copies keeps silent, the client has its answer."""
    async with running(database, **legacy()) as app, old_service() as old:
        old.may_answer.clear()
        port = app.addresses.ingest.port
        async with proxy(open_tmp_path, "* callhome;", old=old.port, callhome=port) as url:
            assert await asked(url, "/ping.php?p=es&v=4.1&m=from-a-query-1") == "OK"

            async def has_the_copy() -> bool:
                return len(old.asked) == 1

            await until(has_the_copy)
        await pings(database, 1)
