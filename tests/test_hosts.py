"""By which names the console may be called."""

from __future__ import annotations

import aiohttp
import pytest

from callhome.console.hosts import is_known
from consoles import console

KNOWN = frozenset({"localhost", "map.example"})


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("127.0.0.1:8081", True),
        ("10.1.2.3", True),
        ("[::1]:8081", True),
        ("[fe80::1]", True),
        ("localhost:8081", True),
        ("LocalHost", True),
        ("map.example:", True),
        ("Map.Example:443", True),
        ("evil.example", False),
        ("evil.example:8081", False),
        ("map.example.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[localhost]", False),
        ("::1", False),
        ("127.1", False),
        ("map.example@evil.example", False),
        ("127.0.0.1 evil.example", False),
        (":8081", False),
        ("", False),
    ],
)
def test_only_addresses_and_own_names_are_known(said: str, known: bool) -> None:
    """An address can't be rebound, a name must be one of ours."""
    assert is_known(said, KNOWN) is known


@pytest.mark.parametrize("path", ["/", "/api/v1/live", "/live", "/metrics", "/nowhere"])
async def test_a_foreign_name_is_refused_on_every_route(path: str) -> None:
    """A page that had its name resolve to the console reads nothing: 421, and which setting would allow it."""
    async with (
        console() as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
        session.get(path, headers={"Host": f"evil.example:{running.port}"}) as response,
    ):
        said = await response.json()
        assert (response.status, said["reason"]) == (421, "misdirected_request")
        assert "'evil.example:" in said["message"]
        assert "CALLHOME_CONSOLE_HOSTS" in said["message"]


async def test_own_names_and_probes_are_let_in() -> None:
    """The names of the setting, the host that it listens on, and /livez by any name."""
    async with (
        console(hosts=("Map.example",), host="localhost") as running,
        aiohttp.ClientSession(f"http://localhost:{running.port}") as session,
    ):
        for path, host in [("/metrics", "map.example"), ("/metrics", "localhost:1"), ("/livez", "probe")]:
            async with session.get(path, headers={"Host": host}) as response:
                assert response.status == 200, host
