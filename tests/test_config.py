"""Each limit of the listener does what it says."""

from __future__ import annotations

import gzip
from ipaddress import ip_network
from typing import Any

import pytest

from listener import LIVEZ, PING, get, listening, post

# The limit, a request that it just lets pass, one that it doesn't, and what that is told.
LIMITS: list[tuple[dict[str, Any], bytes, bytes, int]] = [
    ({"header_bytes": 100}, get("/livez", "A: " + "b" * 84), get("/livez", "A: " + "b" * 95), 431),
    ({"url_bytes": 10}, get("/livez?aaa"), get("/livez?aaaa"), 414),
    ({"body_bytes": len(PING)}, post(), post(PING + b" "), 413),
    ({"batch_wire_bytes": len(PING)}, post(PING, "", "/v1/pings"), post(PING + b" ", "", "/v1/pings"), 413),
    (
        {"batch_unpacked_bytes": len(PING)},
        post(gzip.compress(PING), "Content-Encoding: gzip", "/v1/pings"),
        post(gzip.compress(PING + b" "), "Content-Encoding: gzip", "/v1/pings"),
        413,
    ),
    ({"batch_lines": 2}, post(b"\n\n", "", "/v1/pings"), post(b"\n\n\n", "", "/v1/pings"), 413),
    ({"batch_memory_bytes": 100}, post(PING, "", "/v1/pings"), post(PING * 2, "", "/v1/pings"), 503),
    ({"header_s": 0.1}, LIVEZ, LIVEZ[:-1], 408),
    ({"body_s": 0.1}, post(), post()[:-1], 408),
    ({"batch_body_s": 0.1}, post(PING, "", "/v1/pings"), post(PING, "", "/v1/pings")[:-1], 408),
]


@pytest.mark.parametrize(("limit", "good", "bad", "status"), LIMITS, ids=[next(iter(c[0])) for c in LIMITS])
async def test_limit_is_where_it_is_set(limit: dict[str, Any], good: bytes, bad: bytes, status: int) -> None:
    """What is within a limit is taken, what is beyond it is refused with its status."""
    async with listening(**limit) as listener:
        assert (await listener.ask(good)).status in (200, 204)
        assert (await listener.ask(bad)).status == status


@pytest.mark.fault(14)
async def test_trusted_proxies_decide_who_is_believed() -> None:
    """Row 14: X-Forwarded-For counts from the networks named, and from nobody else."""
    ping = post(headers="X-Forwarded-For: 198.51.100.1")
    async with listening() as listener:
        await listener.ask(ping)
        assert listener.atlas.seen == ["127.0.0.1"]
    async with listening(trusted_proxies=(ip_network("127.0.0.0/8"),)) as listener:
        await listener.ask(ping)
        assert listener.atlas.seen == ["198.51.100.1"]
