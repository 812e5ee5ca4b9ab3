"""Real requests to a whole server, and the rows, answers and counters that come of them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
import pytest
from websockets.asyncio.client import connect

import wire
from callhome.app import App
from callhome.live.wire import LiveState, decode
from callhome.store.ids import id_ms, new_id
from listener import get, post
from running import (
    Connection,
    Row,
    all_folded,
    ask,
    connected,
    countries_file,
    is_right,
    live,
    locking,
    ping,
    raw,
    running,
    until,
)
from signed import SIGNED

FORM = "Content-Type: application/x-www-form-urlencoded"
FORWARDED = f"X-Forwarded-For: {wire.ADDRESS}"


# --- the wire forms ---------------------------------------------------------------------------------------------------


class Table:
    """Tells which row a request has left in ``ping``, in the form of the fixtures."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seen: list[UUID] = []

    async def new_row(self) -> Row | None:
        """Return the row that is there since the last call."""
        rows = await self._connection.fetch("SELECT * FROM ping WHERE id <> ALL ($1)", self._seen)
        if not rows:
            return None
        (row,) = rows
        self._seen.append(row["id"])
        columns = {name: value for name, value in row.items() if name != "batch"}
        for name in ("install", "license"):
            columns[name] = columns[name] and columns[name].hex()
        columns["extra"] = columns["extra"] and json.loads(columns["extra"])
        return columns


def wrong_time(row: Row, begun: datetime) -> str:
    """Take id and times out of a row that was sent since ``begun``; say what is wrong with them."""
    id_, at, day = row.pop("id"), row.pop("at"), row.pop("day")
    own = datetime.fromtimestamp(id_ms(id_.bytes) / 1000, UTC)
    now = datetime.now(UTC)
    if now - timedelta(days=90) <= own <= now + timedelta(hours=1):
        right = at == own.replace(microsecond=own.microsecond // 1000 * 1000)
    else:
        right = begun - timedelta(seconds=1) <= at <= now
    return "" if right and day == at.date() else f"at is {at}, day {day}, its id's time {own}"


async def difference(case: wire.Case, table: Table, begun: datetime) -> str:
    """Say how the stored row differs from the one that the case expects."""
    row = await table.new_row()
    if row is None or "row" not in case:
        return "" if row is None and "row" not in case else f"stored: {row}"
    expected = {**wire.DEFAULTS, **case["row"]}
    expected["extra"] = expected["extra"] and json.loads(expected["extra"])
    if expected.pop("id", str(row["id"])) != str(row["id"]):
        return f"id is {row['id']}"
    said = wrong_time(row, begun)
    del expected["at"], expected["day"]
    differing = {name: (row.get(name), value) for name, value in expected.items() if row.get(name) != value}
    return said or (f"is, should be: {differing}" if differing or row.keys() != expected.keys() else "")


@pytest.fixture
def wire_settings(tmp_path: Path) -> dict[str, Any]:
    """What the fixtures are written for: a secret, old names, and an address in a country."""
    return {
        "short_secret": wire.SECRET.decode(),
        "trusted_proxies": "127.0.0.0/8",
        "geo_database": countries_file(tmp_path / "geo.mmdb", {f"{wire.ADDRESS}/32": wire.COUNTRY}),
        "legacy_fields": "prod=product,ver=version",
    }


async def with_products(connection: Connection) -> Table:
    """Register the products of the fixtures under their numbers."""
    for key, number in wire.PRODUCT_IDS.items():
        await connection.execute(
            "INSERT INTO product (id, key, name) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $2)", number, key
        )
    return Table(connection)


async def test_json_forms_become_their_rows(database: str, wire_settings: dict[str, Any]) -> None:
    """Every JSON fixture, posted by an HTTP client, is stored as its row or refused with its reason and place."""
    problems = []
    headers = {"Content-Type": "application/json", "X-Forwarded-For": wire.ADDRESS}
    async with connected(database) as connection, aiohttp.ClientSession(headers=headers) as session:
        table = await with_products(connection)
        async with running(database, **wire_settings) as app:
            for case in wire.cases("json"):
                begun = datetime.now(UTC)
                url = f"{app.addresses.ingest.url}/v1/ping"
                async with session.post(url, data=case["body"]) as response:
                    told = json.loads(await response.read() or b"{}")
                told.pop("message", None)
                if told != case.get("refused", {}) or (response.status == 204) != ("row" in case):
                    problems.append(f"{case['name']}: {response.status} {told}")
                if said := await difference(case, table, begun):
                    problems.append(f"{case['name']}: {said}")
    assert not problems, "\n".join(problems)


def old_requests(case: wire.Case) -> Iterator[tuple[str, bytes]]:
    """Every way in which an old copy may send a case."""
    query, form = (case.get(part, b"").decode("latin-1") for part in ("query", "form"))
    for version in ("1.0", "1.1"):
        if form:
            path = f"/ping?{query}" if query else "/ping"
            body = form.encode("latin-1")
            yield f"POST {version}", post(body, f"{FORM}|{FORWARDED}", path, version=version)
        if not (query and form):
            yield f"GET {version}", get(f"/ping?{query or form}", FORWARDED, version)


async def test_old_forms_become_their_rows(database: str, wire_settings: dict[str, Any]) -> None:
    """Every old fixture, as GET and as form, in HTTP/1.0 and 1.1, raw latin-1 too, is stored as its row or refused."""
    problems = []
    async with connected(database) as connection:
        table = await with_products(connection)
        async with running(database, **wire_settings) as app:
            for case in wire.cases("legacy"):
                for how, request in old_requests(case):
                    begun = datetime.now(UTC)
                    answer = await ask(app.addresses.ingest, request)
                    expected = (200, b"OK")
                    if refused := case.get("refused"):
                        expected = (400, f"{refused['reason']} ({refused['field']}): ".encode())
                    if (answer.status, answer.body[: len(expected[1])]) != expected:
                        problems.append(f"{case['name']}, {how}: {answer}")
                    if said := await difference(case, table, begun):
                        problems.append(f"{case['name']}, {how}: {said}")
    assert not problems, "\n".join(problems)


# --- hostile strings --------------------------------------------------------------------------------------------------

STORED_AS_THEY_ARE = [
    "'; DROP TABLE ping; --", "' OR 1=1 --", "'||pg_sleep(9)||'", "$1", "$$", "%s%n", "{0}", "${x}",
    "\\N", "\\.", "\\x00", "E'\\n'", '"', "NULL", "COPY ping FROM STDIN", "<script>alert(1)</script>",
    "=HYPERLINK(1)", "../../etc/passwd", "ÿ日本😀", " ", "x" * 64,
]  # fmt: skip
REFUSED = ["\0", "a\tb", "\r\nX: y", "\x7f", "\x85", "\u202e", "\ud800", "x" * 65]
FIELDS = ("version", "build", "os", "os_version", "arch", "locale", "channel")


@pytest.mark.fault(11)
async def test_hostile_strings_are_text_or_refused(database: str) -> None:
    """Whatever stands in a field, of a JSON or an old request, reaches the table as it is or is refused with 400."""
    async with connected(database) as connection, running(database) as app:
        place, table = app.addresses.ingest, Table(connection)
        for text in STORED_AS_THEY_ARE:
            for request in hostile_requests(text):
                assert (await ask(place, request)).status < 300, text
                row = await table.new_row()
                assert row, text
                assert {row[name] for name in FIELDS} == {text}
                assert row["extra"] in (None, {f"{text[:60]}k": text})
        for text in REFUSED:
            for request in hostile_requests(text):
                assert (await ask(place, request)).status == 400, text
                assert await table.new_row() is None, text
        await until(lambda: is_right(app.addresses.console, connection))


def hostile_requests(text: str) -> Iterator[bytes]:
    """Requests with the text in every field."""
    fields = dict.fromkeys(FIELDS, text)
    yield post(ping(**fields, extra={f"{text[:60]}k": text}))
    old = {"product": "es", "install": "install-1", **fields}
    yield get(
        "/ping?" + "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in old.items())
    )


# --- from a ping to a viewer ------------------------------------------------------------------------------------------


async def next_message(viewer: Any, state: LiveState) -> str:
    """Take in a viewer's next message; return its type."""
    async with asyncio.timeout(10):
        message = decode(await viewer.recv())
    state.receive(message)
    return message.type


async def test_a_ping_reaches_viewers_as_the_next_number(database: str) -> None:
    """A viewer has a snapshot, then the ping as the change numbered one more; the API shows the same."""
    async with connected(database) as connection, running(database) as app:
        console = app.addresses.console
        await until(lambda: has_product(app))
        async with connect(f"ws://{console}/live", additional_headers=SIGNED) as viewer:
            state = LiveState()
            assert await next_message(viewer, state) == "snapshot"
            before = state.seq

            answer = await ask(app.addresses.ingest, post(ping(users=3, build="b7")))

            assert answer.status == 204
            assert await next_message(viewer, state) == "change"
            assert (state.seq, state.lost) == (before + 1, False)
            assert state.countries == {("es", "ZZ"): (1, 3, 1, 1, 3, 1)}
            assert state.builds == {("es", "1.0", "b7"): 1}
        await until(lambda: is_right(console, connection))


async def has_product(app: App) -> bool:
    """Whether the console has read its first snapshot."""
    return bool((await live(app.addresses.console)).get("products"))


@pytest.mark.fault(17)
async def test_a_ping_is_one_row_however_often_it_is_sent(database: str) -> None:
    """Row 17, small: one ping sent again and again to two replicas, across folds, is 2xx each time and counted once."""
    id_ = str(UUID(bytes=new_id()))
    async with connected(database) as connection, running(database) as one, running(database) as two:
        places = [one.addresses.ingest, two.addresses.ingest]
        for _ in range(3):
            answers = await asyncio.gather(*(ask(place, post(ping(id=id_))) for place in places * 5))
            assert {answer.status for answer in answers} == {204}
            await until(lambda: all_folded(connection))
        assert [str(row["id"]) for row in await connection.fetch("SELECT id FROM ping")] == [id_]
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 1
        tallies = one.tally, two.tally
        assert sum(tally.stored for tally in tallies) == 1
        assert sum(tally.duplicates for tally in tallies) == 29


async def test_a_batch_is_stored_line_by_line(database: str) -> None:
    """A gzip batch is stored but for its bad line, which is named; sent again it is no second row."""
    lines = [ping(id=str(UUID(bytes=new_id())), install=f"install-{i}") for i in range(4)]
    lines[2:2] = [b"", b'{"product":"es"}']
    request = post(gzip.compress(b"\n".join(lines)), "Content-Encoding: gzip", "/v1/pings")
    async with connected(database) as connection, running(database) as app:
        for _ in range(2):
            answer = await ask(app.addresses.ingest, request)
            told = json.loads(answer.body)
            assert (answer.status, told["stored"]) == (200, 4)
            assert [(line["line"], line["reason"]) for line in told["refused"]] == [(4, "missing_field")]
        assert await connection.fetchval("SELECT count(*) FROM ping") == 4


async def test_an_answer_leaves_after_the_commit(database: str) -> None:
    """While a commit can't end nobody is answered; once they are, another session sees the row."""
    async with (
        connected(database) as connection,
        running(database) as app,
        raw(app.addresses.ingest) as client,
    ):
        async with locking(database, "ping"):
            client.send(post(ping()))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.read(1), 0.3)
            assert await connection.fetchval("SELECT count(*) FROM ping") == 0
        assert (await client.answer()).status == 204
        assert await connection.fetchval("SELECT count(*) FROM ping") == 1
