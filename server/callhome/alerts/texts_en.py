"""The alerts in English. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from .model import Rule
from .texts import Said, Texts

EN: Final = Texts(
    rules=MappingProxyType(
        {
            Rule.LICENSE_OVER: Said(
                "a license of {customer} is over its seats",
                "{whom} is over its seats: {seats_used} in use, {allowed} allowed.",
                "How all licenses are used:",
            ),
            Rule.FINDING_CONFIRMED: Said(
                "finding {finding} is confirmed",
                "Finding {finding} is confirmed for {whom}: {what}. Counted {measure}, allowed {allowed}.",
                "The evidence:",
            ),
            Rule.RELEASE_ADOPTED: Said(
                "{product} {version} is at {percent}",
                "{product} {version} has reached {percent}: {installs} of {total} active installs have it or a newer "
                "version ({share}).",
                "The releases of the product:",
            ),
            Rule.RELEASE_SLOW: Said(
                "{product} {version} is not at {percent} yet",
                "{product} {version} is not at {percent} a day after its release: {installs} of {total} active "
                "installs have it or a newer version ({share}).|"
                "{product} {version} is not at {percent} {n} days after its release: {installs} of {total} active "
                "installs have it or a newer version ({share}).",
                "Whom it is offered to:",
            ),
            Rule.INSTALLS_CHANGED: Said(
                "active installs of {product}: {change}",
                "{product} had {installs} active installs on {day}: {change}. Usual on that weekday are {usual} "
                "(the median of the four weeks before).",
                "The counters now; whether callhome could be reached on that day, its metrics and log say:",
            ),
            Rule.SILENCE: Said(
                "no pings of {product}",
                "No ping of {product} has come for a minute. The last one came on {last}.|"
                "No ping of {product} has come for {n} minutes. The last one came on {last}.",
                "Whether others come. If none does, see whether the address that the product calls answers from "
                "outside (GET /livez):",
            ),
        }
    ),
    any_silence=Said(
        "no pings",
        "No ping of any product has come for a minute. The last one came on {last}.|"
        "No ping of any product has come for {n} minutes. The last one came on {last}.",
        "See whether the address that the products call answers from outside (GET /livez), and whether any come now:",
    ),
    more=Said(
        "one more event|{n} more events",
        "At the same moment there was one more event: {subjects}.|"
        "At the same moment there were {n} more events, such as: {subjects}.",
        "All of them:",
    ),
    test=Said(
        "a test",
        "This is a test: nothing has happened. Alerts of the rule {rule} come this way.",
        "All alerts:",
    ),
    at="{day}, {time} UTC",
    license="the license …{last4} of {customer} ({product})",
    license_without_end="a license of {customer} ({product})",
    install="the install {install} of {product}",
    offered=" It is offered to {percent} of the installs.",
    dropped="{percent} fewer than usual",
    jumped="{percent} more than usual",
    from_nothing="usually there are none",
    console="The console: {url}",
    why="callhome tells you this by the alert “{name}”, at {at}.",
)
