"""The OpenAPI description of the endpoints, made from their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .. import __version__
from ..access.model import Access
from .endpoint import Endpoint

_TEMPLATE: Final = "#/components/schemas/{name}"
_ERRORS: Final = {
    "400": "A parameter or the body is not as expected.",
    "401": "Nobody is signed in.",
    "403": "It is for another role.",
    "404": "There is no such thing.",
    "503": "The database can't be asked now; Retry-After says when to try again.",
}
_ERROR: Final = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "For programs."},
        "message": {"type": "string", "description": "For people."},
        "field": {"type": "string", "description": "The parameter or field at fault, if one is."},
    },
    "required": ["reason", "message"],
}


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document."""
    shapes = [each.answer for each in endpoints] + [each.body for each in endpoints if each.body is not None]
    _, schemas = msgspec.json.schema_components(shapes, ref_template=_TEMPLATE)
    paths: dict[str, Any] = {}
    for each in endpoints:
        paths.setdefault(f"/api/v1{each.path}", {})["get" if each.body is None else "post"] = _operation(each)
        if each.rows:
            paths[f"/api/v1{each.path}.csv"] = {"get": _operation(each, csv=True)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "callhome",
            "version": __version__,
            "description": "What the console's pages show, for programs. Numbers are defined in docs/definitions.md.",
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(endpoint: Endpoint, *, csv: bool = False) -> dict[str, Any]:
    shape = {"type": "string"} if csv else {"$ref": _TEMPLATE.format(name=endpoint.answer.__name__)}
    kind = "text/csv" if csv else "application/json"
    found: dict[str, Any] = {
        "operationId": _identifier(endpoint) + ("_csv" if csv else ""),
        "summary": endpoint.summary + (" As CSV." if csv else ""),
        "description": f"For the role {endpoint.access.role.value}.",
        "parameters": [*_in_path(endpoint), *_in_query(endpoint)],
        "responses": {
            "200": {"description": "What was asked for.", "content": {kind: {"schema": shape}}},
            **{status: _error(text) for status, text in _ERRORS.items()},
        },
    }
    if endpoint.body is None:
        found["responses"]["304"] = {"description": "The client has it (If-None-Match)."}
    else:
        name = _TEMPLATE.format(name=endpoint.body.__name__)
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": name}}},
        }
    if endpoint.access is Access.OPEN:
        found["security"] = []
    return found


def _identifier(endpoint: Endpoint) -> str:
    words = endpoint.path.replace("{", "").replace("}", "").strip("/").replace("/", "_").replace(".", "_")
    return ("get_" if endpoint.body is None else "post_") + words


def _error(text: str) -> dict[str, Any]:
    shape = {"$ref": _TEMPLATE.format(name="Error")}
    return {"description": text, "content": {"application/json": {"schema": shape}}}


def _in_path(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in endpoint.names
    ]


def _in_query(endpoint: Endpoint) -> list[dict[str, Any]]:
    _, schemas = msgspec.json.schema_components([endpoint.query], ref_template=_TEMPLATE)
    schema = schemas[endpoint.query.__name__]
    found = []
    for name, shape in schema.get("properties", {}).items():
        if "$ref" in shape:
            shape = schemas[shape["$ref"].rpartition("/")[2]]
        shape = (
            {**shape, "anyOf": [_inline(each, schemas) for each in shape["anyOf"]]}
            if "anyOf" in shape
            else shape
        )
        # A parameter is there or not; null can't be written in a query.
        kinds = [each for each in shape.get("anyOf", [shape]) if each != {"type": "null"}]
        plain = {**kinds[0], **{key: shape[key] for key in ("description",) if key in shape}}
        if shape.get("default") is not None:
            plain["default"] = shape["default"]
        found.append({"name": name, "in": "query", "required": False, "schema": plain})
    return found


def _inline(shape: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    return schemas[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
