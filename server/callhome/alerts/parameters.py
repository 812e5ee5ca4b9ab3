"""The numbers of each rule, their defaults and bounds; and what people give for an alert, checked by field. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import UsageError
from .model import Numbers, Rule

NAME_CHARACTERS: Final = 100
# More people than these are a mailing list.
RECIPIENTS: Final = 50
# Longer ones are cut by proxies.
URL_CHARACTERS: Final = 2_000
COOLDOWN_S: Final = 3_600
_COOLDOWN_LONGEST_S: Final = 30 * 86_400
_QUOTED_CHARACTERS: Final = 80
_UNITS_S: Final = MappingProxyType({"s": 1, "m": 60, "h": 3_600, "d": 86_400})


class InvalidAlert(UsageError):
    """The ``field`` of an alert is not as ``expected``."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        shown = value[:_QUOTED_CHARACTERS] if isinstance(value, str) else value
        super().__init__(f"{field}: {shown!r} can't be: expected {expected}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a rule, of ``unit``, from ``least`` to ``most``; ``is_list``: there may be several."""

    name: str
    unit: str
    default: tuple[int, ...]
    bounds: tuple[int, int]
    is_list: bool = False


_PERCENT: Final = (1, 100)
# A share of fewer installs, or a change of them, says more of single machines than of a product.
_LEAST: Final = Parameter("least", "installs", (10,), (1, 10**9))

# Rule -> its numbers. A holiday takes a third off a day's count, and hardly ever a half.
PARAMETERS: Final[Mapping[Rule, tuple[Parameter, ...]]] = MappingProxyType(
    {
        Rule.LICENSE_OVER: (),
        Rule.FINDING_CONFIRMED: (),
        Rule.RELEASE_ADOPTED: (
            Parameter("percent", "percent of the active installs", (50, 90), _PERCENT, is_list=True),
            _LEAST,
        ),
        Rule.RELEASE_SLOW: (
            Parameter("percent", "percent of the active installs", (50,), _PERCENT),
            Parameter("days", "days after the release", (14,), (1, 366)),
            _LEAST,
        ),
        Rule.INSTALLS_CHANGED: (
            Parameter("drop_percent", "percent", (50,), _PERCENT),
            Parameter("jump_percent", "percent", (100,), (1, 100_000)),
            replace(_LEAST, default=(100,)),
        ),
        # A week: a product that is used less often than that can't be told from one that is silent.
        Rule.SILENCE: (Parameter("minutes", "minutes", (60,), (1, 7 * 1_440)),),
    }
)


def complete(rule: Rule, given: Mapping[str, Sequence[int]]) -> dict[str, int | list[int]]:
    """Return the numbers of a rule as they are kept: those given, else the defaults. Raises `InvalidAlert`.

    ``given`` maps names to one number or several; an empty one is not given.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS[rule]}
    for name, values in given.items():
        if values and name not in known:
            has = f"only {', '.join(known)}" if known else "no numbers"
            raise InvalidAlert(name, values[0], f"nothing: the rule {rule} has {has}")
    found: dict[str, int | list[int]] = {}
    for name, parameter in known.items():
        values = sorted(set(_checked(parameter, given.get(name) or parameter.default)))
        found[name] = values if parameter.is_list else values[0]
    return found


def read(rule: Rule, kept: Mapping[str, Any]) -> Numbers:
    """Return the numbers of a rule from what is kept. Raises `InvalidAlert`."""
    given = {name: value if isinstance(value, list) else [value] for name, value in kept.items()}
    several: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in complete(rule, given).items()
    }
    if isinstance(several.get("percent"), int):
        several["percent"] = (several["percent"],)
    return Numbers(**several)


def read_cooldown(text: str) -> int:
    """Return the seconds that a text such as 90s, 30m, 1h or 2d means; 0 is no cool-down. Raises `InvalidAlert`."""
    matched = re.fullmatch(r"(\d{1,8})([smhd])|0", text.strip(), re.ASCII)
    seconds = -1 if matched is None else int(matched[1] or 0) * _UNITS_S[matched[2] or "s"]
    if not 0 <= seconds <= _COOLDOWN_LONGEST_S:
        raise InvalidAlert("cooldown", text, "a time such as 90s, 30m, 1h or 2d, at most 30d; 0 for none")
    return seconds


def check_name(name: str) -> None:
    """Raise `InvalidAlert` unless it can stand in a subject and on a command line."""
    if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable() or name != name.strip():
        raise InvalidAlert(
            "name", name, f"1 to {NAME_CHARACTERS} printable characters without blanks around them"
        )


def check_webhook(url: str) -> None:
    """Raise `InvalidAlert` unless it is an address of the web that is safe to show and to call."""
    expected = (
        f"an address such as https://example.com/hook: http or https, at most {URL_CHARACTERS} characters of ASCII, "
        "no blanks, no user and password, no #"
    )
    if len(url) > URL_CHARACTERS or not all("!" <= char <= "~" for char in url):
        raise InvalidAlert("webhook", url, expected)
    try:
        parts = urlsplit(url)
        # A password would be shown wherever the address is; "#" would never arrive.
        is_fine = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and "#" not in url
        )
    except ValueError:  # brackets that don't match, a port that is none
        is_fine = False
    if not is_fine:
        raise InvalidAlert("webhook", _without_login(url), expected)


def check_told(recipients: Sequence[str], webhook: str | None) -> None:
    """Raise `InvalidAlert` unless somebody is told, and not too many are."""
    if not recipients and webhook is None:
        raise InvalidAlert("to", "", "somebody to tell: --to ADDRESS, --webhook URL, or both")
    if len(recipients) > RECIPIENTS:
        raise InvalidAlert("to", f"{len(recipients)} addresses", f"at most {RECIPIENTS}; a list has one")


def _checked(parameter: Parameter, values: Sequence[int]) -> Sequence[int]:
    least, most = parameter.bounds
    if len(values) > 1 and not parameter.is_list:
        raise InvalidAlert(parameter.name, values[1], "one number")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidAlert(parameter.name, value, f"{parameter.unit}, from {least:,} to {most:,}")
    return values


def _without_login(url: str) -> str:
    """What was given as an address, without what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", url)
