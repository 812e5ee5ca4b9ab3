-- $1 products, $2 first day of the month, $3 first day of the next. As report_moved has it, day by day.
INSERT INTO usage_flow (product, day, new, returned, lost, unverified)
SELECT product, day, sum(new)::bigint, sum(returned)::bigint, sum(lost)::bigint, sum(unverified)::bigint
FROM (
    SELECT product, day, CASE WHEN verified THEN installs ELSE 0 END AS new, 0 AS returned, 0 AS lost,
           CASE WHEN verified THEN 0 ELSE installs END AS unverified
    FROM usage_daily WHERE product = ANY ($1::integer[]) AND day >= $2::date AND day < $3::date
    UNION ALL
    SELECT product, day, -installs, CASE WHEN day - prev_day > 30 THEN installs ELSE 0 END, 0, 0
    FROM usage_again WHERE product = ANY ($1::integer[]) AND day >= $2::date AND day < $3::date AND verified
    UNION ALL
    SELECT product, day + 30, 0, 0, installs, 0
    FROM usage_daily
    WHERE product = ANY ($1::integer[]) AND day >= $2::date - 30 AND day < $3::date - 30 AND verified
    UNION ALL
    SELECT product, prev_day + 30, 0, 0, -installs, 0
    FROM usage_again
    WHERE product = ANY ($1::integer[]) AND day >= $2::date - 29 AND day < $3::date AND verified
      AND prev_day >= $2::date - 30 AND prev_day < $3::date - 30 AND day - prev_day <= 30
) step
GROUP BY product, day
HAVING sum(new) <> 0 OR sum(returned) <> 0 OR sum(lost) <> 0 OR sum(unverified) <> 0
