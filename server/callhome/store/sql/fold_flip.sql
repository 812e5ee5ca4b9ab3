-- $1 day. Of installs with one ping at hand: those that differ from the last ping of the day so far.
INSERT INTO flip (install, product, at, from_country, to_country, from_version, to_version)
SELECT install, product, at, was_country, country, was_version, version
FROM fold_change
WHERE day = $1 AND NOT neighbour AND NOT several AND NOT weak AND (version <> was_version OR country <> was_country)
ON CONFLICT DO NOTHING
