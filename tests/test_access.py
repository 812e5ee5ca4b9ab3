"""Who may do what, what names and passwords may be, and how tries are slowed down: the pure part of access."""

from __future__ import annotations

import hashlib
import ipaddress
from itertools import pairwise

import pytest

from callhome.access import keys, passwords, throttle
from callhome.access.checks import InvalidAccess, check_name, check_password, check_role
from callhome.access.model import Access, Kind, Lifetimes, Principal, Role, Verdict, judge
from callhome.access.origins import Origins
from callhome.access.passwords import Passwords, TooManyTries

YES, SIGN_IN, NO = Verdict.YES, Verdict.SIGN_IN, Verdict.FORBIDDEN


@pytest.mark.parametrize(
    ("access", "stranger", "viewer", "analyst", "admin"),
    [
        (Access.OPEN, YES, YES, YES, YES),
        (Access.GUEST, SIGN_IN, YES, YES, YES),
        (Access.VIEWER, SIGN_IN, YES, YES, YES),
        (Access.ANALYST, SIGN_IN, NO, YES, YES),
        (Access.ADMIN, SIGN_IN, NO, NO, YES),
    ],
)
@pytest.mark.parametrize("map_guests", [False, True])
def test_each_role_may_what_those_before_it_may(
    access: Access, stranger: Verdict, viewer: Verdict, analyst: Verdict, admin: Verdict, map_guests: bool
) -> None:
    """Roles are in one order, and guests are let in where the setting says so and nowhere else."""
    who = [None, *(Principal(Kind.ACCOUNT, "x", role, b"") for role in Role)]
    if map_guests and access is Access.GUEST:
        stranger = YES
    assert [judge(access, each, map_guests=map_guests) for each in who] == [stranger, viewer, analyst, admin]


def test_keys_are_random_and_kept_as_their_hash() -> None:
    """A cookie and a token have 256 random bits; what is kept is SHA-256, and what can't be one is nothing."""
    cookie, token = keys.new_session(), keys.new_token()
    assert len({keys.new_session() for _ in range(100)}) == 100
    assert keys.session_digest(cookie) == hashlib.sha256(cookie.encode()).digest()
    assert keys.token_digest(token) == hashlib.sha256(token.encode()).digest()
    assert token.startswith("ch_")
    for wrong in ("", "x", cookie + "x", cookie[:-1] + "\n", cookie[:-1] + "é", token):
        assert keys.session_digest(wrong) is None
    for wrong in ("", "ch_", cookie, token + "x", token.upper(), token[:-1] + "+"):
        assert keys.token_digest(wrong) is None


@pytest.mark.parametrize("name", ["ada", " Ada@Example.COM ", "a", "7", "a" * 64, "wall-screen_2.hall"])
def test_names_are_kept_in_lower_case(name: str) -> None:
    """A name is what somebody types, without blanks around it and in lower case."""
    assert check_name(name) == name.strip().lower()


@pytest.mark.parametrize("name", ["", "a" * 65, "-a", "a b", "a\n", "<b>", "ä", "a/b", "a'b"])
def test_other_names_are_refused(name: str) -> None:
    """A name needs no quoting anywhere."""
    if name.strip() != "a":
        with pytest.raises(InvalidAccess, match="expected 1 to 64 of a-z"):
            check_name(name)


@pytest.mark.parametrize(
    "password", ["x" * 15, "four words that rhyme", "пароль из слов", "😀" * 15, " " * 20]
)
def test_a_long_password_of_any_kind_is_taken(password: str) -> None:
    """There are no rules of composition; the same text in another form is the same password."""
    if len(password) >= 15:
        assert check_password("ada", password)
    assert check_password("ada", "e\u0301" * 15) == check_password("ada", "é" * 15)


@pytest.mark.parametrize("password", ["", "short", "x" * 14, "x" * 257, "ada.lovelace.of.london", "ada" * 7])
def test_short_passwords_and_the_name_are_refused(password: str) -> None:
    """A refused password says what is expected, and is not shown."""
    with pytest.raises(InvalidAccess) as refused:
        check_password("ada" if password.startswith("adaada") else "ada.lovelace.of.london", password)
    assert len(password) < 3 or password not in str(refused.value)


def test_roles_are_named() -> None:
    """A role that there isn't is refused with those that there are."""
    assert check_role("analyst") is Role.ANALYST
    with pytest.raises(InvalidAccess, match="viewer, analyst, admin"):
        check_role("root")


def test_a_viewer_stays_longest() -> None:
    """The cookie lasts as long as the session may."""
    lifetimes = Lifetimes(1, 20, 3, 400)
    assert [lifetimes.cookie_s(role) for role in Role] == [400, 20, 20]


def test_waits_grow_and_are_bounded() -> None:
    """A few tries are free; then each wait is longer, up to a minute, and never for ever."""
    waits = [throttle.wait_s(failures) for failures in range(10_000)]
    assert waits[: throttle.FREE_TRIES] == [0] * throttle.FREE_TRIES
    assert waits[throttle.FREE_TRIES : throttle.FREE_TRIES + 7] == [1, 2, 4, 8, 16, 32, 60]
    assert all(before <= after for before, after in pairwise(waits))
    assert max(waits) == throttle.WAIT_MAX_S


def test_a_network_fails_so_often_and_then_slowly() -> None:
    """Thirty failures at once, then one every ten seconds; who succeeds is not counted, others are not touched."""
    networks = throttle.Networks()
    for _ in range(1_000):
        assert networks.take(7, 100.0) == 0
        networks.give_back(7)
    assert [networks.take(7, 100.0) for _ in range(throttle.NETWORK_FAILURES)] == [0] * 30
    assert networks.take(7, 100.0) == pytest.approx(10.0)
    assert networks.take(7, 105.0) == pytest.approx(5.0)
    assert networks.take(8, 105.0) == 0
    assert networks.take(7, 110.0) == 0
    assert networks.take(7, 110.0) > 0


def test_what_is_kept_of_networks_is_bounded() -> None:
    """The network that tried longest ago is forgotten first."""
    networks = throttle.Networks(most=3)
    for network in range(1_000):
        networks.take(network, 0.0)
    assert list(networks._empty_at_s) == [997, 998, 999]


PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "proto", "host", "is_https"),
    [
        ("10.1.2.3", "https", "x", True),
        ("10.1.2.3", "HTTPS, http", "x", True),
        ("10.1.2.3", "http", "stats.example", False),
        ("203.0.113.1", "https", "x", False),
        ("203.0.113.1", "", "stats.example", True),
        ("203.0.113.1", "", "Stats.Example:443", True),
        ("203.0.113.1", "", "stats.example.evil.example", False),
        ("203.0.113.1", "", "[::1]:8081", False),
        ("10.1.2.3", "", "x", False),
    ],
)
def test_https_is_told_by_trusted_proxies_and_the_own_address(
    peer: str, proto: str, host: str, is_https: bool
) -> None:
    """A stranger's X-Forwarded-Proto is ignored; the console's own https address means https."""
    assert Origins(PROXIES, "https://stats.example").is_https(peer, proto, host) is is_https
    assert not Origins((), "http://stats.example").is_https("10.1.2.3", "https", "stats.example")


def test_networks_are_told_by_trusted_proxies_alone() -> None:
    """Neighbours are one network; a forged header makes no other of it."""
    origins = Origins(PROXIES)
    assert origins.network("203.0.113.1", "") == origins.network("203.0.113.200", "198.51.100.1")
    assert origins.network("10.0.0.1", "203.0.113.9") == origins.network("203.0.113.1", "")
    assert origins.network("203.0.113.1", "") != origins.network("198.51.100.1", "")


async def test_a_password_is_checked_against_its_hash() -> None:
    """The right password and no other; without a hash the answer is no after the same work."""
    checker, stored = Passwords(), passwords.hashed("four words that rhyme")
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in stored
    assert await checker.verify(stored, "four words that rhyme")
    assert not await checker.verify(stored, "four words that rhime")
    assert not await checker.verify(None, "four words that rhyme")
    assert not await checker.verify("no hash", "four words that rhyme")
    assert passwords._NOBODY.split("$")[1:4] == stored.split("$")[1:4]
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))


async def test_hashes_are_few_at_a_time_and_a_flood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond those that may wait, a try is refused and costs no memory."""
    monkeypatch.setattr(passwords, "WAITING_MAX", 0)
    with pytest.raises(TooManyTries):
        await Passwords().hash("four words that rhyme")
