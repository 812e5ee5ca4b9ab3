"""`callhome.store.alerts`: alerts are made, listed and removed, and wrong ones refused."""

from __future__ import annotations

from typing import Any

import pytest

from callhome.addresses import InvalidAddress
from callhome.alerts.model import Numbers, Rule
from callhome.alerts.parameters import InvalidAlert
from callhome.store import alerts
from callhome.store.alerts import Given, UnknownAlert
from callhome.store.registered import UnknownProduct
from running import connected
from watched import product


async def test_an_alert_is_kept_as_it_was_given(database: str) -> None:
    """What is given is there again, with the defaults of the rest; an address that is given twice is told once."""
    async with connected(database) as connection:
        await product(connection)
        given = Given(
            "roll out – é",
            Rule.RELEASE_ADOPTED,
            product="es",
            numbers={"percent": (90, 25)},
            recipients=("b@example.com", "a@Example.com", "b@example.com"),
            webhook="https://example.com/hook",
            language="fr",
            cooldown_s=0,
        )
        made = await alerts.add(connection, given)
        assert made.numbers == Numbers(percent=(25, 90), least=10)
        assert made.recipients == ("b@example.com", "a@example.com")
        assert (made.product, made.webhook, made.language) == ("es", given.webhook, "fr")
        plain = await alerts.add(connection, Given("a", Rule.LICENSE_OVER, recipients=("a@example.com",)))
        assert (plain.product, plain.webhook, plain.language, plain.cooldown_s) == (None, None, "en", 3_600)
        assert await alerts.list_all(connection) == [plain, made]
        assert await alerts.named(connection, "roll out – é") == made


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"name": "there"}, InvalidAlert),
        ({"name": ""}, InvalidAlert),
        ({"product": "nope"}, UnknownProduct),
        ({"product": "\x00"}, UnknownProduct),
        ({"numbers": {"days": (1,)}}, InvalidAlert),
        ({"recipients": ()}, InvalidAlert),
        ({"recipients": ("a@example.com\r\nBcc: b@example.com",)}, InvalidAddress),
        ({"webhook": "ftp://example.com"}, InvalidAlert),
        ({"language": "de"}, InvalidAlert),
    ],
)
async def test_a_wrong_alert_is_refused(
    changed: dict[str, Any], error: type[Exception], database: str
) -> None:
    """An alert that is wrong in one thing is refused, and nothing is made."""
    async with connected(database) as connection:
        there = Given("there", Rule.SILENCE, recipients=("a@example.com",))
        await alerts.add(connection, there)
        values = {"name": "new", "rule": Rule.SILENCE, "recipients": ("a@example.com",), **changed}
        with pytest.raises(error):
            await alerts.add(connection, Given(**values))
        assert len(await alerts.list_all(connection)) == 1


async def test_an_alert_is_removed(database: str) -> None:
    """Removed, it is gone; a name that isn't there is told with those that are."""
    async with connected(database) as connection:
        for name in "abcdef":
            await alerts.add(connection, Given(name, Rule.SILENCE, recipients=("a@example.com",)))
        await alerts.remove(connection, "f")
        assert [each.name for each in await alerts.list_all(connection)] == list("abcde")
        with pytest.raises(UnknownAlert, match="there are a, b, c, d, e: "):
            await alerts.remove(connection, "f")
        for name in "abcde":
            await alerts.remove(connection, name)
        with pytest.raises(UnknownAlert, match="there is none: "):
            await alerts.named(connection, "a")
