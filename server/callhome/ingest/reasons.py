"""Why a ping is refused: one enum, the HTTP status of each reason, and the error that carries it.

The enum is complete: ingest counts and answers nothing that is not in it, and a test compares it
with the table in ``docs/protocol.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import orjson

from ..errors import CallhomeError


class Reason(StrEnum):
    """A refusal, as clients and metrics see it. The order is that of a request's way through ingest."""

    # HTTP
    MALFORMED_HTTP = "malformed_http"
    URL_TOO_LONG = "url_too_long"
    HEADER_TOO_LARGE = "header_too_large"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    EXPECTATION_FAILED = "expectation_failed"
    LENGTH_REQUIRED = "length_required"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    BODY_TOO_LARGE = "body_too_large"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    # Body
    BAD_ENCODING = "bad_encoding"
    TOO_MANY_LINES = "too_many_lines"
    TOO_MANY_FIELDS = "too_many_fields"
    BAD_UTF8 = "bad_utf8"
    MALFORMED_JSON = "malformed_json"
    TOO_DEEP = "too_deep"
    # Fields
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_VALUE = "unknown_value"
    OUT_OF_RANGE = "out_of_range"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    CONTROL_CHARACTER = "control_character"
    BAD_ID = "bad_id"
    UNKNOWN_PRODUCT = "unknown_product"
    # Admission
    TOO_MANY_PINGS = "too_many_pings"
    # Store
    REFUSED_BY_STORE = "refused_by_store"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    STOPPING = "stopping"
    INTERNAL_ERROR = "internal_error"


# Statuses other than 400 (RFC 9110; 429, 431: RFC 6585). 408, 429 and 5xx invite a retry, the others do not.
_OTHER: Final = {
    Reason.URL_TOO_LONG: 414,
    Reason.HEADER_TOO_LARGE: 431,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.EXPECTATION_FAILED: 417,
    Reason.LENGTH_REQUIRED: 411,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.UNSUPPORTED_ENCODING: 415,
    Reason.BODY_TOO_LARGE: 413,
    Reason.TIMEOUT: 408,
    Reason.CLIENT_GONE: 408,
    Reason.TOO_MANY_LINES: 413,
    Reason.TOO_MANY_PINGS: 429,
    Reason.REFUSED_BY_STORE: 422,
    Reason.OVERLOADED: 503,
    Reason.UNAVAILABLE: 503,
    Reason.STOPPING: 503,
    Reason.INTERNAL_ERROR: 500,
}

STATUS: Final[Mapping[Reason, int]] = MappingProxyType({reason: _OTHER.get(reason, 400) for reason in Reason})


class Refused(CallhomeError):
    """A request, or one ping of it, that is not taken; the client is told all of it.

    ``field`` is the wire name of the field at fault, ``offset`` the byte of the body (from 0) at which, give
    or take one, it stopped making sense; either is None where it does not apply. ``message`` says what was
    expected and never repeats what the client sent. ``retry_after_s``: sending it again sooner is of no use.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        field: str | None = None,
        offset: int | None = None,
        *,
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.offset = offset
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """HTTP status of the reason."""
        return STATUS[self.reason]

    @property
    def is_final(self) -> bool:
        """Whether the same will be refused again, whenever it is sent."""
        return self.status < 500 and self.status not in (408, 429)

    def to_dict(self) -> dict[str, str | int]:
        """Return ``reason``, ``field``, ``offset`` and ``message``, without those that do not apply."""
        told = (
            ("reason", self.reason.value),
            ("field", self.field),
            ("offset", self.offset),
            ("message", self.message),
        )
        return {name: value for name, value in told if value is not None}

    def to_json(self, **place: int) -> bytes:
        """Return the body of the answer to a JSON request; ``place`` comes first, such as the line of a batch."""
        return orjson.dumps(place | self.to_dict())

    def to_text(self) -> bytes:
        """Return the body of the answer to an old request: one line of plain text."""
        place = f" ({self.field})" if self.field else ""
        return f"{self.reason}{place}: {self.message}\n".encode()
