-- $1 day, as yet not folded. Of installs with several pings at hand: each that differs from the one before, among them or stored.
INSERT INTO flip (install, product, at, from_country, to_country, from_version, to_version)
SELECT install, product, at, was_country, country, was_version, version
FROM fold_fresh
WHERE several AND day = $1 AND NOT weak AND (version <> was_version OR country <> was_country)
UNION ALL
SELECT f.install, f.product, f.at, a.country, f.country, a.version, f.version
FROM fold_fresh f
JOIN activity a ON a.install = f.install AND a.product = f.product AND a.day = $1
WHERE f.several AND f.day = $1 AND NOT f.weak AND f.was_version IS NULL
  AND a.at < f.at AND (a.version <> f.version OR a.country <> f.country)
ON CONFLICT DO NOTHING
