"""A real mail server, exim 4, takes our mails, and delivers them as they were written."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from callhome.reports.message import Envelope, Prepared
from callhome.reports.model import UNSUBSCRIBE, Attachment, Composed, Image
from callhome.reports.outcomes import Refused, Sent
from callhome.reports.smtp import Sender
from callhome.settings import SmtpUrl
from test_message import WHEN

EXIM = shutil.which("exim4") or shutil.which("exim") or "/usr/sbin/exim4"
# Only that user may start it as a server; it must not be root.
AS_ITS_USER = (
    ("setpriv", "--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups", "--")
    if os.geteuid() == 0
    else ("sudo", "-n", "-u", "Debian-exim", "--")
)


def can_run() -> bool:
    """Whether there is an exim, and we may run it as its user."""
    try:
        return (
            subprocess.run([*AS_ITS_USER, EXIM, "--version"], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


needs_exim = pytest.mark.skipif(
    not can_run(),
    reason="needs exim 4 (sudo apt-get install exim4-daemon-light), and root or sudo to be its user",
)
# STARTTLS with our certificate, everything for example.com into a maildir, nothing anywhere else.
CONFIGURATION = """\
primary_hostname = localhost
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/exim.pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {folder}/server.pem
tls_privatekey = {folder}/server.pem
acl_smtp_rcpt = recipients
acl_smtp_data = accept
qualify_domain = localhost
deliver_drop_privilege
keep_environment =
begin acl
recipients:
  deny message = we know nobody there
    !domains = example.com
  accept
begin routers
local:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
"""


@asynccontextmanager
async def exim(folder: Path, port: int) -> AsyncIterator[None]:
    """An exim of our own, with no other privilege than those of Debian's user for it."""
    (folder / "exim.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    words = (*AS_ITS_USER, EXIM, "-C", str(folder / "exim.conf"), "-bdf", "-q1h")
    process = await asyncio.create_subprocess_exec(*words)
    try:
        async with asyncio.timeout(30):
            while not await answers(port):
                assert process.returncode is None, "exim ended: look at what it says above"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.transport.abort()
    return True


@needs_exim
async def test_a_mail_reaches_a_maildir_as_it_was_written(open_tmp_path: Path, unused_tcp_port: int) -> None:
    """Over STARTTLS with a certificate of our own, exim takes a mail with pictures and tables and changes nothing."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(open_tmp_path / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(open_tmp_path / "server.pem")
    )
    composed = Composed(
        "Exämple Server: 12 345 installations actives, 3 % de plus que la semaine précédente",
        WHEN,
        f"One\n.\n..dots\nFrom the start\n{'é' * 500}\n{UNSUBSCRIBE}\n",
        f'<p>{"ü " * 900}</p><img src="cid:chart"><a href="{UNSUBSCRIBE}">x</a>',
        (Image("chart", bytes(range(256)) * 200),),
        (Attachment("usage.csv", "text/csv; charset=utf-8", "jour,été\r\n".encode() * 2_000),),
    )
    unsubscribe = "https://callhome.example.com/unsubscribe?t=" + "a" * 300
    envelope = Envelope(
        "callhome@example.com", "sales@example.com", "abc@example.com", "x.example.com", unsubscribe
    )
    message = Prepared(composed).message(envelope)

    async def near() -> None:
        """Nothing is recorded here."""

    mails = open_tmp_path / "mail" / "new"
    async with exim(open_tmp_path, unused_tcp_port):
        url = SmtpUrl("localhost", unused_tcp_port, "starttls")
        async with Sender(url, ca=open_tmp_path / "ca.pem", connections=1, command_s=20) as sender:
            outcome = await sender.send(message, "callhome@example.com", "sales@example.com", near)
            assert isinstance(outcome, Sent), outcome
            refused = await sender.send(message, "callhome@example.com", "sales@example.org", near)
            assert refused == Refused("550 we know nobody there")
        async with asyncio.timeout(30):
            while not (found := list(mails.glob("*")) if mails.exists() else []):
                await asyncio.sleep(0.05)
    delivered = found[0].read_bytes().replace(b"\n", b"\r\n")
    assert message.partition(b"\r\n\r\n")[2] in delivered
    read = email.message_from_bytes(delivered, policy=email.policy.default)
    assert read["Subject"] == composed.subject
    assert read["List-Unsubscribe"] == f"<{unsubscribe}>"
    assert read["Message-ID"] == "<abc@example.com>"
    assert not [part.defects for part in read.walk() if part.defects]
