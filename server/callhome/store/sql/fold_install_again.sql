-- $1 day
UPDATE install i SET
    first_day = c.has_first_day, last_day = c.has_last_day, verified = c.has_verified,
    at = CASE WHEN c.latest THEN c.at ELSE i.at END,
    id = CASE WHEN c.latest THEN c.id ELSE i.id END,
    version = c.has_version, build = c.has_build, country = c.has_country, users = c.has_users,
    os = CASE WHEN c.latest THEN c.os ELSE i.os END,
    license = CASE WHEN c.latest THEN c.license ELSE i.license END
FROM fold_change c
WHERE c.day = $1 AND NOT c.neighbour AND c.had_last_day IS NOT NULL AND i.install = c.install AND i.product = c.product
