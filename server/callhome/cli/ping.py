"""``callhome ping``: one real ping, and what its answer means. Standard library only: it starts at once."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import click

from ..errors import CallhomeError, UsageError
from .text import printable, printable_lines

# A commit may take 10 s by default (COMMIT_S) before the server says 503: wait longer than that.
ANSWER_S: Final = 15.0
# An answer of the server is under 16 KiB, as a ping is; what is longer is not from callhome.
_ANSWER_BYTES: Final = 16 * 1024

_OPTIONAL: Final = {
    "build": "The build of that version.",
    "license": "The license key or its serial.",
    "os": "Operating system.",
    "os_version": "Its version.",
    "arch": "Processor architecture.",
    "locale": "Locale, such as de-DE.",
    "channel": "Release channel, such as beta.",
    "id": "The ping's own id, a UUIDv7: the same id twice counts once. [default: the server makes one]",
}

_BY_REASON: Final = {
    "unknown_product": "The product isn't registered: callhome product add {product}",
    "overloaded": "The server has more pings waiting than it may; send it again after Retry-After seconds.",
    "stopping": "The server is stopping; send it again in a moment.",
}
_BY_STATUS: Final = {
    404: "No ping is taken there. Is --url the address of the ingest listener (CALLHOME_INGEST_LISTEN)?",
    405: "No ping is taken there. Is --url the address of the ingest listener (CALLHOME_INGEST_LISTEN)?",
    503: "Nothing is known to be stored; send it again, with the same id.",
}
_BY_CLASS: Final = {
    2: "The ping is durable: committed, or in the server's spool while its database is away.",
    3: "callhome never redirects. Is --url right?",
    4: "The ping is not stored: the request is wrong, and the answer says why.",
    5: "Nothing is known to be stored; the server's log says more.",
}


def _optional_fields(command: Any) -> Any:
    """An option for each optional field of a ping."""
    for name, words in reversed(_OPTIONAL.items()):
        command = click.option("--" + name.replace("_", "-"), name, help=words)(command)
    return command


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The ingest listener.")
@click.option("--product", required=True, help="A registered product's key, such as es.")
@click.option("--version", required=True, help="The version of the product.")
@click.option("--install", help="An opaque id, stable for an installation. [default: one for this machine]")
@click.option("--users", type=int, help="People using this install. [default: 1]")
@click.option(
    "--event", type=click.Choice(["start", "alive", "stop"]), help="What the install does. [default: start]"
)
@_optional_fields
def ping(url: str, **fields: Any) -> None:
    """Send one ping and explain the answer.

    Prints the status, the answer and what it means. Ends with 0 if the ping is durable, else with 1.

    \b
    Example:
      callhome ping --product es --version 1.0 --users 25 --license AAAA-BBBB-CCCC
    """
    fields["install"] = fields["install"] or f"callhome-ping-on-{socket.gethostname()}"[:128]
    body = {name: value for name, value in fields.items() if value is not None}
    status, phrase, headers, answer = _post(url, json.dumps(body).encode())
    click.echo(printable(f"{status} {phrase}"))
    if retry_after_s := headers.get("Retry-After"):
        click.echo(f"Retry-After: {printable(retry_after_s)}")
    if answer:
        click.echo(printable_lines(_readable(answer)))
    click.echo(explain(status, answer, body["product"]))
    if status // 100 != 2:
        raise click.exceptions.Exit(1)


def explain(status: int, answer: bytes, product: str) -> str:
    """What an answer means to whoever sent the ping, and what to do."""
    try:
        decoded = json.loads(answer)
    except (ValueError, RecursionError):
        decoded = None
    reason = decoded.get("reason") if isinstance(decoded, dict) else None
    if isinstance(reason, str) and reason in _BY_REASON:
        return _BY_REASON[reason].format(product=product)
    return _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, "That is no answer of callhome.")


def _post(url: str, body: bytes) -> tuple[int, str, http.client.HTTPMessage, bytes]:
    """POST ``body`` to the ping route below ``url``: status, phrase, headers and body of the answer."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError(f"{url!r} is no address of a server: expected one such as http://127.0.0.1:8080")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=ANSWER_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", parts.path.rstrip("/") + "/v1/ping", body, headers)
        response = connection.getresponse()
        return response.status, response.reason, response.headers, response.read(_ANSWER_BYTES)
    except ConnectionRefusedError:
        raise CallhomeError(f"nothing listens at {url}: start `callhome serve`, or name its --url") from None
    except TimeoutError:
        raise CallhomeError(f"no answer from {url} within {ANSWER_S:g} s; the ping may be stored") from None
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise CallhomeError(f"no answer from {url}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def _readable(answer: bytes) -> str:
    """The answer as indented JSON; anything else as it is."""
    try:
        return json.dumps(json.loads(answer), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return answer.decode("utf-8", "replace")
