"""The Python client in real host programs, against servers that do wrong, and against the real one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from callhome import client
from callhome.client import Answer, Client, Notice
from pages import ROOT
from running import connected, running
from test_cli_serve import CLEAN

# No test waits so long unless it fails.
PATIENCE_S = 60.0
# The host of each test: begins, and ends when it is told to, so that its thread is in the midst of whatever it does.
HOST = """
import sys
from callhome.client import Client
c = Client({url!r}, "es", "1.0", state_dir={folder!r}, {options})
c.start()
"""
TOLD = HOST + "sys.stdin.readline()\n"
TRIED = HOST + "print(c.flush(50), c.status, sep='|')\n"

Behave = Callable[[socket.socket, "Peer", int], None]


@pytest.fixture(autouse=True)
def _wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody has opted out, no proxy is named, and the home folder is a test's own."""
    for name in ("DO_NOT_TRACK", "CALLHOME_DISABLE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        CLEAN.pop(name, None)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@dataclass
class Peer:
    """A server that behaves as a test says; ``behave`` gets each connection with its request read, and their number."""

    behave: Behave
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    _news: threading.Condition = field(default_factory=threading.Condition)
    _handlers: list[threading.Thread] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[Peer]:
        """Listen on a free port; at the end every connection is let go."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            scheme, host = ("https", "localhost") if self.tls else ("http", "127.0.0.1")
            self.url = f"{scheme}://{host}:{listener.getsockname()[1]}"
            acceptor = threading.Thread(target=self._accept, args=(listener,))
            acceptor.start()
            try:
                yield self
            finally:
                self.let_go.set()
                listener.shutdown(socket.SHUT_RDWR)
                acceptor.join()
                for handler in self._handlers:
                    handler.join()

    def has(self, requests: int) -> None:
        """Wait for so many requests."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.requests) >= requests, PATIENCE_S), self.requests

    def bodies(self) -> list[dict[str, Any]]:
        """The pings of all requests."""
        lines = []
        for request in self.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            body = zlib.decompress(body, wbits=31) if b"gzip" in head else body
            lines += body.splitlines()
        return [json.loads(line) for line in lines]

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                handler = threading.Thread(target=self._handle, args=(listener.accept()[0],))
                self._handlers.append(handler)
                handler.start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError), closing(connection):
            connection.settimeout(PATIENCE_S)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with closing(connection):
                request = received(connection)
                with self._news:
                    self.requests.append(request)
                    self.times_s.append(time.monotonic())
                    number = len(self.requests)
                    self._news.notify_all()
                self.behave(connection, self, number)


def received(connection: socket.socket) -> bytes:
    """Read one request, or the head of a CONNECT."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536) or b"\r\n\r\n"
    size = re.search(rb"Content-Length: (\d+)", data)
    end = data.index(b"\r\n\r\n") + 4 + (int(size[1]) if size else 0)
    while len(data) < end and (more := connection.recv(65_536)):
        data += more
    return data


def says(status: int, body: bytes = b"", headers: str = "") -> Behave:
    """Answer each request so."""
    head = f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection, server, number: connection.sendall(head + body)


def hangs(after: bytes = b"") -> Behave:
    """Answer with ``after`` and then nothing, until the test is over."""

    def behave(connection: socket.socket, server: Peer, number: int) -> None:
        connection.sendall(after)
        server.let_go.wait(PATIENCE_S)

    return behave


def resets(connection: socket.socket, server: Peer, number: int) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def never_ends(head: bytes, pause_s: float) -> Behave:
    """Send a head, and then more and more until the client goes or the test is over."""

    def behave(connection: socket.socket, server: Peer, number: int) -> None:
        connection.sendall(head)
        while not server.let_go.wait(pause_s):
            connection.sendall(b"x" if pause_s else b"x" * 65_536)

    return behave


@contextmanager
def peer(behave: Behave, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """A server that behaves so."""
    with Peer(behave, tls).listening() as made:
        yield made


def host(code: str, *, says: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a host program to its end; ``says`` is what it reads."""
    return subprocess.run(
        [sys.executable, "-c", code],
        input=says,
        env=CLEAN | {"HOME": os.environ["HOME"]} | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def begun(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A host program that has begun; killed if it hasn't ended by itself."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, env=CLEAN)
    with process:
        try:
            yield process
        finally:
            process.kill()


def quiet(done: subprocess.CompletedProcess[str]) -> str:
    """What a host printed; it must have ended well, and said nothing else."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def waiting(folder: Path) -> list[dict[str, Any]]:
    """The pings in a queue, oldest first."""
    return [json.loads(path.read_bytes()) for path in sorted((folder / "es").glob("*.ping"))]


# --- Servers that do wrong

STUCK: dict[str, Behave] = {
    "hangs": hangs(),
    "hangs in a status line": hangs(b"HTTP/1.1 2"),
    "hangs in a body": hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"),
    "trickles a header": never_ends(b"HTTP/1.1 200 OK\r\nX-", 0.05),
    "trickles a body": never_ends(b"HTTP/1.1 200 OK\r\n\r\n", 0.05),
    "says to go on, for ever": hangs(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}
WRONG: dict[str, tuple[Behave, str]] = {
    "resets": (resets, "no answer: "),
    "ends in a head": (
        lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\nConte"),
        "the answer ends in its midst",
    ),
    "ends in a body": (
        lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
        "the answer ends in its midst",
    ),
    "500": (says(500), "500, not stored"),
    "408": (says(408), "408, not stored"),
    "503": (says(503, b'{"reason":"overloaded","message":"x"}'), "503, not stored: overloaded"),
    "a redirect": (says(307, headers="Location: http://127.0.0.1:9/v1/ping\r\n"), "307, not stored"),
    "a page": (says(200, b"<html>Please sign in"), "200, but not from callhome"),
    "nothing in 200": (says(200), "200, but not from callhome"),
    "a deep page": (says(200, b"[" * 100_000), "200, but not from callhome"),
    "garbage": (lambda c, s, n: c.sendall(bytes(range(256)) * 9), "what came is not HTTP"),
    "no header": (lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\n\xff\xfe\r\n\r\n"), "a header is no header"),
    "a strange length": (
        lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        "no number",
    ),
    "a huge length": (
        lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx"),
        "the answer ends in its midst",
    ),
    "a strange chunk": (
        lambda c, s, n: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"),
        "no number",
    ),
    "an endless head": (never_ends(b"HTTP/1.1 200 OK\r\nX: ", 0), "the answer is too long"),
    "an endless body": (never_ends(b"HTTP/1.1 200 OK\r\n\r\n", 0), "the answer is too long"),
}


@pytest.mark.parametrize("behave", STUCK.values(), ids=STUCK)
def test_a_host_ends_while_the_server_holds_on(behave: Behave, tmp_path: Path) -> None:
    """With a request in its midst the host ends at once, well and silently; its ping waits on disk."""
    with peer(behave) as server:
        code = TOLD.format(url=server.url, folder=str(tmp_path), options="budget_s=1000")
        with begun(code) as process:
            server.has(1)
            _, stderr = process.communicate(b"end\n", timeout=PATIENCE_S)
        # The server still holds the connection: the host didn't wait for it.
        assert not server.let_go.is_set()
        assert (process.returncode, stderr) == (0, b"")
        assert waiting(tmp_path) == server.bodies()


@pytest.mark.parametrize("behave", STUCK.values(), ids=STUCK)
def test_a_request_has_one_deadline(behave: Behave, tmp_path: Path) -> None:
    """A server that stops, or trickles for ever, is given up after the budget, and the ping waits."""
    with peer(behave) as server:
        done = host(TRIED.format(url=server.url, folder=str(tmp_path), options="budget_s=0.3"))
        assert not server.let_go.is_set()
        assert re.fullmatch(r"False\|kept for later: no answer: (it took too long|timed out)\n", quiet(done))
        assert waiting(tmp_path) == server.bodies()


@pytest.mark.parametrize(("behave", "status"), WRONG.values(), ids=WRONG)
def test_what_may_pass_is_kept(behave: Behave, status: str, tmp_path: Path) -> None:
    """After no answer that makes sense, a redirect, 408 or 5xx the ping waits, and nothing else happens."""
    with peer(behave) as server:
        done = host(TRIED.format(url=server.url, folder=str(tmp_path), options="budget_s=5"))
        said = quiet(done)
        assert said.startswith("False|kept for later: ")
        assert status in said
        assert waiting(tmp_path) == server.bodies()
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 451])
def test_what_is_refused_is_dropped(status: int, tmp_path: Path) -> None:
    """After any other 4xx the ping is gone: it would be the same the next time."""
    with peer(says(status, b'{"reason":"unknown_product","message":"there is none"}')) as server:
        said = quiet(host(TRIED.format(url=server.url, folder=str(tmp_path), options="")))
        assert said == f"True|{status}, not stored: unknown_product there is none\n"
        assert not waiting(tmp_path)


def test_a_refusal_leaves_older_pings_their_tries(tmp_path: Path) -> None:
    """When the newest ping is refused for good, those that waited before it are tried again in this process."""
    answers = {1: says(503), 2: says(400)}
    with peer(lambda c, s, n: answers.get(n, says(204))(c, s, n)) as server:
        caller = client.ping(server.url, "es", "1.0", state_dir=tmp_path, retry_s=100)
        assert not caller.flush(PATIENCE_S)
        caller._retry_s, caller._retry_at = 0.01, 0.0
        caller.alive()
        server.has(3)
        assert caller.flush(PATIENCE_S)
        bodies = server.bodies()
    assert [ping["event"] for ping in bodies] == ["start", "alive", "start"]
    assert not waiting(tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "black hole"])
def test_nobody_there(url: str, tmp_path: Path) -> None:
    """A port that refuses, a name that leads nowhere and a host that drops packets are no answers."""
    with socket.socket() as listener, socket.socket() as first:
        # A queue that is full drops what comes: it holds one more than it says.
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        first.connect(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}" if url == "black hole" else url
        options = "allow_http=True, budget_s=0.5"
        said = quiet(host(TRIED.format(url=url, folder=str(tmp_path), options=options)))
    assert said.startswith("False|kept for later: no answer: ")
    assert len(waiting(tmp_path)) == 1


def test_a_host_may_end_at_any_moment(tmp_path: Path) -> None:
    """Wherever the thread is when the interpreter goes, nothing is said, and what is on disk is whole."""
    with peer(says(204)) as server:
        for spins in range(0, 200_000, 10_000):
            code = HOST.format(url=server.url, folder=str(tmp_path), options="")
            quiet(host(f"{code}for _ in range({spins}): pass\nc.stop()\n"))
    assert all(ping["product"] == "es" for ping in waiting(tmp_path))


@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null", "\0", "full"])
def test_without_a_disk_it_works(folder: str, tmp_path: Path) -> None:
    """Where nothing can be written, pings are sent all the same, and tried again from memory."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n" if folder == "full" else ""
    place = str(tmp_path) if folder == "full" else folder
    with peer(lambda c, s, n: says(500 if n == 1 else 204)(c, s, n)) as server:
        code = limit + HOST.format(url=server.url, folder=place, options="retry_s=0.01")
        code += "while not c.flush(1): pass\nprint(c.status)\n"
        assert quiet(host(code)) == "204, stored\n"
        first, second = server.bodies()
        assert first == second
    assert [path.name for path in tmp_path.glob("es/*")] == (["lock"] if folder == "full" else [])


# --- What is sent


def test_show_is_what_is_sent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`show` returns and prints the request, byte for byte but for the ping's own id, and where it goes."""
    with peer(says(204)) as server:
        caller = Client(
            server.url + "/behind/",
            "es",
            "1.0",
            build="47",
            license=" AAAA\n",
            users=12,
            channel="beta",
            extra={"gpu": "none", "cores": 8, "odd": cast(Any, object), "wide": 2**64, "nan": float("nan")},
            state_dir=tmp_path,
        )
        shown = caller.show()
        printed = capsys.readouterr().out
        caller.start()
        assert caller.flush(PATIENCE_S)
    (sent,) = server.requests
    id = re.compile(rb'"id":"[0-9a-f-]{36}"')
    assert id.sub(b"", shown) == id.sub(b"", sent)
    assert printed == f"To {server.url}/behind:\n\n{shown.decode()}\n"
    (body,) = server.bodies()
    assert sent.startswith(b"POST /behind/v1/ping HTTP/1.1\r\n")
    assert body["extra"] == {"gpu": "none", "cores": 8, "odd": str(object), "wide": str(2**64), "nan": "nan"}
    assert (body["license"], body["users"], body["event"]) == ("AAAA", 12, "start")
    assert {"os", "os_version", "arch"} <= body.keys()


@settings(max_examples=200)
@given(
    st.text(),
    st.dictionaries(
        st.text() | st.integers(), st.text() | st.integers() | st.floats() | st.none() | st.booleans()
    ),
    st.integers() | st.booleans() | st.text() | st.none(),
)
def test_whatever_is_said_is_made_fit(text: str, extra: dict[Any, Any], users: Any) -> None:
    """Any text, number and dictionary becomes a ping that the server's decoder takes."""
    from callhome.ingest.decode import decode_ping

    caller = Client(
        "http://127.0.0.1:1", "es", "1.0", build=text, license=text, channel=text, install_id="x" * 8
    )
    caller.users, caller.extra = users, extra
    ping = decode_ping(caller.show().partition(b"\r\n\r\n")[2])
    assert ping.product == "es"


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "de_DE.UTF-8"}, "de-DE"),
        ({"LC_ALL": "C", "LANG": "fr_FR"}, None),
        ({"LC_MESSAGES": "sr_RS@latin"}, "sr-RS"),
    ],
)
def test_the_language_is_that_of_the_environment(
    environ: dict[str, str], language: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Language and region are sent as in `de-DE`, and none for C."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert client._system().get("locale") == language or language is None


def test_values_that_break_are_told(tmp_path: Path) -> None:
    """A value that can't even be shown costs its ping and nothing else; extra values of another type are none."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with peer(says(204)) as server:
        caller = Client(server.url, "es", "1.0", state_dir=tmp_path, extra=cast(Any, 5))
        caller.build = cast(Any, Broken())
        assert caller.show() == b""
        caller.start()
        caller.flush(PATIENCE_S)
        assert caller.status == "failed: RuntimeError('no')"
        caller.build = "1"
        caller.start()
        assert caller.flush(PATIENCE_S)
        (sent,) = server.bodies()
    assert (sent["build"], "extra" in sent) == ("1", False)


# --- Who doesn't want to


@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "CALLHOME_DISABLE"])
@pytest.mark.parametrize(
    ("value", "is_out"), [("1", True), ("yes", True), ("0", False), ("", False), ("False", False)]
)
def test_an_opt_out_counts(name: str, value: str, is_out: bool, tmp_path: Path) -> None:
    """With either variable nothing is sent, made or written, and `show` says why; 0, false and empty are none."""
    home = tmp_path / "home"
    with peer(says(204)) as server:
        code = f"""
from callhome.client import Client
c = Client({server.url!r}, "es", "1.0")
c.show(); c.start(); c.alive(); c.stop()
print(c.flush(50), c.status)
"""
        said = quiet(host(code, **{name: value}))
        assert (not server.requests) is is_out
    assert (not list(home.iterdir())) is is_out
    assert (f"Nothing is sent: {name} is set" in said) is is_out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"url": "ping.example.com"}, "url: expected one such as https://"),
        ({"url": "https://"}, "url: expected one such as https://"),
        ({"url": "https://x:99999"}, "url: expected one such as https://"),
        ({"url": "https://x/ü"}, "url: expected one such as https://"),
        ({"url": "https://x\r\n"}, "url: expected one such as https://"),
        ({"url": "http://ping.example.com"}, "url: expected https"),
        ({"url": None}, "an option is wrong"),
        ({"product": ""}, "product: expected a text"),
        ({"version": 1.5}, "version: expected a text"),
        ({"install_id": "short"}, "install_id: expected 8 to 128"),
        ({"state_dir": 5}, "an option is wrong"),
    ],
)
def test_a_wrong_option_is_told_and_raises_nothing(words: dict[str, Any], problem: str) -> None:
    """A mistake of the program is found in `problem` and by `show`; no call raises or sends."""
    caller = Client(**{"url": "https://ping.example.com", "product": "es", "version": "1.0", **words})
    assert caller.problem.startswith(problem)
    assert caller.show() == b""
    caller.start()
    caller.stop()
    assert caller.flush(0)
    assert caller.status == f"nothing is sent: {caller.problem}"


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://[::1]", True),
        ("http://localhost", True),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_plain_http_stays_on_this_machine(url: str, is_taken: bool) -> None:
    """Plain http leads to this machine, and elsewhere only where the program says so."""
    assert (not Client(url, "es", "1.0").problem) is is_taken
    assert not Client(url, "es", "1.0", allow_http=True).problem


# --- TLS and proxies


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """An authority of our own, and the file with its certificate."""
    made = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return made, str(file)


def context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """Return what a server of that name needs."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(made)
    return made


@pytest.mark.parametrize(
    ("name", "is_trusted", "told"),
    [
        ("localhost", True, "True|204, stored"),
        ("localhost", False, "CERTIFICATE"),
        ("elsewhere.test", True, "mismatch"),
    ],
)
def test_certificates_are_verified(
    name: str, is_trusted: bool, told: str, authority: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    """A server whose certificate isn't trusted, or is another's, hears nothing; the environment's bundle counts."""
    environ = {"SSL_CERT_FILE": authority[1]} if is_trusted else {}
    with peer(says(204), context(authority[0], name)) as server:
        done = host(TRIED.format(url=server.url, folder=str(tmp_path), options=""), **environ)
        assert told in quiet(done)
        assert len(server.requests) == ("stored" in told)


def test_the_thread_imports_nothing(authority: tuple[trustme.CA, str], tmp_path: Path) -> None:
    """A fork in the midst of an import would leave a lock that nobody gives back: the thread has none."""
    code = (
        """
import sys, threading
seen = []
def hook(event, args):
    if event == "import" and threading.get_ident() != threading.main_thread().ident:
        seen.append(args[0])
sys.addaudithook(hook)
"""
        + TRIED
    )
    with peer(says(200, b'{"latest":"2"}'), context(authority[0], "localhost")) as server:
        code = code.format(url=server.url, folder=str(tmp_path), options="on_answer=print") + "print(seen)\n"
        said = quiet(host(code, SSL_CERT_FILE=authority[1]))
    assert said.splitlines()[-1] == "[]", said


@pytest.mark.parametrize("no_proxy", ["", "other.test, .example.com", "*"])
def test_a_proxy_of_the_environment_is_used(
    no_proxy: str, authority: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    """A request goes through the proxy that is named, with its login, unless the host is excepted."""
    with peer(says(204), context(authority[0], "ping.example.com")) as server:

        def relay(connection: socket.socket, _: Peer, number: int) -> None:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            port = int(server.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as onward:
                back = threading.Thread(target=pump, args=(onward, connection))
                back.start()
                pump(connection, onward)
                back.join()

        with peer(relay) as proxy:
            done = host(
                TRIED.format(url="https://ping.example.com", folder=str(tmp_path), options="budget_s=5"),
                https_proxy=proxy.url.replace("//", "//me:p%40ss@"),
                no_proxy=no_proxy,
                SSL_CERT_FILE=authority[1],
            )
            assert quiet(done).startswith("False" if no_proxy else "True|204, stored")
            assert len(proxy.requests) == len(server.requests) == (not no_proxy)
            for request in proxy.requests:
                assert request.startswith(b"CONNECT ping.example.com:443 HTTP/1.1\r\n")
                assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in request


def test_what_a_proxy_adds_is_no_answer(authority: tuple[trustme.CA, str], tmp_path: Path) -> None:
    """What a proxy sends behind its answer to CONNECT isn't read as if it had come through TLS."""
    body = b'{"latest":"99","outdated":true,"severity":"security"}'
    added = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    tls = context(authority[0], "ping.example.com")

    def inject(connection: socket.socket, _: Peer, number: int) -> None:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n" + added)
        with tls.wrap_socket(connection, server_side=True) as secured:
            received(secured)
            secured.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")

    with peer(inject) as proxy:
        done = host(
            TRIED.format(
                url="https://ping.example.com", folder=str(tmp_path), options="budget_s=5, on_answer=print"
            ),
            https_proxy=proxy.url,
            SSL_CERT_FILE=authority[1],
        )
    assert quiet(done) == "False|kept for later: no answer: the proxy sent more than its answer\n"
    assert len(waiting(tmp_path)) == 1


def pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes over to the end."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_proxy_of_another_kind_is_not_passed_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where only a SOCKS proxy may be used, nothing goes around it."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    caller = Client("https://ping.example.com", "es", "1.0", state_dir=tmp_path)
    caller.start()
    assert not caller.flush(PATIENCE_S)
    assert (
        caller.status
        == "kept for later: no answer: the environment names a proxy that isn't http://host:port"
    )


# --- Answers


def told_by(body: bytes, **options: Any) -> list[Answer]:
    """What the callback gets for an answer."""
    told: list[Answer] = []
    with peer(says(200, body) if body else says(204)) as server:
        caller = client.ping(server.url, "es", "1.0", on_answer=told.append, **options)
        assert caller.flush(PATIENCE_S)
    return told


def test_the_answer_is_handed_over() -> None:
    """All that the server says comes as typed values."""
    body = {
        "latest": "2.0",
        "outdated": True,
        "severity": "security",
        "url": "https://example.com/2",
        "notes_url": "https://example.com/2/notes",
        "license": "grace",
        "notices": [{"text": "Hello", "level": "info"}],
        "next_s": 86_000,
        "more": 1,
    }
    notices = (Notice("Hello", "info", ""),)
    wanted = Answer(**{**{name: value for name, value in body.items() if name != "more"}, "notices": notices})  # type: ignore[arg-type]
    assert told_by(json.dumps(body).encode()) == [wanted]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"", Answer()),
        (b'{"latest":5,"outdated":"yes","notices":7,"next_s":true,"license":null}', Answer()),
        (b'{"notices":[1,{"text":"a\\u001b[2Jb"}],"next_s":-5}', Answer(notices=(Notice("a[2Jb", "", ""),))),
        (b'{"url":"javascript:alert(1)","notes_url":"http://x"}', Answer()),
    ],
)
def test_what_makes_no_sense_in_an_answer_is_left_out(body: bytes, answer: Answer) -> None:
    """Wrong types, control characters and addresses that aren't https don't reach the program."""
    assert told_by(body) == [answer]


def test_notices_are_bounded() -> None:
    """Of more notices than any server sends, the program gets the first."""
    body = {"notices": [{"text": str(number)} for number in range(5_000)]}
    (answer,) = told_by(json.dumps(body).encode())
    assert answer.notices == tuple(Notice(str(number), "", "") for number in range(client.NOTICES))


@pytest.mark.parametrize("raised", ["1 / 0", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_a_callback_that_raises_harms_nobody(raised: str, tmp_path: Path) -> None:
    """What the callback raises is dropped, even that which would end a program; what waits is sent all the same."""
    fill(tmp_path, [1])
    code = (
        f"""
def answered(answer):
    print("called", flush=True)
    {raised}
"""
        + HOST
        + "print(c.flush(50))\nc.alive()\nprint(c.flush(50))\n"
    )
    with peer(says(204)) as server:
        said = quiet(host(code.format(url=server.url, folder=str(tmp_path), options="on_answer=answered")))
        assert said.split() == ["called", "True", "called", "True"]
        paths = [request.split()[1] for request in server.requests]
        assert paths == [b"/v1/ping", b"/v1/pings", b"/v1/ping"]


def test_pings_are_repeated_when_the_server_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With `repeat` the thread pings `alive` when it is due, with an id of its own; `stop` ends that."""
    monkeypatch.setattr(client, "NEXT_LEAST_S", 0.01)
    monkeypatch.setattr(client, "NEXT_MOST_S", 0.02)
    with peer(says(200, b'{"next_s":5}')) as server:
        caller = client.ping(server.url, "es", "1.0", repeat=True, state_dir=tmp_path)
        server.has(3)
        caller.stop()
        assert caller.flush(PATIENCE_S)
        bodies = server.bodies()
    assert [ping["event"] for ping in bodies[:3]] == ["start", "alive", "alive"]
    assert len({ping["id"] for ping in bodies}) == len(bodies)
    assert caller._thread is None


# --- Trying again


def test_what_fails_in_a_try_costs_that_try_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever a try raises, another comes, later each time, and the thread goes on to repeat."""
    exchange, tries = client._exchange, list[int]()

    def fails(*words: Any) -> Any:
        tries.append(caller._failures)
        if len(tries) in (1, 2, 4):
            raise TypeError("unhashable")
        return exchange(*words)

    monkeypatch.setattr(client, "_exchange", fails)
    monkeypatch.setattr(client, "NEXT_LEAST_S", 0.01)
    monkeypatch.setattr(client, "NEXT_MOST_S", 0.02)
    with peer(says(200, b'{"next_s":5}')) as server:
        caller = Client(server.url, "es", "1.0", repeat=True, state_dir=tmp_path, retry_s=0.01)
        caller.start()
        server.has(3)
        caller.stop()
        caller.flush(PATIENCE_S)
        bodies = server.bodies()
    assert tries[:5] == [0, 1, 2, 0, 1]
    assert [ping["event"] for ping in bodies[:3]] == ["start", "alive", "alive"]


def test_a_value_that_breaks_ends_no_repeating(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ping that can't be made is lost by itself: the thread still knows when the next is due."""
    with peer(says(200, b'{"next_s":5000}')) as server:
        caller = client.ping(server.url, "es", "1.0", repeat=True, state_dir=tmp_path)
        assert caller.flush(PATIENCE_S)
        monkeypatch.setattr(caller, "_body", lambda id, told: 1 / 0)
        caller.alive()
        caller.flush(PATIENCE_S)
        assert caller.status.startswith("failed: ZeroDivisionError")
        assert caller._thread
        assert caller._alive_at
        caller.stop()
        caller.flush(PATIENCE_S)


@pytest.mark.parametrize(
    "body",
    [b'{"refused":[{"line":1,"reason":[]}],"stored":1}', b'{"reason":' + b"[" * 900 + b"]" * 900 + b"}"],
    ids=["a list", "a deep list"],
)
def test_an_odd_reason_is_none(body: bytes, tmp_path: Path) -> None:
    """A reason that is no text settles a batch as any other does that isn't known."""
    fill(tmp_path, [3, 2])
    with peer(lambda c, s, n: (says(204) if n == 1 else says(200, body))(c, s, n)) as server:
        caller = client.ping(server.url, "es", "1.0", state_dir=tmp_path)
        assert caller.flush(PATIENCE_S)
        assert len(server.requests) == 2
    assert caller.status == "200, stored"
    assert not waiting(tmp_path)


def test_a_ping_keeps_its_id_over_its_tries(tmp_path: Path) -> None:
    """However often it is tried, a ping is the same, byte for byte, and the answer is handed over once."""
    told: list[Answer] = []
    with peer(lambda c, s, n: (resets if n < 4 else says(204))(c, s, n)) as server:
        caller = client.ping(server.url, "es", "1.0", retry_s=0.01, state_dir=tmp_path, on_answer=told.append)
        server.has(4)
        assert caller.flush(PATIENCE_S)
    assert len(set(server.requests)) == 1
    assert told == [Answer()]
    assert not waiting(tmp_path)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(status: int, tmp_path: Path) -> None:
    """No try comes before the server wants it."""
    with peer(
        lambda c, s, n: says(status if n == 1 else 204, headers="Retry-After: 1\r\n")(c, s, n)
    ) as server:
        caller = client.ping(server.url, "es", "1.0", retry_s=0.01, state_dir=tmp_path)
        server.has(2)
        assert caller.flush(PATIENCE_S)
    assert server.times_s[1] - server.times_s[0] >= 1.0


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("7", 7.0),
        ("999999999", 86_400.0),
        ("1000000000000", 86_400.0),
        ("9" * 9_999, 86_400.0),
        ("-1", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_believed_for_a_day(said: str, wait_s: float) -> None:
    """However large the number is, the wait is a day at most; what is no number is none."""
    assert client._reply(503, {"retry-after": said}, b"").retry_after_s == wait_s


def test_retry_after_counts_for_the_next_process(tmp_path: Path) -> None:
    """A program that is started again meanwhile doesn't call; its ping waits with the other."""
    with peer(says(429, headers="Retry-After: 3600\r\n")) as server:
        said = [quiet(host(TRIED.format(url=server.url, folder=str(tmp_path), options=""))) for _ in range(2)]
        assert len(server.requests) == 1
    assert said[0] == "False|kept for later: 429, not stored\n"
    assert said[1].startswith("False|kept for later: the server said to wait")
    assert len(waiting(tmp_path)) == 2


def test_a_wait_that_cannot_be_is_ignored(tmp_path: Path) -> None:
    """After a clock was set back, or the file damaged, nobody waits for years."""
    state = client._State(str(tmp_path))
    for text in (str(int(time.time()) + 10**8), "x", "", "9" * 40):
        (tmp_path / "not-before").write_text(text)
        assert state.wait_s() == 0.0
    state.wait_until(time.time() + 100)
    assert 90 < state.wait_s() <= 100


@given(st.integers(0, 10**6))
def test_waits_are_between_nothing_and_their_bound(failures: int) -> None:
    """A wait is anything up to a bound that doubles, to an hour."""
    caller = Client("http://127.0.0.1:1", "es", "1.0")
    caller._failures = failures
    assert 0 <= caller._jittered_s() <= min(client.RETRY_MOST_S, client.RETRY_S * 2.0 ** min(failures, 20))


# --- The queue


def old_id(days: float) -> str:
    """Return an id of so many days ago."""
    number = int((time.time() - days * 86_400) * 1000) << 80 | 7 << 76 | 2 << 62
    return client._uuid(number | int.from_bytes(os.urandom(7), "big"))


def fill(folder: Path, days: list[float], url: str = "http://127.0.0.1:1") -> list[str]:
    """Let pings of some days ago wait; return their ids."""
    caller = Client(url, "es", "1.0", state_dir=folder)
    ids = [old_id(day) for day in days]
    for id in ids:
        caller._state.keep(id, caller._body(id, caller._told("start")))
    return ids


@settings(max_examples=60)
@given(st.lists(st.integers(0, 120), max_size=30), st.integers(1, 8), st.integers(1, 300))
def test_the_queue_keeps_the_newest_within_its_bounds(sizes: list[int], pings: int, size_bytes: int) -> None:
    """After each ping there are as many of the newest as fit, by number and by size, and no others."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "QUEUE_PINGS", pings)
        patch.setattr(client, "QUEUE_BYTES", size_bytes)
        state, model = client._State(folder), dict[str, int]()
        for number, size in enumerate(sizes):
            id = old_id(1 - number / 1000)
            body = json.dumps({"id": id, "x": "x" * size}).encode()
            state.keep(id, body)
            model[id] = len(body)
            while len(model) > pings or sum(model.values()) > size_bytes:
                del model[next(iter(model))]
            assert {key: len(value) for key, value in state.waiting().items()} == model
        assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_the_bounds_hold_for_processes_at_once(tmp_path: Path) -> None:
    """However many processes add, the queue is within its bounds when they are done."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import test_client
from pathlib import Path
test_client.fill(Path({str(tmp_path)!r}), [1 + n / 1000 for n in range(300)])
"""
    hosts = [subprocess.Popen([sys.executable, "-c", code], env=CLEAN, cwd=ROOT) for _ in range(3)]
    assert [process.wait(PATIENCE_S) for process in hosts] == [0, 0, 0]
    left = waiting(tmp_path)
    assert len(left) == client.QUEUE_PINGS
    assert len({ping["id"] for ping in left}) == len(left)


def test_damaged_and_old_pings_are_removed(tmp_path: Path) -> None:
    """What isn't a whole ping of its name, is too old or is no file is neither sent nor kept."""
    (good,) = fill(tmp_path, [1])
    folder = tmp_path / "es"
    text = (folder / f"{good}.ping").read_bytes()
    for content in (b"", text[:-1], text + b"\n{}", b"[" * 9_000, b"5", text, b"x" * 20_000):
        (folder / f"{old_id(2)}.ping").write_bytes(content)
    for old in (old_id(91), old_id(0).replace(old_id(0)[:8], "00000000")):
        (folder / f"{old}.ping").write_bytes(text.replace(good.encode(), old.encode()))
    os.mkfifo(folder / f"{old_id(3)}.ping")
    (folder / "other.ping").write_bytes(b"not ours")
    assert list(client._State(str(folder)).waiting()) == [good]
    assert {path.name for path in folder.glob("*.ping")} == {f"{good}.ping", "other.ping"}


def test_what_a_kill_left_is_cleared_away(tmp_path: Path) -> None:
    """Temporary files of killed processes go after an hour; those of running ones stay."""
    folder = tmp_path / "es"
    fill(tmp_path, [1])
    for name, age_s in ((".a.tmp", 7_200), (".b.tmp", 0)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age_s,) * 2)
    fill(tmp_path, [1])
    assert [path.name for path in folder.glob("*.tmp")] == [".b.tmp"]


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    """Nobody else reads install id or queue, whatever the umask."""
    code = "import os\nos.umask(0)\n" + TRIED.format(
        url="http://127.0.0.1:1", folder=str(tmp_path), options=""
    )
    quiet(host(code))
    files = list((tmp_path / "es").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "es").stat().st_mode & 0o777 == 0o700
    assert len(files) == 2


def test_a_killed_host_leaves_whole_pings(tmp_path: Path) -> None:
    """A host killed while it writes leaves pings that are whole, and none but its own."""
    code = HOST.format(url="http://127.0.0.1:1", folder=str(tmp_path), options="") + (
        "print(1, flush=True)\nwhile True: c.alive(); c.flush(1)\n"
    )
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", code], env=CLEAN, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        before = len(waiting(tmp_path))
        while len(list((tmp_path / "es").glob("*.ping"))) < before + 5:
            pass
        process.kill()
        process.wait(PATIENCE_S)
        process.stdout.close()
    assert all(ping["install"] == waiting(tmp_path)[0]["install"] for ping in waiting(tmp_path))


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (says(200, b'{"stored":2,"refused":[]}'), 0),
        (says(200, b'{"stored":1,"refused":[{"line":1,"reason":"too_long"}]}'), 0),
        (says(200, b'{"stored":1,"refused":[{"line":2,"reason":"overloaded"},{"line":9},5]}'), 1),
        (says(400), 0),
        (says(503), 2),
        (resets, 2),
    ],
)
def test_the_queue_follows_what_the_server_says(answer: Behave, left: int, tmp_path: Path) -> None:
    """All that a batch settled is gone; what may pass stays."""
    ids = fill(tmp_path, [3, 2])
    with peer(lambda c, s, n: (says(204) if n == 1 else answer)(c, s, n)) as server:
        caller = client.ping(server.url, "es", "1.0", state_dir=tmp_path)
        server.has(2)
        caller.flush(PATIENCE_S)
    assert [ping["id"] for ping in server.bodies()[1:]] == ids
    assert server.requests[1].startswith(b"POST /v1/pings HTTP/1.1\r\n")
    assert [ping["id"] for ping in waiting(tmp_path)] == (ids[-left:] if left else [])


def test_one_process_at_a_time_sends_the_queue(tmp_path: Path) -> None:
    """While another process sends the queue, this one sends its own ping and leaves the others alone."""
    ids = fill(tmp_path, [2, 1])
    with peer(says(204)) as server:
        with client._State(str(tmp_path / "es")).draining() as is_mine:
            caller = client.ping(server.url, "es", "1.0", state_dir=tmp_path)
            assert caller.flush(PATIENCE_S)
        assert is_mine
        assert [request.split()[1] for request in server.requests] == [b"/v1/ping"]
    assert [ping["id"] for ping in waiting(tmp_path)] == ids


# --- The installation


def shown_install(**options: Any) -> str:
    """The install id of what would be sent."""
    shown = Client("http://127.0.0.1:1", "es", "1.0", **options).show()
    return str(json.loads(shown.partition(b"\r\n\r\n")[2])["install"])


def test_first_starts_agree_on_one_install(tmp_path: Path) -> None:
    """Processes that start for the first time at once have one install id, and so has every later one."""
    code = HOST.format(url="http://127.0.0.1:1", folder=str(tmp_path), options="").replace(
        "c.start()", "sys.stdin.readline(); print(c.show().decode())"
    )
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=CLEAN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    for process in hosts:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=PATIENCE_S)[0] for process in hosts]
    found = {match for text in said for match in re.findall(r'"install":"([^"]+)"', text)}
    assert found == {shown_install(state_dir=tmp_path)}
    assert len(said) == 8


def test_a_damaged_install_id_is_made_anew(tmp_path: Path) -> None:
    """A file that holds no id is replaced, and what replaces it stays."""
    (tmp_path / "es").mkdir()
    (tmp_path / "es" / "install-id").write_bytes(b"\0\xff")
    first = shown_install(state_dir=tmp_path)
    assert first == shown_install(state_dir=tmp_path) == (tmp_path / "es" / "install-id").read_text()


def test_where_an_install_id_comes_from(tmp_path: Path) -> None:
    """One that is given wins, then the machine's with the product, then the folder's; else it is the process's."""
    volume = shown_install(state_dir=tmp_path)
    machine = shown_install(machine_id="node-7", state_dir=tmp_path)
    assert shown_install(install_id="given-by-us", machine_id="node-7") == "given-by-us"
    assert machine == shown_install(machine_id="node-7") != volume
    assert "node-7" not in machine
    assert machine != shown_install(machine_id="node-8")
    other = Client("http://127.0.0.1:1", "other", "1.0", machine_id="node-7").show()
    assert machine.encode() not in other
    assert volume == shown_install(state_dir=tmp_path, machine_id="")
    nowhere = Client("http://127.0.0.1:1", "es", "1.0", state_dir="/proc/nowhere")
    assert nowhere._install() == nowhere._install() != volume


@pytest.mark.skipif(sys.platform != "linux", reason="the places of Linux")
def test_the_usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder of its own a client uses the platform's, and none where there is no home."""
    assert client._state_folder(None, "es") == f"{os.environ['HOME']}/.local/state/callhome/es"
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert client._state_folder(None, "..") == "/somewhere/callhome/_."
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.delenv("HOME")
    assert client._state_folder(None, "es") == ""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may give folders away")
def test_nothing_is_made_in_the_home_of_another(tmp_path: Path) -> None:
    """Neither in the home folder of another user, nor in one that isn't there, is a folder made; pings are sent."""
    away = tmp_path / "away"
    away.mkdir()
    os.chown(away, 65_534, 65_534)
    with peer(says(204)) as server:
        for home in (away, tmp_path / "none"):
            code = (
                f'from callhome.client import ping\nc = ping({server.url!r}, "es", "1.0")\nprint(c.flush(50))'
            )
            assert quiet(host(code, HOME=str(home))) == "True\n"
        assert len(server.requests) == 2
    assert not list(away.iterdir())
    assert not (tmp_path / "none").exists()


def test_a_machine_id_is_one_or_none() -> None:
    """Where the machine has an id, it is that; else there is none."""
    assert re.fullmatch(r"|[0-9a-f]{32}", client.machine_id())


# --- The program around it


def test_it_brings_nothing_of_callhome_with_it() -> None:
    """Importing the client imports no other module of the package, and only the standard library."""
    code = """
import sys
before = set(sys.modules)
import callhome.client
for name in sorted(set(sys.modules) - before):
    top = name.partition(".")[0]
    if top not in sys.stdlib_module_names:
        print(name)
"""
    assert quiet(host(code)).split() == ["callhome", "callhome.client"]


def test_the_child_of_a_fork_begins_anew(tmp_path: Path) -> None:
    """A child has none of its parent's pings and a thread of its own, even if forked in the midst of a request."""
    code = (
        TOLD
        + """
import os, warnings
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    c.alive()
    print(c.flush(50), c.status, flush=True)
else:
    os.waitpid(child, 0)
"""
    )
    with peer(lambda c, s, n: (hangs() if n == 1 else says(204))(c, s, n)) as server:
        code = code.format(url=server.url, folder=str(tmp_path), options="budget_s=1000")
        with begun(code) as process:
            server.has(1)
            said, _ = process.communicate(b"go\n", timeout=PATIENCE_S)
        assert said == b"True 204, stored\n"
        assert [ping["event"] for ping in server.bodies()] == ["start", "alive"]


def test_a_handler_of_a_signal_may_call(tmp_path: Path) -> None:
    """Pings from the handler of a signal don't wait for a call that it interrupted."""
    code = (
        HOST
        + """
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: c.alive())
signal.setitimer(signal.ITIMER_REAL, 0)
for _ in range(300):
    c.alive()
    os.kill(os.getpid(), signal.SIGUSR1)
with c._turn:
    os.kill(os.getpid(), signal.SIGUSR1)
print("done")
"""
    )
    assert quiet(host(code.format(url="http://127.0.0.1:1", folder=str(tmp_path), options=""))) == "done\n"


def test_calls_are_bounded_while_nothing_is_sent(tmp_path: Path) -> None:
    """A program that calls without end keeps no more than some pings in memory."""
    with peer(hangs()) as server:
        caller = Client(server.url, "es", "1.0", state_dir=tmp_path, budget_s=1.0)
        caller.start()
        server.has(1)
        for _ in range(1_000):
            caller.alive()
        assert len(caller._jobs) <= client.KEPT_PINGS
        server.let_go.set()
        caller.flush(PATIENCE_S)
        assert len(caller._unsent) <= client.KEPT_PINGS


# --- The real server


async def outside(code: str, **environ: str) -> str:
    """Run a host while this test's server runs; return what it printed."""
    return quiet(await asyncio.to_thread(host, code, **environ))


async def rows(dsn: str) -> list[Any]:
    """All that is stored."""
    async with connected(dsn) as connection:
        return list(await connection.fetch("SELECT id, day, install, event FROM ping ORDER BY id"))


async def test_a_lost_answer_makes_no_twin(database: str, tmp_path: Path) -> None:
    """The first answer is lost on its way, after the commit; the ping is sent again and stored once."""
    async with running(database) as app:
        port = app.addresses.ingest.port

        def cut(connection: socket.socket, server: Peer, number: int) -> None:
            with socket.create_connection(("127.0.0.1", port)) as onward:
                onward.sendall(server.requests[number - 1])
                answer = onward.recv(65_536)
                if number > 1:
                    connection.sendall(answer)

        with peer(cut) as server:
            code = HOST.format(url=server.url, folder=str(tmp_path), options="retry_s=0.05")
            said = await outside(code + "while not c.flush(1): pass\nprint(c.status)\n")
            assert said == "204, stored\n"
            assert len(server.requests) == 2
        assert [str(row["id"]) for row in await rows(database)] == [server.bodies()[0]["id"]]


async def test_the_offline_queue_arrives_with_its_days(database: str, tmp_path: Path) -> None:
    """Pings of days without a network arrive at the next start, each on its own day."""
    days = [60.0, 7.0, 1.0]
    ids = fill(tmp_path, days)
    async with running(database) as app:
        code = TRIED.format(url=app.addresses.ingest.url, folder=str(tmp_path), options="")
        assert (await outside(code)).startswith("True|200, stored")
        stored = await rows(database)
    assert [str(row["id"]) for row in stored[:3]] == ids
    now = datetime.now(UTC)
    for row, day in zip(stored, days, strict=False):
        assert abs((row["day"] - (now - timedelta(days=day)).date()).days) <= 1
    assert len(stored) == 4
    assert len({row["install"] for row in stored}) == 1
    assert not waiting(tmp_path)


async def test_processes_share_a_queue(database: str, tmp_path: Path) -> None:
    """Of processes that start at once none loses or doubles what waits, and their own pings come too."""
    ids = fill(tmp_path, [1 + number / 100 for number in range(300)])
    async with running(database) as app:
        code = HOST.format(url=app.addresses.ingest.url, folder=str(tmp_path), options="retry_s=0.05")
        code += "while not c.flush(1): pass\n"
        await asyncio.gather(*(outside(code) for _ in range(4)))
        stored = [str(row["id"]) for row in await rows(database)]
    assert len(stored) == len(set(stored)) == 304
    assert set(ids) < set(stored)
    assert not waiting(tmp_path)


async def test_an_outage_is_caught_up(database: str, tmp_path: Path) -> None:
    """Pings of processes that came and went without a server are stored by the next that finds it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code = TRIED.format(url=f"http://127.0.0.1:{port}", folder=str(tmp_path), options="")
    for _ in range(3):
        assert (await outside(code)).startswith("False|kept for later: no answer: ")
    kept = [ping["id"] for ping in waiting(tmp_path)]
    # A ping is left to its process for a while: as if that had passed.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "FRESH_S", 0.0)
        async with running(database) as app:
            caller = client.ping(app.addresses.ingest.url, "es", "1.0", state_dir=tmp_path)
            assert await asyncio.to_thread(caller.flush, PATIENCE_S)
            stored = [str(row["id"]) for row in await rows(database)]
    assert len(kept) == 3
    assert stored[:3] == kept
    assert len(stored) == 4


async def test_the_real_answer_reaches_the_program(database: str, tmp_path: Path) -> None:
    """What the server says to a ping arrives in the callback, typed."""
    async with running(database, next_s=3_600) as app:
        options = "on_answer=lambda answer: print(answer.next_s > 3_000, answer.latest == '')"
        said = await outside(
            TRIED.format(url=app.addresses.ingest.url, folder=str(tmp_path), options=options)
        )
    assert said == "True True\nTrue|200, stored\n"


async def test_trying_it_by_hand(database: str, tmp_path: Path) -> None:
    """``python -m callhome.client`` sends a ping, or shows it, and ends with 0 if all is well."""
    async with running(database) as app:
        words = ["--product", "es", "--version", "1.0", "--state-dir", str(tmp_path)]
        for url, more, status, said in (
            (app.addresses.ingest.url, [], 0, "the server has nothing to say\n204, stored\n"),
            (
                app.addresses.ingest.url,
                ["--users", "-1", "--product", "no"],
                1,
                "400, not stored: unknown_product",
            ),
            (app.addresses.ingest.url, ["--show"], 0, "To http://127.0.0.1:"),
            ("http://ping.example.com", [], 1, "nothing is sent: url: expected https"),
            ("http://127.0.0.1:1", [], 1, "kept for later: no answer: "),
        ):
            command = [sys.executable, "-m", "callhome.client", "--url", url, *words, *more]
            done = await asyncio.to_thread(
                subprocess.run, command, env=CLEAN, capture_output=True, text=True, timeout=PATIENCE_S
            )
            assert (done.returncode, done.stderr) == (status, "")
            assert done.stdout.startswith(said)
        assert len(await rows(database)) == 1


# --- The documents


async def test_the_examples_of_the_page_run(database: str, tmp_path: Path) -> None:
    """Each program that the page shows runs as it is, and its ping is stored."""
    text = (ROOT / "docs" / "client.md").read_text("utf-8")
    programs = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    async with running(database, next_s=3_600) as app:
        for number, program in enumerate(programs, 1):
            code = program.replace("https://ping.example.com", app.addresses.ingest.url)
            code = code.replace('state_dir="/var/lib/es"', f"state_dir={str(tmp_path)!r}")
            # What only a test does: send, and wait, with the client that the program has made.
            code = re.sub(r"^(home = )?(client\.ping|Client)\(", r"home = \2(", code, flags=re.MULTILINE)
            assert await outside(code + "\nhome.start()\nassert home.flush(50), home.status\n") == ""
            async with connected(database) as connection:
                assert await connection.fetchval("SELECT count(DISTINCT id) FROM ping") >= number
    assert len(programs) == 4
