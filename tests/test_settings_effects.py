"""Each setting changes what a running server does: seen once with the setting, and not seen without it."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from callhome.access import keys
from callhome.access.model import Role
from callhome.app import App
from callhome.settings import TABLE
from callhome.store import partitions
from listener import Answer, get, post
from running import (
    ask,
    connected,
    countries_file,
    locking,
    ping,
    raw,
    running,
    serving_apart,
    until,
)
from signed import SIGNED, cookie_of

# A setting of 0.3 s takes effect within it and two sweeps of the listener (0.5 s each); the rest is for a busy machine,
# and still far from the defaults.
SOON_S = 4.0
DAY_S = 86_400
OTHER_SECRET = "another secret of 32 characters!"
OLD_DAY = datetime.now(UTC).date() - timedelta(days=150)
OLD_PARTITION = f"ping_{OLD_DAY:%Y%m%d}"


@dataclass(frozen=True)
class Site:
    """A running server, its database, and the settings that it was given, or (``plain``) not."""

    name: str
    app: App
    dsn: str
    given: dict[str, Any]
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, request: bytes) -> Answer:
        """Return the answer to a request for ingest."""
        return await ask(self.app.addresses.ingest, request)

    def version(self, effect: Effect) -> str:
        """Return a version that nobody else uses."""
        return f"{self.name}-{effect.__name__}"

    async def row(self, effect: Effect) -> Any:
        """Return what is stored of a ping of that version, or nothing of it."""
        async with connected(self.dsn) as connection:
            found = await connection.fetchrow("SELECT * FROM ping WHERE version = $1", self.version(effect))
        return found or {}

    async def waits(self, pings: int) -> None:
        """Return when so many pings wait for their commit."""

        async def enough() -> bool:
            return self.app.tally.pending >= pings

        await until(enough, SOON_S)


Effect = Callable[[Site], Awaitable[None]]


# --- effects: each raises AssertionError or TimeoutError where it is not seen -----------------------------------------


async def secret(site: Site) -> None:
    """Pseudonyms are made with it."""
    await site.ask(post(ping(version=site.version(secret), install="an install")))
    key = blake2b(OTHER_SECRET.encode(), digest_size=32).digest()
    pseudonym = blake2b(b"an install", digest_size=16, key=key, person=b"install").digest()
    assert (await site.row(secret)).get("install") == pseudonym


async def ingest_listen(site: Site) -> None:
    """Pings are taken in there."""
    assert str(site.app.addresses.ingest) == site.given["ingest_listen"]


async def console_listen(site: Site) -> None:
    """The console is there."""
    assert str(site.app.addresses.console) == site.given["console_listen"]


async def console_hosts(site: Site) -> None:
    """The console answers by that name."""
    answer = await ask(site.app.addresses.console, get("/metrics").replace(b"Host: h", b"Host: map.example"))
    assert answer.status == 200


async def trusted_proxies(site: Site) -> None:
    """The address that a proxy tells is the one whose country is stored."""
    await site.ask(post(ping(version=site.version(trusted_proxies)), "X-Forwarded-For: 203.0.113.9"))
    assert (await site.row(trusted_proxies)).get("country") == "AQ"


async def geo_database(site: Site) -> None:
    """Countries are looked up there."""
    await site.ask(post(ping(version=site.version(geo_database))))
    assert (await site.row(geo_database)).get("country") == "NO"


async def legacy_paths(site: Site) -> None:
    """Old requests come there too."""
    assert (await site.ask(get("/old/ping.php?product=es&version=1"))).body == b"OK"


async def legacy_fields(site: Site) -> None:
    """Old names of fields are understood."""
    await site.ask(get(f"/ping?prod=es&version={site.version(legacy_fields)}"))
    assert await site.row(legacy_fields)


async def legacy_always_ok(site: Site) -> None:
    """A refused old request hears OK."""
    assert (await site.ask(get("/ping?product=es"))).body == b"OK"


async def next_s(site: Site) -> None:
    """Answers say when to ping again."""
    answer = await site.ask(post(ping(version=site.version(next_s))))
    assert answer.status == 200
    assert 900 <= json.loads(answer.body)["next_s"] <= 1_100


async def viewers(site: Site) -> None:
    """With no seat every viewer is turned away."""
    status = 101
    try:
        async with connect(f"ws://{site.app.addresses.console}/live", additional_headers=SIGNED):
            pass
    except InvalidStatus as error:
        status = error.response.status_code
    assert status == 503


async def map_guests(site: Site) -> None:
    """Who is not signed in may see the map's numbers, as soon as there are some."""
    assert (await ask(site.app.addresses.console, local("/api/v1/live"))).status in (200, 503)


async def session_idle_s(site: Site) -> None:
    """An analyst who has done nothing for ten minutes is signed out."""
    assert not await is_signed_in(site, Role.ANALYST, unused_s=600)


async def session_days(site: Site) -> None:
    """An analyst who signed in two days ago is signed out."""
    assert not await is_signed_in(site, Role.ANALYST, begun_s=2 * DAY_S)


async def viewer_idle_days(site: Site) -> None:
    """A viewer who has looked at nothing for two days is signed out."""
    assert not await is_signed_in(site, Role.VIEWER, unused_s=2 * DAY_S)


async def viewer_days(site: Site) -> None:
    """A viewer who signed in a month ago is signed out."""
    assert not await is_signed_in(site, Role.VIEWER, begun_s=30 * DAY_S)


async def is_signed_in(site: Site, role: Role, *, unused_s: int = 0, begun_s: int = 0) -> bool:
    """Whether somebody is who signed in and was seen last so long ago."""
    async with connected(site.dsn) as connection:
        name = f"{site.name}-{role}-{unused_s}-{begun_s}"
        cookie = await cookie_of(connection, name, role)
        await connection.execute(
            "UPDATE session SET used_at = now() - make_interval(secs => $2), "
            "begun_at = now() - make_interval(secs => $3) WHERE id = $1",
            keys.digest(cookie),
            float(unused_s),
            float(begun_s),
        )
    answer = await ask(site.app.addresses.console, local("/account", f"Cookie: callhome={cookie}"))
    assert answer.status in (200, 303)
    return answer.status == 200


def local(path: str, *headers: str) -> bytes:
    """Return a request that calls the console by its address."""
    return get(path, *headers).replace(b"Host: h", b"Host: 127.0.0.1")


async def audit_days(site: Site) -> None:
    """What was done two months ago is not in the trail any more."""

    async def pruned() -> bool:
        async with connected(site.dsn) as connection:
            return not await connection.fetchval("SELECT count(*) FROM audit WHERE target = 'two months ago'")

    await until(pruned, SOON_S)


async def header_s(site: Site) -> None:
    """Who says nothing is closed."""
    async with raw(site.app.addresses.ingest) as client, asyncio.timeout(SOON_S):
        assert await client.reader.read() == b""


async def body_s(site: Site) -> None:
    """Who doesn't send the body is told 408."""
    async with raw(site.app.addresses.ingest) as client, asyncio.timeout(SOON_S):
        assert (await client.send(post(ping())[:-1]).answer()).status == 408


async def keepalive_s(site: Site) -> None:
    """Who asks nothing more is closed."""
    async with raw(site.app.addresses.ingest) as client, asyncio.timeout(SOON_S):
        await client.send(get("/livez")).answer()
        assert await client.reader.read() == b""


async def retention_days(site: Site) -> None:
    """Partitions that are older are dropped."""

    async def dropped() -> bool:
        async with connected(site.dsn) as connection:
            return bool(await connection.fetchval("SELECT to_regclass($1) IS NULL", OLD_PARTITION))

    await until(dropped, SOON_S)


async def batch_pings(site: Site) -> None:
    """Pings that wait together are committed one by one."""
    async with site.alone, AsyncExitStack() as stack:
        async with locking(site.dsn, "ping"):
            for number in range(4):
                client = await stack.enter_async_context(raw(site.app.addresses.ingest))
                client.send(post(ping(version=site.version(batch_pings), install=f"install-{number}")))
            await site.waits(4)
        await until(lambda: stored(site, 4))
    async with connected(site.dsn) as connection:
        rows = await connection.fetch("SELECT batch FROM ping WHERE version = $1", site.version(batch_pings))
    assert len({row["batch"] for row in rows}) == 4


async def stored(site: Site, pings: int) -> bool:
    """Whether so many pings are stored."""
    return site.app.tally.stored >= pings


async def commit_s(site: Site) -> None:
    """Who waits for a commit that hangs is told 503."""
    async with site.alone, locking(site.dsn, "ping"), asyncio.timeout(SOON_S):
        assert (await site.ask(post(ping()))).status == 503


async def connections(site: Site) -> None:
    """The eleventh connection is told 503."""
    async with site.alone, AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(raw(site.app.addresses.ingest))
        assert (await site.ask(get("/livez"))).status == 503


async def pending_pings(site: Site) -> None:
    """While 1,000 pings wait, the next is told 503."""
    await is_full(site, [ping()] * 1_000, [ping()])


async def pending_bytes(site: Site) -> None:
    """While 5 of 8 MiB wait, as much again is told 503."""
    extra = {f"{i:064}": "x" * 256 for i in range(16)}
    first, second = (ping(install=f"install-{number}", extra=extra) for number in range(2))
    await is_full(site, [first] * 1_000, [second] * 1_000)


async def is_full(site: Site, first: list[bytes], second: list[bytes]) -> None:
    """Have pings wait for their commit; those behind them must be refused, and the first be stored."""
    place = site.app.addresses.ingest
    async with site.alone, raw(place) as one, raw(place) as two:
        async with locking(site.dsn, "ping"):
            one.send(batch(first))
            await site.waits(len(first))
            two.send(batch(second))
            async with asyncio.timeout(SOON_S):
                answer = await two.answer()
            assert (answer.status, b"overloaded" in answer.body) == (503, True)
        assert json.loads((await one.answer()).body)["stored"] == len(first)


def batch(lines: list[bytes]) -> bytes:
    """Return the request for a batch."""
    return post(gzip.compress(b"\n".join(lines)), "Content-Encoding: gzip", "/v1/pings")


async def install_pings_s(site: Site) -> None:
    """With 0, an install that sends 1,100 pings at once is told nothing."""
    lines = [ping(version=site.version(install_pings_s), install="wild-install")] * 1_000
    await site.ask(batch(lines))
    assert b"too_many_pings" not in (await site.ask(batch(lines[:100]))).body


async def install_burst(site: Site) -> None:
    """The second ping of an install is told 429."""
    request = post(ping(version=site.version(install_burst), install="eager-install"))
    await site.ask(request)
    assert (await site.ask(request)).status == 429


async def prefix_installs(site: Site) -> None:
    """The third install of a network is not verified."""
    version = site.version(prefix_installs)
    await site.ask(batch([ping(version=version, install=f"install-{number}") for number in range(3)]))
    async with connected(site.dsn) as connection:
        rows = await connection.fetch("SELECT verified FROM ping WHERE version = $1", version)
    assert sorted(row["verified"] for row in rows) == [False, True, True]


async def pings_per_s(site: Site) -> None:
    """The second ping within a second is told 503, whoever sends it."""
    async with site.alone:
        told = [(await site.ask(post(ping(install=f"install-{number}")))).status for number in range(3)]
    assert 503 in told


# --- the table --------------------------------------------------------------------------------------------------------

EFFECTS: dict[str, Effect] = {
    effect.__name__: effect
    for effect in (
        *(secret, ingest_listen, console_listen, console_hosts, trusted_proxies, geo_database),
        *(map_guests, session_idle_s, session_days, viewer_idle_days, viewer_days, audit_days),
        *(legacy_paths, legacy_fields, legacy_always_ok, viewers, retention_days, next_s),
        *(install_pings_s, install_burst, prefix_installs, pings_per_s),
        *(header_s, body_s, keepalive_s, batch_pings, commit_s, connections, pending_pings, pending_bytes),
    )
}
# Settings that don't disturb each other, in one server. GEO stands for a file, PORT for a free one.
GROUPS: tuple[dict[str, Any], ...] = (
    {
        "secret": OTHER_SECRET,
        "ingest_listen": "127.0.0.1:PORT",
        "console_listen": "127.0.0.1:PORT",
        "console_hosts": "map.example",
        "trusted_proxies": "127.0.0.0/8",
        "geo_database": "GEO",
        "legacy_paths": "/old/ping.php",
        "legacy_fields": "prod=product",
        "legacy_always_ok": "true",
        "viewers": 0,
        "map_guests": "true",
        "session_idle_s": 300,
        "session_days": 1,
        "viewer_idle_days": 1,
        "viewer_days": 10,
        "audit_days": 30,
        "retention_days": 100,
        "next_s": 1_000,
        "header_s": 0.3,
        "body_s": 0.3,
        "keepalive_s": 0.3,
    },
    {"batch_pings": 1, "pending_pings": 1_000},
    {"pending_bytes": 8 * 2**20},
    {"prefix_installs": 2},
    {"install_pings_s": 0},
    {"install_burst": 1},
    {"pings_per_s": 1},
    {"commit_s": 0.3, "connections": 10},
)
# Setting -> the test that sees its effect.
ELSEWHERE = {
    "map_floor": "test_map_guests.py: test_a_guest_receives_no_number_below_the_floor",
    "database_url": "test_end_to_end.py: test_an_answer_leaves_after_the_commit",
    "workers": "test_workers_supervisor.py: test_metrics_of_any_worker_are_those_of_all",
    "loop": "test_settings_effects.py: test_loop_is_the_event_loop",
    "smtp_url": "test_mail_settings.py: test_mails_go_where_and_come_from_where_it_is_said",
    "mail_from": "test_mail_settings.py: test_mails_go_where_and_come_from_where_it_is_said",
    "console_url": "test_mail_settings.py: test_mails_lead_to_the_console",
    "smtp_ca": "test_mail_settings.py: test_a_server_is_trusted_by_its_authority",
    "smtp_connections": "test_mail_settings.py: test_so_many_connections_are_open",
    "smtp_s": "test_mail_settings.py: test_a_silent_server_is_left",
    "spool_dir": "test_durability.py: test_an_outage_costs_no_ping_and_no_refusal",
    "spool_bytes": "test_durability.py: test_a_full_spool_takes_nothing_until_there_is_room",
    "spool_disk_percent": "test_durability.py: test_a_full_disk_takes_nothing",
    "spool_after_s": "test_durability.py: test_a_commit_that_hangs_is_spooled",
    "stop_s": "test_app.py: test_stopping_is_bounded_though_the_database_hangs",
    "stop_delay_s": "test_app.py: test_who_is_about_to_stop_takes_pings_for_a_while",
    "stop_drain_s": "test_durability.py: test_a_stop_waits_for_the_spool",
    "allow_fsync_off": "test_app.py: test_a_database_that_may_lose_commits_is_refused",
}


def test_every_setting_has_an_effect() -> None:
    """Each setting has an effect above, in one group, or names a test that exists."""
    grouped = [name for group in GROUPS for name in group]
    assert sorted([*grouped, *ELSEWHERE]) == sorted(TABLE)
    assert sorted(grouped) == sorted(EFFECTS)
    for place in ELSEWHERE.values():
        file, _, name = place.partition(": ")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: next(iter(group)))
async def test_settings_have_their_effect(
    group: dict[str, Any], database: str, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """What a setting does is seen on a server that has it, and not on one with the defaults."""
    given = {
        name: value.replace("PORT", str(unused_tcp_port_factory())) if isinstance(value, str) else value
        for name, value in group.items()
    }
    if "geo_database" in given:
        countries = {"203.0.113.0/24": "AQ", "127.0.0.0/8": "NO"}
        given["geo_database"] = countries_file(tmp_path / "geo.mmdb", countries)
    async with connected(database) as connection:
        low, high = (partitions.first_id(OLD_DAY + timedelta(days=days)) for days in (0, 1))
        await connection.execute(
            f"CREATE TABLE {OLD_PARTITION} PARTITION OF ping FOR VALUES FROM ('{low}') TO ('{high}')"
        )
        await connection.execute(
            "INSERT INTO audit (at, kind, actor, action, target) "
            "VALUES (now() - interval '60 days', 'command', 'x', 'test.done', 'two months ago')"
        )
    async with running(database) as app:
        seen = await effects(Site("plain", app, database, given))
    assert not [name for name, error in seen.items() if error is None], "seen with the default"
    async with running(database, **given) as app:
        seen = await effects(Site("changed", app, database, given))
    assert not {name: error for name, error in seen.items() if error is not None}


async def effects(site: Site) -> dict[str, BaseException | None]:
    """Look for the effects of the given settings, all at once; why each is not seen."""
    found = await asyncio.gather(*(EFFECTS[name](site) for name in site.given), return_exceptions=True)
    for error in found:
        if not isinstance(error, AssertionError | TimeoutError | None):
            raise error
    return dict(zip(site.given, found, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_loop_is_the_event_loop(loop: str, database: str) -> None:
    """The chosen event loop runs: the other one's code is not even loaded."""
    async with serving_apart(database, CALLHOME_LOOP=loop) as (process, ingest):
        assert (await ask(ingest, get("/livez"))).status == 200
        loaded = {Path(part.path).parent.name for part in psutil.Process(process.pid).memory_maps()}
        assert ("uvloop" in loaded) == (loop == "uvloop")
