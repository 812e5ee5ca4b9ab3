"""`callhome.store.findings`: listed, shown and closed by people, with errors that say what to do."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from callhome.errors import UsageError
from callhome.licenses.findings import State
from callhome.store import findings
from offices import MORNING, Office, Use, office, opened
from running import until


async def misused(used: Office) -> None:
    """One finding of each state: a confirmed one of seats, an open clone, a closed one of another product."""
    await used.sell(customer="=HYPERLINK(1)")
    uses = [*office([1, 2], range(1, 12)), *office([3], [1], product=2)]
    uses += [Use(11, MORNING + 1 + ping / 10, 9, ("DE", "FR")[ping % 2]) for ping in range(6)]
    uses.append(Use(11, MORNING + 2, 2, version="2\x1b[31m"))
    for day in range(1, 12):
        await used.live(day, uses)


async def test_findings_are_listed_by_state_and_license(database: str) -> None:
    """Confirmed ones first, then the newest; of one license by its number or the end of its key."""
    async with opened(database) as used:
        await misused(used)
        number = await used.connection.fetchval("SELECT id FROM license")

        async def rules(*states: State, license: str | None = None) -> list[str]:
            return [one.rule for one in await findings.list_all(used.connection, states, license)]

        assert await rules(*State) == ["over_seats", "cloned_install", "wrong_product"]
        assert await rules(State.CLOSED) == ["wrong_product"]
        assert await rules(State.OPEN) == ["cloned_install"]
        for license in (str(number), "7F3Q"):
            assert await rules(*State, license=license) == ["over_seats", "wrong_product"]
        assert await rules(*State, license="no such one") == []


async def test_a_finding_tells_what_it_is_about(database: str) -> None:
    """Of a license the customer and the end of the key, of an install its pseudonym; with the evidence."""
    async with opened(database) as used:
        await misused(used)
        seats, clone = await findings.list_all(used.connection, [State.CONFIRMED, State.OPEN])
        assert (seats.customer, seats.last4, seats.product, seats.install) == (
            "=HYPERLINK(1)",
            "7F3Q",
            "es",
            None,
        )
        assert (seats.measure, seats.allowed, seats.evidence["installs_total"]) == (3, 1, 3)
        assert (clone.customer, clone.license, clone.install) == (None, None, (9).to_bytes(16, "big").hex())
        assert [day["returns"] for day in clone.evidence["alternations"]] == [2]
        assert await findings.find(used.connection, seats.id) == seats


async def test_closing_needs_a_reason_and_happens_once(database: str) -> None:
    """It is kept who closed it and why; what was closed stays so, and what isn't there can't be."""
    async with opened(database) as used:
        await misused(used)
        (seats,) = await findings.list_all(used.connection, [State.CONFIRMED])
        closed = await findings.close(used.connection, seats.id, "ordered\nfive more", "Ann")
        assert (closed.state, closed.closed_by, closed.note) == (State.CLOSED, "Ann", "ordered\nfive more")
        assert closed.closed_at is not None
        assert await used.verdict(11) == "ok"
        with pytest.raises(findings.ClosedAlready, match="is closed already"):
            await findings.close(used.connection, seats.id, "again", "Bob")
        for number in (0, 99, 2**40, -1):
            with pytest.raises(
                findings.UnknownFinding, match=f"no finding {number}: `callhome findings list`"
            ):
                await findings.close(used.connection, number, "why", "Ann")
        await used.live(12, office([1, 2], [12]))
        assert (await findings.find(used.connection, seats.id)).state is State.CLOSED


async def test_closing_waits_for_a_count(database: str) -> None:
    """While the license is being counted and settled a person waits; neither stands in the other's way."""
    async with opened(database) as used:
        await misused(used)
        (seats,) = await findings.list_all(used.connection, [State.CONFIRMED])
        person = await asyncpg.connect(database)
        async with used.connection.transaction():
            await used.connection.execute("SELECT FROM license_state FOR UPDATE")
            closing = asyncio.create_task(findings.close(person, seats.id, "known", "Ann"))

            async def is_waiting() -> bool:
                return bool(
                    await used.connection.fetchval(
                        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = $1)",
                        person.get_server_pid(),
                    )
                )

            await until(is_waiting)
            await used.connection.execute("SELECT FROM finding FOR UPDATE")
        assert (await closing).state is State.CLOSED
        await person.close()


@pytest.mark.parametrize(
    ("note", "by", "field"),
    [
        ("", "Ann", "note"),
        ("x" * 2001, "Ann", "note"),
        ("a\x1b[31m", "Ann", "note"),
        ("why", "", "by"),
        ("why", "x" * 101, "by"),
        ("why", "A\nnn", "by"),
        ("why", "callhome", "by"),
    ],
)
def test_notes_and_names_are_text(note: str, by: str, field: str) -> None:
    """What doesn't fit is an error that names the field; callhome is nobody's name."""
    findings.check_closing("x" * 2000, "x" * 100)
    with pytest.raises(UsageError, match=f"^{field}: expected"):
        findings.check_closing(note, by)
