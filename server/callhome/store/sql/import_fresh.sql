-- $1 whether there are concurrent licenses. As fold_fresh, of the rows of an import that are not kept.
INSERT INTO fold_fresh
SELECT product, day, launches, users, at, id, verified, weak, pings > 1, nth = 1, install, version, build, country, os, license,
       was_version, was_country
FROM (
    SELECT product, day, users, at, id, weak, install, version, build, country, os, license,
           count(*) OVER pings AS pings, count(*) FILTER (WHERE event = 0) OVER pings AS launches,
           bool_or(verified) OVER pings AS verified, row_number() OVER latest_first AS nth,
           lead(version) OVER latest_first AS was_version, lead(country) OVER latest_first AS was_country
    FROM import_incoming
    WINDOW pings AS (PARTITION BY install, product, day), latest_first AS (pings ORDER BY at DESC, id DESC)
) claimed
WHERE nth = 1 OR nth = pings OR version <> was_version OR country <> was_country OR $1 AND license IS NOT NULL
