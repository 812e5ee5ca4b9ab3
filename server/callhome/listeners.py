"""What each of the two listeners is told of the settings. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from .access.model import Lifetimes
from .console.server import ConsoleConfig
from .ingest.config import IngestConfig
from .settings import Settings

DAY_S: Final = 86_400.0


def _console_hosts(settings: Settings) -> tuple[str, ...]:
    """The names that were given, and that of the address which mails lead to."""
    named = urlsplit(settings.console_url or "").hostname
    return (*settings.console_hosts, *([named] if named else []))


def console_config(settings: Settings, connections: int, close_s: float, is_shared: bool) -> ConsoleConfig:
    """Return what the console's listener is to do: viewers have ``close_s`` to go; others may share its port."""
    return ConsoleConfig(
        host=settings.console_listen.host,
        port=settings.console_listen.port,
        hosts=_console_hosts(settings),
        connections=connections,
        close_s=close_s,
        reuse_port=is_shared,
        map_guests=settings.map_guests,
    )


def lifetimes(settings: Settings) -> Lifetimes:
    """Return how long sessions last."""
    return Lifetimes(
        idle_s=settings.session_idle_s,
        whole_s=settings.session_days * DAY_S,
        viewer_idle_s=settings.viewer_idle_days * DAY_S,
        viewer_whole_s=settings.viewer_days * DAY_S,
    )


def ingest_config(settings: Settings, connections: int, drain_s: float, is_shared: bool) -> IngestConfig:
    """Return what the listener for pings is to do: clients have ``drain_s`` to go; others may share its port."""
    return IngestConfig(
        host=settings.ingest_listen.host,
        port=settings.ingest_listen.port,
        connections=connections,
        header_s=settings.header_s,
        body_s=settings.body_s,
        batch_body_s=3 * settings.body_s,
        keepalive_s=settings.keepalive_s,
        drain_s=drain_s,
        trusted_proxies=settings.trusted_proxies,
        legacy_paths=settings.legacy_paths,
        legacy_fields=settings.legacy_fields,
        legacy_always_ok=settings.legacy_always_ok,
        reuse_port=is_shared,
        install_pings_s=settings.install_pings_s,
        install_burst=settings.install_burst,
        prefix_installs=settings.prefix_installs,
        pings_per_s=settings.pings_per_s,
    )
