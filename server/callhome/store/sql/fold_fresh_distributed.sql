-- As fold_fresh: $1 batches, $2 and $3 the smallest and the largest ping id of all, $4 whether there are concurrent licenses.
-- All days between the two are asked: workers take neither a set of ranges nor OFFSET, and each has its share of the rows.
INSERT INTO fold_fresh
SELECT product, day, launches, users, at, id, verified, weak, pings > 1, nth = 1, install, version, build, country, os, license,
       was_version, was_country
FROM (
    SELECT product, day, users, at, id, weak, install, version, build, country, os, license,
           count(*) OVER pings AS pings, count(*) FILTER (WHERE event = 0) OVER pings AS launches,
           bool_or(verified) OVER pings AS verified, row_number() OVER latest_first AS nth,
           lead(version) OVER latest_first AS was_version, lead(country) OVER latest_first AS was_country
    FROM ping
    WHERE batch = ANY ($1::uuid[]) AND (id >= $2 OR id = $2) AND (id <= $3 OR id = $3)
    WINDOW pings AS (PARTITION BY install, product, day),
           latest_first AS (PARTITION BY install, product, day ORDER BY at DESC, id DESC)
) claimed
WHERE nth = 1 OR nth = pings OR version <> was_version OR country <> was_country OR $4 AND license IS NOT NULL
