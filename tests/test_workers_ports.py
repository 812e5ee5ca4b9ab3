"""A held port: nobody else gets it, and whoever of us asks for SO_REUSEPORT listens there."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

import pytest

from callhome.settings import Listen
from callhome.workers.ports import held

ANY = Listen("127.0.0.1", 0)


def listener(place: Listen, *, joins: bool = True, family: int = socket.AF_INET) -> socket.socket:
    """Return a socket that listens there, as a server's does; with ``joins`` as a worker's does."""
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, joins)
    try:
        one.bind((place.host, place.port))
    except OSError:
        one.close()
        raise
    one.listen(64)
    return one


def test_workers_share_a_held_port() -> None:
    """Two listen on the port that was given for 0, each gets some of the connections, and the holder none."""
    with held(ANY) as place:
        assert place.port
        with listener(place) as one, listener(place) as two, ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(socket.create_connection((place.host, place.port)))
            counts = [accepted(each) for each in (one, two)]
            assert sum(counts) == 40
            assert min(counts) > 0


def accepted(one: socket.socket) -> int:
    """Return how many connections wait at a listener."""
    one.setblocking(False)
    count = 0
    while True:
        try:
            one.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_nobody_answers_at_a_port_that_is_only_held() -> None:
    """Without workers a connection is refused at once, and doesn't wait for one."""
    with held(ANY) as place, pytest.raises(ConnectionRefusedError):
        socket.create_connection((place.host, place.port))


@pytest.mark.parametrize("joins", [False, True])
def test_a_port_where_somebody_listens_is_not_held(joins: bool) -> None:
    """A port with a listener is in use, also where that one would share it: it is another server's."""
    with listener(ANY, joins=joins) as other:
        place = Listen("127.0.0.1", other.getsockname()[1])
        with pytest.raises(OSError, match=rf"in use: 127.0.0.1:{place.port}$") as raised, held(place):
            pass
    assert raised.value.errno == errno.EADDRINUSE


def test_a_held_port_is_not_held_twice() -> None:
    """A second supervisor is told so though nobody listens yet, and so is a server that wouldn't share."""
    with held(ANY) as place:
        with pytest.raises(OSError, match="in use"), held(place):
            pass
        with pytest.raises(OSError, match="in use"):
            listener(place, joins=False)
    with held(place):
        pass


def test_a_port_is_held_right_after_a_server_closed_its_connections() -> None:
    """What the kernel keeps of connections that a server closed, one without workers too, is in nobody's way."""
    with listener(ANY, joins=False) as server:
        place = Listen("127.0.0.1", server.getsockname()[1])
        with socket.create_connection((place.host, place.port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    with held(place), listener(place):
        pass


def test_every_interface_has_one_port() -> None:
    """With no host it is held on each family, on the same port."""
    with held(Listen("", 0)) as place, listener(Listen("0.0.0.0", place.port)) as one:
        assert one.getsockname()[1] == place.port
        with pytest.raises(OSError, match="in use"):
            listener(Listen("0.0.0.0", place.port), joins=False)


def test_an_address_of_others_is_an_error() -> None:
    """A host that isn't here, or isn't known, raises."""
    with pytest.raises(OSError, match="assign"), held(Listen("192.0.2.1", 0)):
        pass
    with pytest.raises(socket.gaierror), held(Listen("no-such-host.invalid", 0)):
        pass
