"""How an endpoint answers, and that its description is true."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from jsonschema import Draft202012Validator

from apis import ROLES, asking, row, store
from callhome.access.model import Access, Role
from callhome.api import endpoint, openapi
from callhome.api.endpoint import Asked, Endpoint, NoParameters
from callhome.api.everything import endpoints
from callhome.store.line import Lines
from pages import ROOT

EVERY = endpoints(Lines("postgresql://127.0.0.1:1/none", "tests", 1))


async def test_who_asks_is_told(database: str) -> None:
    """/me tells name, role and kind."""
    async with asking(database) as asker:
        assert await asker.ok("/me", role=Role.ANALYST) == {
            "name": "tests",
            "role": "analyst",
            "kind": "token",
        }
        assert (await asker.get("/me", role=None))[0] == 401


async def test_an_answer_that_the_client_has_is_not_sent_again(database: str) -> None:
    """With its ETag a second request is a 304, of JSON and of CSV, until something changes."""
    await store(database, [row(1)], "one")
    async with asking(database) as asker:
        for path in ("/statistics/one/breakdown", "/statistics/one/breakdown.csv"):
            _, _, headers = await asker.get(path, by="version")
            has = {"If-None-Match": headers["ETag"]}
            status, said, _ = await asker.get(path, by="version", headers=has)
            assert (status, said) == (304, "")
            assert (await asker.get(path, by="version", role=Role.ADMIN, window="day", headers=has))[0] in (
                200,
                304,
            )
        connection = await asyncpg.connect(database)
        await connection.execute("DELETE FROM usage_series")
        await connection.close()
        assert (await asker.get(path, by="version", headers=has))[0] == 200


async def test_a_database_that_is_away_is_told(unused_tcp_port: int) -> None:
    """Without its database the API says so, and when to try again."""
    async with asking(f"postgresql://127.0.0.1:{unused_tcp_port}/none") as asker:
        status, said, headers = await asker.get("/statistics")
    assert (status, said["reason"]) == (503, "not_now")
    assert int(headers["Retry-After"]) > 0


@pytest.mark.parametrize("twice", ["from=2026-01-01&from=2026-01-02", "limit=1&limit=2"])
async def test_a_parameter_that_comes_twice_is_refused(database: str, twice: str) -> None:
    """Which of the two was meant can't be known."""
    async with asking(database) as asker:
        headers = {"Authorization": f"Bearer {ROLES[Role.VIEWER]}"}
        async with asker.session.get(f"{asker.base}/api/v1/products?{twice}", headers=headers) as response:
            assert response.status == 400
            assert (await response.json())["field"] in ("from", "limit")


@pytest.mark.parametrize(
    ("limit", "offset", "field"),
    [(0, 0, "limit"), (1001, 0, "limit"), (1, -1, "offset"), (1, 10**8, "offset")],
)
async def test_pages_have_bounds(database: str, limit: int, offset: int, field: str) -> None:
    """No page is longer than 1,000 rows, none begins before the list."""
    await store(database, [row(1)], "one")
    async with asking(database) as asker:
        refused = await asker.refused("/statistics/one/updates", limit=limit, offset=offset)
    assert refused == (400, "invalid_parameter", field)


class Cells(msgspec.Struct):
    """A row of every kind of cell."""

    text: str
    number: float | None
    several: list[int]
    is_so: bool


def test_a_table_has_a_line_for_each_row() -> None:
    """Names of the fields first; lists with blanks; no cell is a formula."""
    rows = [Cells("=1+1", None, [1, 2], True), Cells("a,b", 0.5, [], False)]
    assert "".join(endpoint.table(rows)) == (
        'text,number,several,is_so\r\n\'=1+1,,1 2,true\r\n"a,b",0.5,,false\r\n'
    )


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    name: str
    count: int = 1


@pytest.mark.parametrize(
    ("sent", "reason", "field"),
    [
        (b"{", "invalid_json", None),
        (b"\xff", "invalid_json", None),
        (b"{}", "invalid_parameter", None),
        (b'{"name": 1}', "invalid_parameter", "name"),
        (b'{"name": "x", "other": 1}', "invalid_parameter", "other"),
        (b'{"name": "x", "count": 1.5}', "invalid_parameter", "count"),
    ],
)
def test_what_is_wrong_with_a_body_is_told(sent: bytes, reason: str, field: str | None) -> None:
    """A body that is no JSON, or not as its endpoint wants it, is told with the field at fault."""
    with pytest.raises(endpoint.ApiError) as caught:
        endpoint._body(sent, Body)
    assert (caught.value.status, caught.value.reason, caught.value.field) == (400, reason, field)


# --- the description --------------------------------------------------------------------------------------------------


async def nothing(_asked: Asked[Any, Any]) -> Body:
    return Body("x")


def test_the_description_has_every_endpoint() -> None:
    """A path for each, with its parameters, its body and the shape of its answer; all references lead somewhere."""
    described = openapi.describe(
        [*EVERY, Endpoint("/things/{id}", Access.ADMIN, "Change.", nothing, Body, NoParameters, Body)]
    )
    text = msgspec.json.encode(described).decode()
    for name in re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text):
        assert name in described["components"]["schemas"], name
    for each in EVERY:
        operation = described["paths"][f"/api/v1{each.path}"]["get"]
        named = {parameter["name"] for parameter in operation["parameters"]}
        fields = {field.encode_name for field in msgspec.structs.fields(each.query)}
        assert named == fields | set(each.names)
    assert "requestBody" in described["paths"]["/api/v1/things/{id}"]["post"]
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_document_has_every_endpoint() -> None:
    """The table in docs/api.md has each endpoint, and no other."""
    text = (ROOT / "docs" / "api.md").read_text()
    told = re.findall(r"^\| `(GET|POST) /api/v1([^`]*)` \| (\w+) \|", text, re.MULTILINE)
    there = [("GET" if each.body is None else "POST", each.path, each.access.role.value) for each in EVERY]
    assert sorted(told) == sorted([*there, ("GET", "/openapi.json", "viewer"), ("GET", "/live", "viewer")])


async def test_answers_are_as_described(database: str) -> None:
    """Each answer has the shape that the description says."""
    await store(database, [row(ago, install=ago % 3, version=f"{ago % 2}.0") for ago in range(1, 40)], "one")
    async with asking(database) as asker:
        described = await asker.ok("/openapi.json")
        for path, operations in described["paths"].items():
            if "get" not in operations or path.endswith(".csv"):
                continue
            query = {"by": "version"} if path.endswith("breakdown") else {}
            said = await asker.ok(path.removeprefix("/api/v1").replace("{product}", "one"), **query)
            schema = operations["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(said, {**schema, "components": described["components"]})
