"""``callhome ping`` against real sockets: what is sent, what is said of the answer, the exit code."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from callhome.cli import main
from callhome.cli.ping import explain

WORDS = ["ping", "--product", "es", "--version", "1.0"]


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[tuple[str, list[Any]]]:
    """An HTTP server that gives every request the same answer: its URL, and what it was sent."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Content-Type"], json.loads(content)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: stderr is the command's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ANSWERS: list[tuple[int, bytes, dict[str, str], int, list[str]]] = [
    (204, b"", {}, 0, ["204 No Content", "durable: committed, or in the server's spool"]),
    (200, b'{"latest":"2.0"}', {}, 0, ["200 OK", '"latest": "2.0"', "The ping is durable"]),
    (
        400,
        b'{"reason":"unknown_product","message":"no such product"}',
        {},
        1,
        ["400 Bad Request", "unknown_product", "callhome product add es"],
    ),
    (400, b'{"reason":"too_long","field":"version"}', {}, 1, ['"field": "version"', "is not stored"]),
    (404, b"no \x1b[31msuch page", {}, 1, ["404 Not Found", "no �[31msuch page", "CALLHOME_INGEST_LISTEN"]),
    (400, b'{"m":"a\xc2\x9b2Jb \\ud800 \xe2\x80\xae"}', {}, 1, ['"m": "a�2Jb � �"']),
    (200, b"[" * 16_000, {"Retry-After": "\x1b[2J7"}, 0, ["Retry-After: �[2J7", "[" * 16_000, "is durable"]),
    (503, b"", {"Retry-After": "7"}, 1, ["Retry-After: 7", "send it again, with the same id"]),
    (302, b"", {"Location": "/elsewhere"}, 1, ["callhome never redirects"]),
]


@pytest.mark.parametrize(("status", "body", "headers", "exit_code", "told"), ANSWERS)
def test_the_answer_is_printed_and_explained(
    status: int, body: bytes, headers: dict[str, str], exit_code: int, told: list[str]
) -> None:
    """Status, answer and meaning are printed; only a 2xx ends with 0."""
    with answering(status, body, headers) as (url, _):
        result = CliRunner().invoke(main, [*WORDS, "--url", url])
    assert result.exit_code == exit_code
    assert [part for part in told if part not in result.stdout] == []
    assert result.stdout.replace("\n", "").isprintable()


def test_every_option_is_a_field_of_the_ping() -> None:
    """What is given is sent, what isn't is left out; the install id is always there, and the same again."""
    words = ["--users", "25", "--os-version", "13", "--event", "stop", "--locale", "de-DE"]
    with answering(204, b"", {}) as (url, seen):
        for more in (words, []):
            CliRunner().invoke(main, [*WORDS, *more, "--url", url + "/behind/"])
    (path, kind, full), (_, _, short) = seen
    assert (path, kind) == ("/behind/v1/ping", "application/json")
    install = full.pop("install")
    assert 8 <= len(install) <= 128
    assert short == {"product": "es", "version": "1.0", "install": install}
    assert full.items() - short.items() == {
        ("users", 25),
        ("os_version", "13"),
        ("event", "stop"),
        ("locale", "de-DE"),
    }


@pytest.mark.parametrize(
    ("url", "exit_code", "message"),
    [
        ("http://127.0.0.1:1", 1, "nothing listens at http://127.0.0.1:1: start `callhome serve`"),
        ("127.0.0.1:1", 1, "start `callhome serve`"),
        ("ftp://127.0.0.1", 2, "'ftp://127.0.0.1' is no address of a server"),
        ("http://127.0.0.1:port", 2, "is no address of a server"),
        ("http://", 2, "is no address of a server"),
        ("http://[", 2, "is no address of a server"),
        ("http://h℀x", 2, "is no address of a server"),
        ("http://a..ä", 1, "no answer from http://a..ä"),
    ],
)
def test_no_server_is_told_apart_from_no_address(url: str, exit_code: int, message: str) -> None:
    """A refused connection says to start the server; a wrong address says what one looks like."""
    result = CliRunner().invoke(main, [*WORDS, "--url", url])
    assert (result.exit_code, message in result.stderr) == (exit_code, True)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 \x1b[2J\r\n\r\n", b"\x1b[2J\r\n\r\n", b"HTTP/1.1 200 \x9b2J\r\n\r\n"]
)
def test_a_status_line_reaches_no_terminal_raw(said: bytes) -> None:
    """Neither a phrase nor a line that is no HTTP may steer the terminal."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):  # closing with anything unread would reset the line
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        result = CliRunner().invoke(main, [*WORDS, "--url", f"http://127.0.0.1:{server.getsockname()[1]}"])
        thread.join()
    assert "�" in result.output
    assert result.output.replace("\n", "").isprintable()


def test_a_strange_answer_is_no_answer_of_ours() -> None:
    """Answers that callhome never gives are explained too."""
    assert explain(418, b"[1]", "es").startswith("The ping is not stored")
    assert explain(999, b'{"reason":["x"]}', "es") == "That is no answer of callhome."
