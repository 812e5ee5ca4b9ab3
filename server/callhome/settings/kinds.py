"""The kinds of values a setting can have, each read from the text an operator writes.

Pure functions: text (or what TOML made of it) in, a value out. They raise ``ValueError`` with what is
wrong; those for values that hold a secret never repeat any of it, for the message reaches logs.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# 32 characters: as hexadecimal digits 128 bits, the least that NIST SP 800-131A still allows for a key.
SECRET_CHARACTERS: Final = 32
# What an old request's field may become: the fields of a ping, but for `extra`, which is no single value.
LEGACY_TARGETS: Final = (
    *("product", "version", "build", "install", "id", "license", "users"),
    *("os", "os_version", "arch", "locale", "channel", "event"),
)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener binds: ``host`` ("" is every interface) and ``port`` (0 is any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The http URL under which this machine itself reaches the listener."""
        own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{Listen(own, self.port)}"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The URL of a database: ``dsn`` is for the driver; ``str()`` and ``repr()`` are safe to show."""

    dsn: str = field(repr=False)

    def __str__(self) -> str:
        masked = re.sub(r"^(\w+://[^@:]*):[^@]*@", r"\1:***@", self.dsn)
        return re.sub(r"(?i)((?:ssl)?password=)[^&]*", r"\1***", masked)

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"


def listen(value: object) -> Listen:
    """``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT`` (every interface)."""
    if isinstance(value, Listen):
        return value
    matched = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]*)):(\d{1,5})", text_of(value), re.ASCII)
    if not matched:
        raise ValueError(f"got {value!r}")
    if matched[1]:
        try:
            ipaddress.IPv6Address(matched[1])
        except ValueError as error:
            raise ValueError(f"[{matched[1]}] is no IPv6 address") from error
    if int(matched[3]) > 65_535:
        raise ValueError(f"{matched[3]} is no port")
    return Listen(matched[1] or matched[2] or "", int(matched[3]))


def database_url(value: object) -> DatabaseUrl:
    """A PostgreSQL URL whose parts are unambiguous, so that its password can be told from the rest."""
    if isinstance(value, DatabaseUrl):
        return value
    url = text_of(value)
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("it doesn't begin with postgresql:// (not shown: it may hold a password)")
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest)[0]
    # With a raw one of these in the password nobody can tell where the host begins, nor what to mask.
    if rest.count("@") != authority.count("@") or rest.count("@") > 1 or re.search(r"[#\s]", rest):
        raise ValueError(
            "write @ / ? # and blanks in the user or password as %40 %2F %3F %23 %20 (not shown)"
        )
    _check_places(authority.rpartition("@")[2])
    _check_parameters(rest.partition("?")[2])
    try:
        urlsplit(url)
    except ValueError:  # its message would show all of it
        raise ValueError("write what isn't ASCII as %XX, and an IPv6 address as [::1] (not shown)") from None
    return DatabaseUrl(url)


def secret(value: object) -> SecretStr:
    """The key of the pseudonyms."""
    revealed = value.get_secret_value() if isinstance(value, SecretStr) else text_of(value, shown=False)
    if len(revealed) < SECRET_CHARACTERS:
        raise ValueError(f"it has {len(revealed)} characters (not shown)")
    return SecretStr(revealed)


def networks(value: object) -> tuple[Network, ...]:
    """Networks or single addresses."""
    return tuple(_network(item) for item in _items(value))


def hosts(value: object) -> tuple[str, ...]:
    """Names of hosts in lower case."""
    found = tuple(dict.fromkeys(item.lower() for item in _items(value)))
    for host in found:
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", host):
            raise ValueError(f"{host!r} is no host name (an international one begins with xn--)")
    return found


def paths(value: object) -> tuple[str, ...]:
    """Extra request paths; those that mean something else already are refused."""
    found = tuple(dict.fromkeys(_items(value)))
    for path in found:
        if not re.fullmatch(r"/[!-~]*", path) or re.search(r"[?#]", path):
            raise ValueError(f"{path!r} is no path: it begins with / and holds no space, ? or #")
        if path in ("/livez", "/v1") or path.startswith("/v1/"):
            raise ValueError(f"{path!r} is taken: /v1/… and /livez have a meaning of their own")
    return found


def fields(value: object) -> Mapping[str, str]:
    """Old field names and the ping's fields they stand for."""
    if isinstance(value, Mapping):
        pairs = [(str(old), new) for old, new in value.items()]
    else:
        pairs = [_pair(item) for item in _items(value)]
    for old, new in pairs:
        if new not in LEGACY_TARGETS:
            raise ValueError(f"{old!r} is mapped to {new!r}; a ping has {', '.join(LEGACY_TARGETS)}")
        if not old or [name for name, _ in pairs].count(old) > 1:
            raise ValueError(f"the old name {old!r} is {'there twice' if old else 'empty'}")
    return MappingProxyType(dict(pairs))


def readable_file(value: object) -> Path:
    """A file that can be read now."""
    path = value if isinstance(value, Path) else Path(text_of(value))
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{str(path)!r} may not be read by this user")
    return path


def own_folder(value: object) -> Path:
    """A folder that is there, or whose parent is: then it is made when it is needed."""
    path = value if isinstance(value, Path) else Path(text_of(value))
    if path.exists() and not path.is_dir():
        raise ValueError(f"{str(path)!r} is no folder")
    if not path.exists() and not path.absolute().parent.is_dir():
        raise ValueError(f"there is no folder {str(path.absolute().parent)!r} to make {path.name!r} in")
    return path.absolute()


def no_truth(value: object) -> object:
    """Refuse ``true`` where a number is meant: Python would take it for 1."""
    if isinstance(value, bool):
        raise ValueError(f"got {str(value).lower()}")
    return value


def show(value: object) -> str:
    """A value as an operator would write it; ``""`` for none."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case SecretStr():
            return "***"
        case Mapping():
            return ",".join(f"{old}={new}" for old, new in value.items())
        case tuple() | list():
            return ",".join(map(str, value))
    return str(value)


def _check_places(authority: str) -> None:
    """Raise unless this is nothing, or HOST, HOST:PORT or several of them."""
    for place in authority.split(",") if authority else ():
        matched = re.fullmatch(r"(?:\[[\w:.%]+\]|[\w.%-]+)(?::(\d{1,5}))?", place, re.ASCII)
        if matched is None:
            raise ValueError("what follows the user and password is not HOST or HOST:PORT (not shown)")
        check_port(matched[1])


def _check_parameters(query: str) -> None:
    """Raise unless this is nothing, or NAME=VALUE, several with & between; a hidden name would hide a password."""
    for parameter in query.split("&") if query else ():
        name, equals, value = parameter.partition("=")
        if not equals or not re.fullmatch(r"\w+", name, re.ASCII):
            raise ValueError("what follows ? is not NAME=VALUE&NAME=VALUE with plain names (not shown)")
        if name == "port":
            for port in value.split(","):
                check_port(port)
        elif name == "host" and "" in value.split(","):
            raise ValueError("the parameter host names a host that is empty")


def check_port(text: str | None) -> None:
    """Raise unless this is a port from 1 to 65535, or nothing."""
    if text is not None and not (text.isdecimal() and 0 < int(text) <= 65_535):
        raise ValueError("its port is not from 1 to 65535")


def text_of(value: object, *, shown: bool = True) -> str:
    """The text that was given; ``shown`` says whether a message may show what else was."""
    if not isinstance(value, str):
        raise ValueError(f"got {value!r}" if shown else f"it is of type {type(value).__name__}, not a text")
    return value


def _items(value: object) -> list[str]:
    """A comma separated text, or a list, as texts without the blanks around them."""
    items = value if isinstance(value, list | tuple) else text_of(value).split(",")
    return [text for item in items if (text := str(item).strip())]


def _network(item: str) -> Network:
    try:
        return ipaddress.ip_network(item)
    except ValueError:
        try:
            wider = ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise ValueError(f"{item!r} is no network") from None
        raise ValueError(f"{item!r} has host bits set; did you mean {wider}?") from None


def _pair(item: str) -> tuple[str, str]:
    old, equals, new = (part.strip() for part in item.partition("="))
    if not equals:
        raise ValueError(f"{item!r} has no '='")
    return old, new
