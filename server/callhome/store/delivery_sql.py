"""The statements of the two queues of deliveries: the same ones for both tables, whose names are ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# By `next_try_at` alone, which the index gives in order: 10,000 mails are due at the same moment.
_CLAIM: Final = """
WITH due AS (
    SELECT id FROM {table} WHERE state = 'waiting' AND next_try_at <= now()
    ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE {table} d
SET state = 'claimed', claimed_by = $2, tries = d.tries + 1, changed_at = now(),
    next_try_at = now() + $3::float8 * interval '1 second'
FROM due WHERE d.id = due.id
RETURNING d.id, d.tries
"""
_BEGIN: Final = """
UPDATE {table}
SET state = 'sending', changed_at = now(), next_try_at = now() + $3::float8 * interval '1 second'
WHERE id = $1 AND claimed_by = $2 AND state = 'claimed' AND next_try_at > now()
RETURNING id
"""
# A claim that ran out keeps its name while it is uncertain: who sent it may still tell.
_RECORD: Final = """
UPDATE {table}
SET state = $3, outcome = $4, changed_at = now(), next_try_at = now() + $5::float8 * interval '1 second',
    sent_at = CASE WHEN $3 = 'sent' THEN now() END
WHERE id = $1 AND claimed_by = $2 AND state IN ('claimed', 'sending', 'uncertain')
RETURNING id
"""
_GIVE_BACK: Final = """
UPDATE {table}
SET state = 'waiting', outcome = $3, tries = tries - 1, claimed_by = NULL, changed_at = now(),
    next_try_at = now() + $4::float8 * interval '1 second'
WHERE id = $1 AND claimed_by = $2 AND state IN ('claimed', 'sending', 'uncertain')
RETURNING id
"""
_GIVE_BACK_ALL: Final = """
UPDATE {table}
SET state = 'waiting', tries = tries - 1, claimed_by = NULL, changed_at = now(), next_try_at = now()
WHERE claimed_by = ANY ($1::uuid[]) AND state = 'claimed'
"""
_EXPIRE: Final = """
WITH ended AS (
    SELECT id FROM {table} WHERE state IN ('claimed', 'sending') AND next_try_at <= now() FOR UPDATE SKIP LOCKED
)
UPDATE {table} d
SET state = CASE WHEN d.state = 'sending' THEN 'uncertain' WHEN d.tries >= $1 THEN 'failed' ELSE 'waiting' END,
    outcome = CASE
        WHEN d.state = 'sending' THEN 'who sent it was not heard of again: it may have arrived'
        ELSE 'who was at it was not heard of again'
    END,
    claimed_by = CASE WHEN d.state = 'sending' THEN d.claimed_by END,
    changed_at = now()
FROM ended WHERE d.id = ended.id
RETURNING d.id, d.state
"""
_RESEND: Final = """
UPDATE {table}
SET state = 'waiting', claimed_by = NULL, tries = 0, changed_at = now(), next_try_at = now(),
    outcome = 'to be sent again, as a person said'
WHERE id = $1 AND state IN ('uncertain', 'failed')
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Texts:
    """The statements of one table."""

    claim: str
    begin: str
    record: str
    give_back: str
    give_back_all: str
    expire: str
    resend: str


def _of(table: str) -> Texts:
    every = (_CLAIM, _BEGIN, _RECORD, _GIVE_BACK, _GIVE_BACK_ALL, _EXPIRE, _RESEND)
    return Texts(*(text.replace("{table}", table) for text in every))


TEXTS: Final[Mapping[str, Texts]] = MappingProxyType(
    {table: _of(table) for table in ("delivery", "alert_delivery")}
)
