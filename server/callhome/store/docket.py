"""What becomes of findings by themselves: opened, gone on with, closed, as the rules' cases say."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from ..licenses.findings import CALLHOME, Case, Cause, Rule, Standing, State, goes_on, is_known, why_over
from .connection import Connection
from .products import CATALOG_CHANNEL, LICENSES_CHANGED
from .statements import sql

# Which license, or which install of which product.
Key = int | tuple[int, bytes]

_FIELDS: Final = "id, rule, product, license, install, state, measure, cause, evidence"
_CONCERNED: Final = (
    "rule = ANY ($1::text[]) "
    "AND CASE WHEN $2::integer[] IS NULL THEN license IS NULL ELSE license = ANY ($2) END"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about: an install of a product (product.id), or a license (license.id) of it."""

    product: int
    license: int | None = None
    install: bytes | None = None

    @property
    def key(self) -> Key:
        """What tells it from others; a license stays the same when it is moved to another product."""
        return (self.product, self.install or b"") if self.license is None else self.license


class Docket:
    """The findings of some rules that aren't closed, about some licenses or about installs, as of one transaction."""

    def __init__(self, connection: Connection, today: date) -> None:
        self._connection = connection
        self._today = today
        self._standing: dict[tuple[Rule, Key], tuple[int, Standing]] = {}
        self._dismissed: dict[tuple[Rule, Key], Standing] = {}

    @classmethod
    async def taken(
        cls,
        connection: Connection,
        today: date,
        rules: Collection[Rule],
        licenses: Sequence[int] | None = None,
    ) -> Docket:
        """Return the docket of these rules about these licenses (None: about installs).

        Its findings are locked until the caller's transaction ends. Cancelling it: roll back.
        """
        docket = cls(connection, today)
        for row in await connection.fetch(
            f"SELECT {_FIELDS} FROM finding WHERE state <> 'closed' AND {_CONCERNED} ORDER BY id FOR UPDATE",  # noqa: S608 - constants
            list(rules),
            licenses,
        ):
            docket._standing[_key(row)] = row["id"], _standing(row)
        # Only now: what a person closed while the lock was waited for is among them.
        for row in await connection.fetch(
            f"SELECT {_FIELDS} FROM finding WHERE state = 'closed' AND closed_by <> $3 AND {_CONCERNED} "  # noqa: S608 - constants
            "ORDER BY closed_at, id",
            list(rules),
            licenses,
            CALLHOME,
        ):
            docket._dismissed[_key(row)] = _standing(row)
        return docket

    def __len__(self) -> int:
        """How many findings aren't closed."""
        return len(self._standing)

    def has(self, rule: Rule, subject: Subject) -> bool:
        """Whether there is a finding of the rule on the subject that isn't closed."""
        return (rule, subject.key) in self._standing

    async def settle(
        self,
        rule: Rule,
        subject: Subject,
        case: Case | None,
        evidence: Callable[[Case], Awaitable[Mapping[str, Any]]],
    ) -> None:
        """Have the finding of the rule on the subject say what the case does; None: it is over.

        ``evidence`` is asked only where something is written. Cancelling it: roll back.
        """
        key = rule, subject.key
        id_, before = self._standing.get(key, (0, None))
        if case is None:
            if before is not None:
                del self._standing[key]
                await self._close(id_, before)
        elif before is not None:
            after = goes_on(before, case)
            if _said(after) != before:
                await self._keep(id_, after, await evidence(after))
        elif not is_known(self._dismissed.get(key), case):
            await self._open(subject, case, await evidence(case))

    async def close_others(self, rule: Rule, looked_at: Collection[Key]) -> None:
        """Close the findings of the rule on what was not among those looked at. Cancelling it: roll back."""
        for key in [key for key in self._standing if key[0] is rule and key[1] not in looked_at]:
            await self._close(*self._standing.pop(key))

    async def _open(self, subject: Subject, case: Case, evidence: Mapping[str, Any]) -> None:
        id_ = await self._connection.fetchval(
            "INSERT INTO finding "
            "(rule, license, product, install, state, cause, measure, allowed, evidence, confirmed_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, CASE WHEN $5 = 'confirmed' THEN now() END) "
            "RETURNING id",
            case.rule,
            subject.license,
            subject.product,
            subject.install,
            case.state,
            case.cause,
            case.measure,
            case.allowed,
            json.dumps(evidence),
        )
        self._standing[case.rule, subject.key] = id_, _said(case)

    async def _keep(self, id_: int, case: Case, evidence: Mapping[str, Any]) -> None:
        await self._connection.execute(
            "UPDATE finding SET state = $2, cause = $3, measure = $4, allowed = $5, evidence = $6::jsonb, "
            "updated_at = now(), confirmed_at = CASE WHEN $2 = 'confirmed' THEN coalesce(confirmed_at, now()) END "
            "WHERE id = $1",
            id_,
            case.state,
            case.cause,
            case.measure,
            case.allowed,
            json.dumps(evidence),
        )

    async def _close(self, id_: int, found: Standing) -> None:
        await self._connection.execute(
            "UPDATE finding SET state = 'closed', closed_at = now(), closed_by = $2, note = $3, updated_at = now() "
            "WHERE id = $1",
            id_,
            CALLHOME,
            why_over(found, self._today),
        )


def _said(case: Case) -> Standing:
    """Return what a finding stands for that says the case."""
    return Standing(case.state, case.measure, case.held, case.cause, case.terms, case.last)


def _key(row: Any) -> tuple[Rule, Key]:
    return Rule(row["rule"]), Subject(row["product"], row["license"], row["install"]).key


def _standing(row: Any) -> Standing:
    said = json.loads(row["evidence"])
    return Standing(
        state=State(row["state"]), measure=row["measure"], held=said["held"], cause=Cause(row["cause"]),
        terms=said["terms"], last=date.fromisoformat(said["last"]),
    )  # fmt: skip


async def tell_verdicts(connection: Connection, licenses: Sequence[int]) -> bool:
    """Have answers to pings say what the findings of these licenses make of their seats; return if that changed.

    Every replica hears of a change as the caller's transaction commits. Cancelling it: roll back.
    """
    changed = await connection.fetch(sql("misuse_is_over"), licenses)
    if changed:
        await connection.execute("SELECT pg_notify($1, $2)", CATALOG_CHANNEL, LICENSES_CHANGED)
    return bool(changed)
