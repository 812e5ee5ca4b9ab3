"""The client's address behind trusted proxies."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.ingest.ceiling import site_of
from callhome.ingest.proxies import MAX_HOPS, Origin, TrustedProxies, pack, unpack

TRUSTED = TrustedProxies([ip_network(n) for n in ("10.0.0.0/8", "192.168.7.7/32", "fd00::/8")])

CASES = [
    ("no header", "10.0.0.1", "", "10.0.0.1"),
    ("row 14: the peer is no proxy of ours", "203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ("one hop", "10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("forged hops to the left are not looked at", "10.0.0.1", "1.1.1.1, x, 198.51.100.1", "198.51.100.1"),
    ("trusted hops are skipped", "10.0.0.1", "198.51.100.1, 10.9.9.9,192.168.7.7", "198.51.100.1"),
    ("a neighbour of a single trusted address", "10.0.0.1", "1.1.1.1, 192.168.7.8", "192.168.7.8"),
    ("row 14: garbage", "10.0.0.1", "unknown", "10.0.0.1"),
    ("garbage behind a proxy: the last valid one", "10.0.0.1", "198.51.100.1, _x, 10.9.9.9", "10.9.9.9"),
    ("an empty hop is garbage", "10.0.0.1", "198.51.100.1,", "10.0.0.1"),
    ("all are trusted: the first of them", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("row 14: ten hops, all trusted", "10.0.0.1", "198.51.100.1" + ", 10.0.0.2" * 10, "10.0.0.2"),
    ("nine trusted hops", "10.0.0.1", "198.51.100.1" + ", 10.0.0.2" * 9, "198.51.100.1"),
    ("a port", "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
    ("IPv6", "fd00::1", "2001:DB8:0::1", "2001:db8::1"),
    ("IPv6 in brackets", "fd00::1", "[2001:db8::1]", "2001:db8::1"),
    ("IPv6 with a port", "fd00::1", '"[2001:db8::1]:4711"', "2001:db8::1"),
    ("IPv4 in IPv6, the peer", "::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("IPv4 in IPv6, without a header", "::ffff:203.0.113.9", "", "203.0.113.9"),
    ("IPv4 in IPv6, a hop", "10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ("a zone is dropped", "fe80::1%eth0", "", "fe80::1"),
    ("numbers that C would read otherwise", "10.0.0.1", "198.051.100.1", "10.0.0.1"),
    ("NUL and bytes above ASCII", "10.0.0.1", "1.1.1.1\0, \xff", "10.0.0.1"),
    ("no address at all", "", "198.51.100.1", ""),
]


def client_address(peer: str, forwarded: bytes) -> str:
    """Return the address that a request of this peer comes from."""
    return Origin(peer, TRUSTED, lambda _address: "DE").of(forwarded)[0]


@pytest.mark.parametrize(("peer", "forwarded", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_client_address(peer: str, forwarded: str, expected: str) -> None:
    """The first address from the right that is no trusted proxy's is the client's."""
    assert client_address(peer, forwarded.encode("latin-1")) == expected


@given(st.binary(max_size=100))
def test_any_header_gives_an_address(forwarded: bytes) -> None:
    """Whatever the header says, the outcome is an address."""
    ip_address(client_address("10.0.0.1", forwarded))


@given(st.ip_addresses())
def test_pack_and_unpack_agree_with_ipaddress(address: object) -> None:
    """Text to bytes and back is the usual text; only IPv4 within IPv6 becomes IPv4."""
    parsed = ip_address(str(address))
    mapped = getattr(parsed, "ipv4_mapped", None)
    packed = pack(str(parsed))
    assert packed is not None
    assert packed == (mapped or parsed).packed
    assert ip_address(unpack(packed)) == (mapped or parsed)


def test_long_header_is_walked_no_further_than_the_bound() -> None:
    """A header of thousands of hops costs no more than ten."""
    hops = b"198.51.100.1," + b"10.0.0.2," * 5_000 + b"10.0.0.3" + b",10.0.0.2" * (MAX_HOPS - 1)
    assert client_address("10.0.0.1", hops) == "10.0.0.3"


def test_country_of_a_direct_peer_is_looked_up_once() -> None:
    """One lookup serves a direct connection; behind a proxy each request has its own."""
    seen: list[str] = []

    def country_of(address: str) -> str:
        seen.append(address)
        return "DE"

    direct = Origin("::ffff:203.0.113.9", TRUSTED, country_of)
    assert [direct.of(b"")[:2], direct.of(b"198.51.100.1")[:2]] == [("203.0.113.9", "DE")] * 2
    proxied = Origin("10.0.0.1", TRUSTED, country_of)
    assert [proxied.of(b"198.51.100.1")[0], proxied.of(b"198.51.100.2")[0], proxied.of(b"")[0]] == [
        "198.51.100.1",
        "198.51.100.2",
        "10.0.0.1",
    ]
    assert seen == ["203.0.113.9", "198.51.100.1", "198.51.100.2", "10.0.0.1"]


def test_site_is_the_network_of_the_client() -> None:
    """What stands for a network is the same for all of a /24 or a /56, whoever tells the address, and for no others."""
    proxied = Origin("10.0.0.1", TRUSTED, lambda _address: "DE")

    def site(address: str) -> int:
        direct = Origin(address, TRUSTED, lambda _address: "DE").of(b"")[2]
        assert direct == proxied.of(address.encode())[2]
        return direct

    assert (
        site("203.0.113.9")
        == site("203.0.113.200")
        == site("::ffff:203.0.113.1")
        == site_of(bytes([203, 0, 113]) + b"x")
    )
    assert site("2001:db8:1:2ff::9") == site("2001:db8:1:200::1")
    apart = ("203.0.113.9", "203.0.114.9", "2001:db8:1:200::", "2001:db8:1:300::")
    assert len({*map(site, apart), Origin("", TRUSTED, lambda _address: "DE").of(b"")[2]}) == 5
