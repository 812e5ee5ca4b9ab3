"""The words of the mails, in each language. Pure.

``{…}`` is put in by the code; ``one|other`` are the forms for one and for any other number, chosen by the language's
own rule. Numbers, dates and names of countries are Babel's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """All words of one language. ``locale`` is Babel's name of it, ``language`` that of HTML's ``lang``."""

    locale: str
    language: str
    # Where the numbers are from, and for which days.
    day: str
    week: str
    days: str
    the_day_before: str
    the_week_before: str
    the_days_before: str
    read_at: str
    # The first sentence, and the subject.
    headline: str
    headline_of_all: str
    more: str
    fewer: str
    as_many: str
    none_before: str
    subject: str
    subject_of_licensing: str
    licensing_headline: str
    no_product: str
    largest: str
    # Sections.
    usage: str
    builds: str
    updates: str
    installs: str
    countries: str
    findings: str
    licenses: str
    # Columns and rows.
    product: str
    active_installs: str
    installs_column: str
    users: str
    launches: str
    change: str
    version: str
    build: str
    share: str
    from_version: str
    to_version: str
    country: str
    unknown_country: str
    others: str
    this_period: str
    period_before: str
    in_use_at: str
    new: str
    returned: str
    lost: str
    state: str
    what: str
    license: str
    counted: str
    ends: str
    customer: str
    seats: str
    seats_used: str
    # Sentences.
    unverified: str
    no_usage: str
    no_builds: str
    no_updates: str
    updates_made: str
    adoption: str
    no_release: str
    no_installs: str
    no_countries: str
    findings_changed: str
    n_opened: str
    n_confirmed: str
    n_closed: str
    n_open: str
    findings_now: str
    no_findings: str
    licenses_end: str
    no_licenses: str
    more_products: str
    more_rows: str
    # Pictures.
    chart_days: str
    chart_days_before: str
    chart_days_alt: str
    chart_days_before_alt: str
    chart_builds: str
    chart_builds_alt: str
    in_the_table: str
    # States, rules and causes of findings; what has no word here is shown as it is stored.
    words: Mapping[str, str]
    # What the numbers mean.
    meaning: str
    means_installs: str
    means_users: str
    means_launches: str
    means_builds: str
    means_updates: str
    means_moved: str
    means_countries: str
    means_findings: str
    means_licenses: str
    # The end of the mail.
    sent_by: str
    unsubscribe: str
    unsubscribe_here: str
    no_unsubscribe: str
