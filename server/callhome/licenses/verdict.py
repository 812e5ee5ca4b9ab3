"""The verdict on a license, which an answer to a ping tells. Pure."""

from __future__ import annotations

from datetime import date

from .model import Terms, Verdict


def verdict(terms: Terms | None, product: int, today: date) -> Verdict:
    """Return the verdict on a license used with ``product`` (product.id) on the UTC day ``today``; None: no such one.

    Of several that hold, the one that no other could heal comes first: a revoked license stays so whatever its dates
    say, and one that is over gets no seats by buying more of them. ``docs/licenses.md`` has the order, and why.
    """
    if terms is None:
        return Verdict.UNKNOWN
    if terms.revoked_on is not None and today >= terms.revoked_on:
        return Verdict.REVOKED
    if product != terms.product:
        return Verdict.WRONG_PRODUCT
    if terms.starts is not None and today < terms.starts:
        return Verdict.NOT_YET_VALID
    if terms.ends is not None and today > terms.ends:
        # In days, not by a date: the last day of grace may lie beyond the last date there is.
        return Verdict.GRACE if (today - terms.ends).days <= terms.grace_days else Verdict.EXPIRED
    return Verdict.OVER_SEATS if terms.is_over else Verdict.OK
