"""The real Caddy with compose's Caddyfile before a real callhome: who gets where, and what arrives there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

from caddies import CONSOLE, PING, Caddy, caddy, call
from callhome.app import App
from callhome.settings import Listen
from listener import Answer
from running import connected, countries_file, ping, running
from signed import SIGNED

# Addresses of this machine that play clients, and where they are said to be.
FRENCH, DANISH = "127.0.0.9", "127.0.0.7"
OUTSIDE = "127.0.1.1"
OFFICE = "127.0.0.0/24"
OLD = b"GET /ping?product=es&version=9.2&install=0f8fad5b-d9cb&os=fran%E7ais\xe7 HTTP/1.0\r\n\r\n"

Ports = Callable[[], int]


@pytest.fixture
def nowhere(unused_tcp_port_factory: Callable[[], int]) -> Listen:
    """Where nobody listens."""
    return Listen("127.0.0.1", unused_tcp_port_factory())


@pytest.fixture
def ports(unused_tcp_port_factory: Callable[[], int]) -> Ports:
    return unused_tcp_port_factory


class Site(NamedTuple):
    """A callhome, and the Caddy before it."""

    caddy: Caddy
    app: App


@asynccontextmanager
async def site(database: str, folder: Path, ports: Ports, **given: str) -> AsyncIterator[Site]:
    """Both, as compose.yaml puts them together; ``given`` are variables of the Caddyfile."""
    countries = countries_file(folder / "countries.mmdb", {FRENCH: "FR", DANISH: "DK"})
    settings: dict[str, Any] = {"console_hosts": CONSOLE, "trusted_proxies": "127.0.0.1"}
    settings["geo_database"] = str(countries)
    async with running(database, **settings) as app:
        places = app.addresses.ingest, app.addresses.console
        async with caddy(folder, ports, *places, given={"CONSOLE_NETWORKS": OFFICE, **given}) as here:
            yield Site(here, app)


def post(body: bytes, *headers: str, path: str = "/v1/ping", host: str = PING) -> bytes:
    """Return a POST of a ping."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *headers]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, host: str = CONSOLE, *headers: str) -> bytes:
    """Return a GET."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def chunked(body: bytes, size: int = 7) -> bytes:
    """Return a body in chunks."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


async def stored(database: str) -> list[dict[str, Any]]:
    """The pings that are stored, oldest first."""
    async with connected(database) as connection:
        return [dict(row) for row in await connection.fetch("SELECT * FROM ping ORDER BY id")]


def test_caddyfile_is_valid_and_formatted(tmp_path: Path) -> None:
    """Caddy takes the file with no more than the two names, and would format it as it is."""
    done = call(tmp_path, "validate", "--config", "Caddyfile")
    assert done.returncode == 0, done.stderr
    warnings = [json.loads(line)["msg"] for line in done.stderr.splitlines() if '"level":"warn"' in line]
    # There is no file of your own; and that plain HTTP stays plain is what is wanted.
    assert [text.partition(" ")[0] for text in warnings] == ["No", "server"], warnings
    formatted = call(tmp_path, "fmt", "Caddyfile")
    assert (formatted.returncode, formatted.stdout) == (0, (tmp_path / "Caddyfile").read_text("utf-8"))


def test_console_is_for_private_networks_by_default(tmp_path: Path) -> None:
    """Without CONSOLE_NETWORKS, the console's name answers private addresses, and none that the engine has hidden."""
    done = call(tmp_path, "adapt", "--config", "Caddyfile")
    matchers = [text for text in done.stdout.split('"not":') if '"remote_ip"' in text]
    assert "192.168.0.0/16" in matchers[0]
    assert "172.30.240.0/28" in "".join(matchers)


async def test_pings_are_served_with_and_without_tls(database: str, tmp_path: Path, ports: Ports) -> None:
    """A ping, an old request and a batch are answered 2xx where they were sent, without a redirect, and are stored."""
    batch = post(ping() + b"\n", "Content-Type: application/x-ndjson", path="/v1/pings")
    async with site(database, tmp_path, ports) as here:
        for tls in (None, PING):
            answers = [await here.caddy.ask(request, tls=tls) for request in (post(ping()), OLD, batch)]
            assert [answer.status for answer in answers] == [204, 200, 200]
            assert answers[1].body.strip() == b"OK"
            assert not any("location" in answer.headers for answer in answers)
    assert sorted(row["os"] for row in await stored(database)) == [""] * 4 + ["françaisç"] * 2


async def test_old_programs_may_know_it_by_any_name(database: str, tmp_path: Path, ports: Ports) -> None:
    """Plain HTTP is served under every name and address, but the console's."""
    async with site(database, tmp_path, ports) as here:
        for host in ("old.example.org", "192.0.2.1", PING.upper()):
            assert (await here.caddy.ask(post(ping(), host=host), tls=None)).status == 204
    assert len(await stored(database)) == 3


async def test_address_of_the_client_arrives(database: str, tmp_path: Path, ports: Ports) -> None:
    """The country is that of the client, not of the proxy, and not of what the client says of itself."""
    async with site(database, tmp_path, ports) as here:
        for number, (source, said) in enumerate(
            [(FRENCH, ""), (DANISH, ""), (FRENCH, f"X-Forwarded-For: {DANISH}")]
        ):
            for tls in (None, PING):
                body = ping(install=f"install-{number}-{tls}")
                request = post(body, *filter(None, [said]))
                assert (await here.caddy.ask(request, tls=tls, source=source)).status == 204
    assert sorted(row["country"] for row in await stored(database)) == ["DK"] * 2 + ["FR"] * 4


async def test_chunked_body_arrives_whole(database: str, tmp_path: Path, ports: Ports) -> None:
    """A body without a length, which ingest refuses, is read first, and arrives with one."""
    many = b"".join(ping(install=f"install-{number}", extra={"x": "y" * 50}) + b"\n" for number in range(900))
    async with site(database, tmp_path, ports) as here:
        one = await here.caddy.ask(post(chunked(ping()), "Transfer-Encoding: chunked"))
        batch = await here.caddy.ask(
            post(
                *(chunked(many, 10_000), "Transfer-Encoding: chunked", "Content-Type: application/x-ndjson"),
                path="/v1/pings",
            )
        )
    assert (one.status, batch.status, len(many) > 100_000) == (204, 200, True), batch
    assert len(await stored(database)) == 901


async def test_too_long_a_body_is_refused(database: str, tmp_path: Path, ports: Ports) -> None:
    """What is too long is refused, with callhome's reason where it is near the limit."""
    async with site(database, tmp_path, ports) as here:
        for size, says_why in ((20_000, True), (40_000, False)):
            body = ping(extra={"x": "y" * size})
            for request in (post(body), post(chunked(body, 4_000), "Transfer-Encoding: chunked")):
                answer = await here.caddy.ask(request)
                # A body without a length is too long for Caddy only once it has come so far: callhome may be asked, and
                # refuse it for that, while the rest comes.
                is_first = answer.status == 411 and not says_why and b"Transfer-Encoding" in request
                assert is_first or (answer.status, b"too_large" in answer.body) == (413, says_why), answer
    assert await stored(database) == []


async def test_console_is_not_under_the_name_for_pings(database: str, tmp_path: Path, ports: Ports) -> None:
    """Under the public name there are pings alone, even for the company."""
    async with site(database, tmp_path, ports) as here:
        for path in ("/", "/map", "/api/v1/live", "/metrics", "/unsubscribe", "/grafana/"):
            for tls in (None, PING):
                assert (await here.caddy.ask(get(path, PING), tls=tls)).status == 404


async def test_console_is_for_the_company_alone(database: str, tmp_path: Path, ports: Ports) -> None:
    """The console answers the networks that are named, none else, and nobody whose address the engine has hidden."""
    hidden = "127.0.0.77"
    async with site(database, tmp_path, ports, EDGE_SUBNET=f"{hidden}/32") as here:
        found = {}
        for source in (FRENCH, OUTSIDE, hidden):
            answer = await here.caddy.ask(get("/metrics"), tls=CONSOLE, source=source)
            found[source] = answer.status
            # Whatever name TLS was made for: the request's own name counts.
            crossed = await here.caddy.ask(get("/metrics"), tls=PING, source=source)
            assert crossed.status == answer.status
        plain = await here.caddy.ask(get("/map?product=es"), tls=None, source=OUTSIDE)
    assert found == {FRENCH: 200, OUTSIDE: 403, hidden: 403}
    assert (plain.status, plain.headers["location"]) == (301, f"https://{CONSOLE}/map?product=es")


async def test_a_password_can_be_asked_for_too(database: str, tmp_path: Path, ports: Ports) -> None:
    """What is in local/console.caddy counts for the console beside the networks, and not for pings."""
    cheap = ("--bcrypt-cost", "5")  # the usual cost takes a slow machine seconds
    hashed = call(tmp_path, "hash-password", *cheap, "--plaintext", "hunter2").stdout.strip()
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "console.caddy").write_text(f"basic_auth {{\n\tanna {hashed}\n}}\n")
    async with site(database, tmp_path, ports) as here:
        right = "Authorization: Basic YW5uYTpodW50ZXIy"
        answers = [
            await here.caddy.ask(get("/metrics", CONSOLE, *said), tls=CONSOLE, source=source)
            for said, source in (([], FRENCH), ([right], FRENCH), ([right], OUTSIDE), ([], OUTSIDE))
        ]
        assert (await here.caddy.ask(post(ping()))).status == 204
    # Strangers don't learn whether a password is right.
    assert [answer.status for answer in answers] == [401, 200, 403, 403]


async def test_live_counters_pass(database: str, tmp_path: Path, ports: Ports) -> None:
    """A page under the console's name follows the counters over a websocket; one of another host doesn't."""
    async with site(database, tmp_path, ports) as here:
        url, port = f"wss://{CONSOLE}:{here.caddy.https}/live", here.caddy.https
        own: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "ssl": here.caddy.trust,
            "additional_headers": SIGNED,
        }
        async with connect(url, **own, origin=Origin(f"https://{CONSOLE}:{port}")) as viewer:
            assert json.loads(await viewer.recv())["type"] == "snapshot"
            assert (await here.caddy.ask(post(ping()))).status == 204
            changes = json.loads(await asyncio.wait_for(viewer.recv(), 30))
            assert changes["type"] != "snapshot"
        with pytest.raises(Exception, match="403"):
            async with connect(url, **own, origin=Origin("https://evil.example.net")):
                pass


async def test_pings_wait_while_callhome_is_restarted(
    database: str, tmp_path: Path, ports: Ports, nowhere: Listen
) -> None:
    """A ping that comes while no callhome listens is held until one does, and answered 2xx."""
    async with caddy(tmp_path, ports, nowhere, nowhere) as here:
        asking = [asyncio.create_task(here.ask(request)) for request in (post(ping()), OLD)]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in asking)
        async with running(database, ingest_listen=str(nowhere)):
            answers: list[Answer] = await asyncio.gather(*asking)
    assert [answer.status for answer in answers] == [204, 200]
    assert len(await stored(database)) == 2


async def test_nobody_is_told_2xx_but_by_callhome(
    database: str, tmp_path: Path, ports: Ports, nowhere: Listen
) -> None:
    """Under a name that isn't known a ping is stored, or refused; without callhome it is refused."""
    async with site(database, tmp_path, ports) as here:
        for name in ("other.example.org", "192.0.2.1"):
            assert (await here.caddy.ask(post(ping(), host=name))).status == 204
    assert len(await stored(database)) == 2
    async with caddy(tmp_path, ports, nowhere, nowhere, given={"RETRY": "1s"}) as alone:
        for request in (post(ping()), OLD, post(chunked(ping()), "Transfer-Encoding: chunked")):
            assert (await alone.ask(request)).status in (502, 503)


async def test_log_has_nothing_of_a_client(tmp_path: Path, ports: Ports, nowhere: Listen) -> None:
    """An error is logged, without the address of the client, and without the license key in its request."""
    async with caddy(tmp_path, ports, nowhere, nowhere, given={"RETRY": "1s"}) as here:
        request = get("/ping?product=es&version=1&license=ABCD-EFGH-1234", PING, "User-Agent: studio-12")
        for tls in (None, PING):
            assert (await here.ask(request, tls=tls, source=FRENCH)).status == 502
        errors = [line for line in here.log.splitlines() if '"level":"error"' in line]
        assert len(errors) >= 2
        for told in (FRENCH, "ABCD-EFGH-1234", "studio-12"):
            assert told not in here.log
