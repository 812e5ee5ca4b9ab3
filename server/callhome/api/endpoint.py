"""An endpoint: declared by the shapes of what it is asked and what it answers, from which all else follows.

Parameters are checked and bodies decoded before the handler sees them, answers have an ``ETag``, lists are there as
CSV, too, and `openapi` describes it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec
from aiohttp import hdrs, web

from .. import csvcells
from ..access.model import Access, Principal, Role
from ..console.answers import refusal
from ..console.routes import PRINCIPAL, Route, get, post
from ..errors import CallhomeError
from ..store.connection import StoreUnavailable

# What a page of a list holds where nothing else is asked for, and at most; the whole of one as CSV.
PAGE: Final = 100
PAGE_MAX: Final = 1_000
CSV_MAX: Final = 100_000
# A line that has failed rests for a second; and a connection takes its time.
_RETRY_AFTER_S: Final = 2
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
# How msgspec says where something is wrong.
_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_SHOWN_CHARACTERS: Final = 80

Q = TypeVar("Q")
B = TypeVar("B")


class ApiError(CallhomeError):
    """What was asked can't be answered: ``reason`` is for programs, ``field`` the one at fault, if one is."""

    def __init__(self, status: int, reason: str, message: str, field: str | None = None) -> None:
        self.status, self.reason, self.message, self.field = status, reason, message, field
        super().__init__(message)


def invalid(field: str, expected: str) -> ApiError:
    """Return the error of a parameter that is not as expected."""
    return ApiError(400, "invalid_parameter", f"{field}: expected {expected}", field)


class NoParameters(msgspec.Struct, forbid_unknown_fields=True):
    """Of what takes none."""


class Paged(Protocol):
    """Parameters with which part of a list is asked for; as CSV all of it, unless ``limit`` says otherwise."""

    limit: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class Asked(Generic[Q, B]):
    """A request that was understood: who asks, names in the path, parameters, body; ``most`` rows may be answered."""

    principal: Principal
    path: Mapping[str, str]
    query: Q
    body: B
    most: int = PAGE_MAX

    @property
    def is_table(self) -> bool:
        """Whether the answer becomes a table, as CSV."""
        return self.most == CSV_MAX

    def page(self) -> tuple[int, int]:
        """Return limit and offset, of a query that is `Paged`. Raises `ApiError`."""
        paged: Paged = self.query  # type: ignore[assignment]  # as its endpoint says
        usual = CSV_MAX if self.is_table else PAGE
        limit = usual if paged.limit is None else paged.limit
        if not 1 <= limit <= self.most:
            raise invalid("limit", f"1 to {self.most}")
        if not 0 <= paged.offset <= 10_000_000:
            raise invalid("offset", "0 to 10000000")
        return limit, paged.offset

    def require(self, role: Role, what: str) -> None:
        """Raise `ApiError` unless who asks has the role, for ``what``."""
        if not self.principal.role.covers(role):
            raise ApiError(403, "forbidden", f"{what} is for the role {role.value}")


Handler = Callable[[Asked[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is answered at a path (below ``/api/v1``), for whom; its shapes are msgspec's.

    ``rows`` names the field of the answer that is the table, where it is to be had as CSV. A ``body`` makes it a POST.
    """

    path: str
    access: Access
    summary: str
    handler: Handler
    answer: type[msgspec.Struct]
    query: type[msgspec.Struct] = NoParameters
    body: type[msgspec.Struct] | None = None
    rows: str | None = None

    @property
    def names(self) -> list[str]:
        """The names in its path."""
        return _PARAMETER.findall(self.path)

    def routes(self) -> list[Route]:
        """Its routes."""
        path = f"/api/v1{self.path}"
        if self.body is not None:
            return [post(path, self._post, self.access)]
        tables = [get(f"{path}.csv", self._csv, self.access)] if self.rows else []
        # Before it, or a name at the end of the path would take the ".csv".
        return [*tables, get(path, self._get, self.access)]

    async def _get(self, request: web.Request) -> web.Response:
        answer = await self._answered(request, PAGE_MAX)
        if isinstance(answer, web.Response):
            return answer
        return _tagged(request, msgspec.json.encode(answer), "application/json")

    async def _csv(self, request: web.Request) -> web.Response:
        answer = await self._answered(request, CSV_MAX)
        if isinstance(answer, web.Response):
            return answer
        assert self.rows is not None, "a route of those that have a table"
        body = "".join(table(getattr(answer, self.rows))).encode()
        response = _tagged(request, body, "text/csv")
        response.headers["Content-Disposition"] = f'attachment; filename="{self._file_name(request)}.csv"'
        return response

    async def _post(self, request: web.Request) -> web.Response:
        answer = await self._answered(request, PAGE_MAX)
        if isinstance(answer, web.Response):
            return answer
        body = msgspec.json.encode(answer)
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _answered(self, request: web.Request, most: int) -> msgspec.Struct | web.Response:
        try:
            body = None if self.body is None else _body(await request.read(), self.body)
            asked = Asked(
                request[PRINCIPAL], dict(request.match_info), _query(request, self.query), body, most
            )
            answer: msgspec.Struct = await self.handler(asked)
        except ApiError as error:
            return refusal(error.status, error.reason, error.message, field=error.field)
        except StoreUnavailable as error:
            return refusal(503, "not_now", f"{error}: try again", retry_after_s=_RETRY_AFTER_S)
        return answer

    def _file_name(self, request: web.Request) -> str:
        parts = [part for part in self.path.split("/") if part]
        named = [request.match_info[part[1:-1]] if part.startswith("{") else part for part in parts]
        return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(["callhome", *named]))


def table(rows: Iterable[msgspec.Struct]) -> Iterable[str]:
    """Yield the lines of a table as CSV: the names of the fields, then a line for each row; no cell is a formula."""
    header: list[str] | None = None
    for row in rows:
        cells = msgspec.to_builtins(row, builtin_types=(bytes,))
        if header is None:
            header = list(_fields(type(row)))
            yield csvcells.row(header)
        yield csvcells.row(_cell(cells.get(name)) for name in header)


def _fields(kind: type[msgspec.Struct]) -> Iterable[str]:
    return (field.encode_name for field in msgspec.structs.fields(kind))


def _cell(value: Any) -> csvcells.Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value  # type: ignore[no-any-return]  # of builtins only these are left


def _query(request: web.Request, kind: type[Q]) -> Q:
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise invalid(name[:_SHOWN_CHARACTERS], "one value")
        if "\0" in value or not value.isprintable():
            raise invalid(name[:_SHOWN_CHARACTERS], "printable characters")
        given[name] = value
    try:
        return msgspec.convert(given, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _understood(error) from error


def _body(body: bytes, kind: type[B]) -> B:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _understood(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "invalid_json", f"the body is no JSON: {error}") from error


def _understood(error: msgspec.ValidationError) -> ApiError:
    """The error in terms of a parameter or field, without what was given."""
    if unknown := _UNKNOWN.match(str(error)):
        field = unknown["field"][:_SHOWN_CHARACTERS]
        return ApiError(400, "invalid_parameter", f"{field}: there is no such parameter here", field)
    matched = _AT.fullmatch(str(error))
    field = matched["field"] if matched else None
    what = matched["what"] if matched else str(error)
    return ApiError(400, "invalid_parameter", f"{field}: {what}" if field else what, field)


def _tagged(request: web.Request, body: bytes, kind: str) -> web.Response:
    """The answer, or 304 where the client has it."""
    etag = blake2b(body, digest_size=12).hexdigest()
    headers = {"Cache-Control": "no-cache", "Vary": "Authorization, Cookie"}
    if any(tag.value in (etag, "*") for tag in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
        if len(body) > 1_000 and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response.enable_compression(web.ContentCoding.gzip)
    response.etag = etag
    return response
