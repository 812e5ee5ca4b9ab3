"""Writing the body of a mail, and waiting until all of it has left: only then its end may be said to be near."""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import aiosmtplib
from aiosmtplib import SMTPServerDisconnected

# Between two looks at what is left, at first and at most: a body is gone in a round trip or in seconds.
_LOOK_S: Final = (0.001, 0.05)


async def write(smtp: aiosmtplib.SMTP, message: bytes) -> None:
    """Write a mail without its last line, after DATA, and return when the server's machine has all of it.

    Lines end in CR LF. Raises ``SMTPServerDisconnected``. It has no deadline of its own. Cancelling it, or an error,
    leaves the connection in the middle of a mail.
    """
    if smtp.protocol is None:
        raise SMTPServerDisconnected("the connection was lost")
    smtp.protocol.write(_stuffed(message))
    pause_s, longest_s = _LOOK_S
    # Twice in a row: what the transport keeps for itself below TLS is written as soon as the socket takes more.
    times_empty = 0
    while times_empty < 2:
        await asyncio.sleep(0 if times_empty else pause_s)
        if not smtp.is_connected:
            raise SMTPServerDisconnected("the connection was lost")
        if _left(smtp):
            times_empty, pause_s = 0, min(longest_s, 2 * pause_s)
        else:
            times_empty += 1


def _stuffed(message: bytes) -> bytes:
    """With a second dot before each line that begins with one (RFC 5321, 4.5.2), and an end of line at its end."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _left(smtp: aiosmtplib.SMTP) -> int:
    """How many bytes have not left yet, or are not acknowledged by the server's machine."""
    transport = cast(asyncio.WriteTransport, smtp.transport)
    return transport.get_write_buffer_size() + _unacknowledged(smtp)


if sys.platform == "linux":
    import fcntl
    import termios

    def _unacknowledged(smtp: aiosmtplib.SMTP) -> int:
        """What the kernel has sent, or is about to, and the other side's has not acknowledged (tcp(7), SIOCOUTQ)."""
        sock = smtp.get_transport_info("socket")
        if sock is None or sock.fileno() < 0:
            return 0
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)

else:  # pragma: no cover

    def _unacknowledged(smtp: aiosmtplib.SMTP) -> int:
        """Elsewhere the kernel doesn't tell: a line that is cut in the body may then count as uncertain."""
        return 0
