"""``callhome health``: whether the server on this machine is ready, as an exit code for a container's health check."""

from __future__ import annotations

import http.client
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from ..errors import CallhomeError, UsageError
from .options import config
from .text import printable_lines

# It answers from memory. Docker's and Kubernetes' own checks give up after 30 s and 1 s, the image's after 5 s.
ANSWER_S: Final = 3.0
# A line for each reason, and there are a handful.
_ANSWER_BYTES: Final = 16 * 1024


@click.command()
@config
@click.option("--url", help="The console listener. [default: where CALLHOME_CONSOLE_LISTEN says]")
def health(config: Path | None, url: str | None) -> None:
    """Ask the server on this machine whether it is ready.

    Prints `ready`, or why it is not, a reason a line. Ends with 0 if it is ready, else with 1. With several
    workers, one of them answers.

    \b
    Examples:
      callhome health
      callhome health --url http://127.0.0.1:8081
    """
    url = url or console_url(config)
    status, said = _ask(url)
    if status not in (200, 503):
        raise CallhomeError(f"{url}/readyz answers {status}: is that the console (CALLHOME_CONSOLE_LISTEN)?")
    click.echo(printable_lines(said.strip()))
    if status != 200:
        raise click.exceptions.Exit(1)


def console_url(config: Path | None) -> str:
    """The address of the console by the settings. Raises `UsageError` where they are wrong, or don't tell."""
    from ..settings import SettingsError, collect
    from ..settings.kinds import listen
    from ..settings.table import TABLE, Settings

    # Only this one is looked at: the server has judged the others, and may have got some as options.
    collected = collect({}, config, os.environ, {})
    given = collected.given.get("console_listen")
    place = Settings.model_fields["console_listen"].default
    if given is not None:
        try:
            place = listen(given.value)
        except ValueError as error:
            collected.problems.append(f"{given.label}: expected {TABLE[given.name].expected}; {error}")
    if collected.problems:
        raise SettingsError(collected.problems)
    if not place.port:
        raise UsageError("CALLHOME_CONSOLE_LISTEN has port 0, which is any: name the console with --url")
    return str(place.url)


def _ask(url: str) -> tuple[int, str]:
    """Status and text of ``/readyz`` below ``url``."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme != "http":
        raise UsageError(f"{url!r} is no address of a console: expected one such as http://127.0.0.1:8081")
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/readyz")
        response = connection.getresponse()
        return response.status, response.read(_ANSWER_BYTES).decode("utf-8", "replace")
    except ConnectionRefusedError:
        raise CallhomeError(f"nothing listens at {url}: the server isn't there, or not ready yet") from None
    except TimeoutError:
        raise CallhomeError(f"no answer from {url} within {ANSWER_S:g} s") from None
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise CallhomeError(f"no answer from {url}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()
