"""Which requests are taken: a table of paths, and what the head of a request must say for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .config import IngestConfig
from .exchange import BatchExchange, Exchange, LegacyExchange, LivezExchange, PingExchange, ReadyzExchange
from .http import RequestReader
from .reasons import Reason, Refused

_JSON: Final = frozenset({b"application/json"})
# NDJSON has no registered type; these are in use.
_LINES: Final = frozenset(
    {b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"}
)
# Old copies are not asked to name their type right, only not to send what can't be read as a form.
_FORM: Final = frozenset({b"application/x-www-form-urlencoded", b"text/plain", b"application/octet-stream"})
_ANY: Final[frozenset[bytes]] = frozenset()
_PLAIN: Final = frozenset({b"", b"identity"})


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with a path, and what a request for it may bring."""

    exchange: type[Exchange]
    methods: tuple[bytes, ...]
    media_types: frozenset[bytes]
    encodings: frozenset[bytes]
    body_bytes: int
    body_s: float

    @property
    def allow(self) -> bytes:
        """The header line that a 405 must have (RFC 9110, section 15.5.6)."""
        return b"Allow: %b\r\n" % b", ".join(self.methods)


class Routes:
    """Finds the route of a URL, and judges the head of a request."""

    __slots__ = ("_by_path", "_config", "_nowhere")

    def __init__(self, config: IngestConfig) -> None:
        small = (config.body_bytes, config.body_s)
        legacy = Route(LegacyExchange, (b"GET", b"POST"), _FORM, _PLAIN, *small)
        self._config = config
        self._by_path = {
            **{path.encode(): legacy for path in ("/ping", *config.legacy_paths)},
            b"/v1/ping": Route(PingExchange, (b"POST",), _JSON, _PLAIN, *small),
            b"/v1/pings": Route(
                BatchExchange,
                (b"POST",),
                _LINES,
                _PLAIN | {b"gzip"},
                config.batch_wire_bytes,
                config.batch_body_s,
            ),
            b"/livez": Route(LivezExchange, (b"GET",), _ANY, _PLAIN, *small),
            b"/readyz": Route(ReadyzExchange, (b"GET",), _ANY, _PLAIN, *small),
        }
        self._nowhere = Route(Exchange, (b"GET", b"POST"), _ANY, _PLAIN, *small)

    def find(self, url: bytes) -> Route:
        """Return the route of a URL, in absolute form too (RFC 9112, section 3.2.2); queries don't matter."""
        route = self._by_path.get(url)
        if route is None:
            if url.startswith((b"http://", b"https://")):
                url = b"/" + url.split(b"/", 3)[3] if url.count(b"/") > 2 else b"/"
            path = url.partition(b"#")[0].partition(b"?")[0]
            route = self._by_path.get(path, self._nowhere)
        return route

    def judge(self, route: Route, request: RequestReader, exchange: Exchange) -> None:
        """Look at a complete head before its body is read.

        What can be told after a body that is small anyway is left in ``exchange.refusal``, so that the
        connection lives on; what can't is raised as :class:`Refused`.
        """
        exchange.is_head = request.method == b"HEAD"
        if route is self._nowhere and request.method != b"CONNECT":
            exchange.refusal = Refused(Reason.NOT_FOUND, "there is nothing here; pings go to /v1/ping")
        elif request.method not in route.methods:
            exchange.headers = route.allow
            exchange.refusal = Refused(Reason.METHOD_NOT_ALLOWED, _expected(route.methods))
            if request.method == b"CONNECT":  # nothing behind it is HTTP
                raise exchange.refusal
        elif request.content_encoding not in route.encodings:
            exchange.refusal = Refused(Reason.UNSUPPORTED_ENCODING, _expected(route.encodings))
        elif (
            request.content_type
            and route.media_types
            and request.content_type not in route.media_types
            and request.content_type.partition(b";")[0].strip().lower() not in route.media_types
            and request.method == b"POST"
        ):
            exchange.refusal = Refused(Reason.UNSUPPORTED_MEDIA_TYPE, _expected(route.media_types))
        # A body that nobody will look at may be as long as that of a single ping, so that it need not be cut.
        limit_bytes = self._config.body_bytes if exchange.refusal else route.body_bytes
        if request.length > limit_bytes:
            raise Refused(Reason.BODY_TOO_LARGE, f"expected a body of at most {limit_bytes} bytes")
        if request.expect:
            if request.expect != b"100-continue":
                raise Refused(Reason.EXPECTATION_FAILED, "expected no Expect but 100-continue")
            if exchange.refusal:
                raise exchange.refusal


def _expected(values: Iterable[bytes]) -> str:
    return "expected " + " or ".join(sorted(value.decode() for value in values if value))
