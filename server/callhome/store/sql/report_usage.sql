-- $1 products; $2 first and $3 last day of the period, $4 the first day of the one before. Each install once in each
-- period, under its last day there: what its days count, less each day that is followed by another within the period.
SELECT product, country, verified, is_now,
       sum(installs)::bigint AS installs, sum(users)::bigint AS users, sum(launches)::bigint AS launches
FROM (
    SELECT product, country, verified, day >= $2 AS is_now, installs, users, launches
    FROM usage_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $4 AND $3
    UNION ALL
    SELECT product, country, verified, day >= $2, -installs, -users, 0
    FROM usage_again
    WHERE product = ANY ($1::integer[]) AND day BETWEEN $4 AND $3 AND prev_day >= CASE WHEN day >= $2 THEN $2 ELSE $4 END
) step
GROUP BY product, country, verified, is_now
