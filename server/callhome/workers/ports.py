"""A port that is held for the workers, who listen on it together; the kernel spreads connections over them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from ..settings import Listen

# A machine without IPv6, or with nothing but it: the other family is enough.
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@contextmanager
def held(place: Listen) -> Iterator[Listen]:
    """Hold a place to listen at without listening; what is yielded has the port that it was given instead of 0.

    Raises ``OSError`` where anybody else listens there, or holds it. Sockets of this user that ask for SO_REUSEPORT may
    then listen there; the kernel lets no other user's (socket(7)).
    """
    infos = socket.getaddrinfo(
        place.host or None, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    port = place.port
    with ExitStack() as stack:
        failure: OSError | None = None
        for family, kind, protocol, _, address in dict.fromkeys(infos):
            one = stack.enter_context(socket.socket(family, kind, protocol))
            try:
                _bind(one, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise OSError(error.errno, f"{error.strerror}: {place}") from error
                failure = error
            else:
                port = int(one.getsockname()[1])
        if not port and failure:
            raise failure
        yield Listen(place.host, port)


def _bind(one: socket.socket, address: tuple[object, ...]) -> None:
    """Take the address alone, then let others in."""
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # Past what is left of connections of a server before. Without SO_REUSEPORT, which would let this join another
    # supervisor's workers unnoticed.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(address)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # Two that ask for it, and don't listen, would not see each other.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
