-- $1 batches, $2 and $3 the smallest and the largest ping id of each, $4 and $5 those of all, $6 whether there are concurrent
-- licenses. A look-up by batch in each partition that the batch reaches. A range of ids must choose partitions and nothing
-- else: with it as a condition of the primary key, a batch with one old and one new ping would have all pings between the two
-- read. "Or equal" makes it none, and OFFSET 0 keeps it one look-up for each batch.
INSERT INTO fold_fresh
SELECT product, day, launches, users, at, id, verified, weak, pings > 1, nth = 1, install, version, build, country, os, license,
       was_version, was_country
FROM (
    SELECT product, day, users, at, id, weak, install, version, build, country, os, license,
           count(*) OVER pings AS pings, count(*) FILTER (WHERE event = 0) OVER pings AS launches,
           bool_or(verified) OVER pings AS verified, row_number() OVER latest_first AS nth,
           lead(version) OVER latest_first AS was_version, lead(country) OVER latest_first AS was_country
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS b (batch, first_id, last_id)
    CROSS JOIN LATERAL (
        SELECT * FROM ping p
        WHERE p.batch = b.batch AND (p.id >= b.first_id OR p.id = b.first_id) AND (p.id <= b.last_id OR p.id = b.last_id)
          AND (p.id >= $4 OR p.id = $4) AND (p.id <= $5 OR p.id = $5)
        OFFSET 0
    ) p
    WINDOW pings AS (PARTITION BY install, product, day), latest_first AS (pings ORDER BY at DESC, id DESC)
) claimed
WHERE nth = 1 OR nth = pings OR version <> was_version OR country <> was_country OR $6 AND license IS NOT NULL
