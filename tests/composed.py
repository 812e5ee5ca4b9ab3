"""``compose.yaml`` as data: the services, with the variables of ``.env`` put in as Compose does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent
FILE: Final = ROOT / "compose.yaml"
# What setup.sh writes into .env.
NAMES: Final[Mapping[str, str]] = {
    "PING_HOST": "ping.example.com",
    "CONSOLE_HOST": "callhome.example.com",
    "CONSOLE_NETWORKS": "private_ranges",
}

_VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def composition(environ: Mapping[str, str] = NAMES, text: str | None = None) -> dict[str, Any]:
    """The file as Compose reads it; raises KeyError for a variable that must be given, and isn't."""
    found: dict[str, Any] = _put_in(yaml.safe_load(text or FILE.read_text("utf-8")), environ)
    return found


def _put_in(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _put_in(part, environ) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_in(part, environ) for part in value]
    return interpolated(value, environ) if isinstance(value, str) else value


def interpolated(text: str, environ: Mapping[str, str]) -> str:
    """Put variables in: ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``."""

    def value(matched: re.Match[str]) -> str:
        name, kind, rest = matched.groups()
        if environ.get(name):
            return environ[name]
        if kind == ":-":
            return str(rest)
        raise KeyError(f"{name}: {rest}")

    return _VARIABLE.sub(value, text)


def variables() -> dict[str, bool]:
    """The variables that the file takes from ``.env``, and whether each must be given."""
    found: dict[str, bool] = {}
    for name, kind, _ in _VARIABLE.findall(FILE.read_text("utf-8")):
        found[name] = found.get(name, False) or kind == ":?"
    return found


def size_bytes(text: str) -> int:
    """A size such as ``512m``, ``1g`` or PostgreSQL's ``512MB``."""
    number, unit = re.fullmatch(r"(\d+)([kmg])b?", text.lower()).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def mounts(service: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """What is mounted into a service: source, target, and whether it is read-only."""
    found = []
    for volume in service.get("volumes", ()):
        if isinstance(volume, str):
            source, target, *mode = volume.split(":")
            found.append((source, target, mode == ["ro"]))
        else:
            found.append((volume["source"], volume["target"], bool(volume.get("read_only"))))
    return found


def server_settings(service: Mapping[str, Any]) -> dict[str, str]:
    """The settings that a command of PostgreSQL gives with ``-c``."""
    words = service["command"]
    return dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "-c")


def networks_of(service: Mapping[str, Any]) -> set[str]:
    """The networks of a service."""
    return set(service.get("networks", ()))


def subnet(composed: Mapping[str, Any], network: str, key: str = "subnet") -> Any:
    """A network's addresses, or those of them that are given out by themselves (``ip_range``)."""
    (config,) = composed["networks"][network]["ipam"]["config"]
    return ip_network(config[key])
