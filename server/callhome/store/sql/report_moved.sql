-- $1 products; $2 first and $3 last day of the period, $4 the first day of the one before. What came and went in each
-- of the two, and the installs active in the 30 days that end the day before the earlier one. What counts is verified.
-- An install is new on a day without a verified one before it; it is lost on the 30th day after its last, and has
-- returned where the day before is longer ago than that.
SELECT product, is_now, sum(at_begin)::bigint AS at_begin, sum(new)::bigint AS new, sum(returned)::bigint AS returned,
       sum(lost)::bigint AS lost
FROM (
    SELECT product, day >= $2 AS is_now, 0 AS at_begin, installs AS new, 0 AS returned, 0 AS lost
    FROM usage_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $4 AND $3 AND verified
    UNION ALL
    SELECT product, day >= $2, 0, -installs, CASE WHEN day - prev_day > 30 THEN installs ELSE 0 END, 0
    FROM usage_again WHERE product = ANY ($1::integer[]) AND day BETWEEN $4 AND $3 AND verified
    UNION ALL
    SELECT product, day + 30 >= $2, 0, 0, 0, installs
    FROM usage_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $4::date - 30 AND $3::date - 30 AND verified
    UNION ALL
    SELECT product, prev_day + 30 >= $2, 0, 0, 0, -installs
    FROM usage_again
    WHERE product = ANY ($1::integer[]) AND day BETWEEN $4::date - 29 AND $3 AND verified
      AND prev_day BETWEEN $4::date - 30 AND $3::date - 30 AND day - prev_day <= 30
    UNION ALL
    SELECT product, false, installs, 0, 0, 0
    FROM usage_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $4::date - 30 AND $4::date - 1 AND verified
    UNION ALL
    SELECT product, false, -installs, 0, 0, 0
    FROM usage_again
    WHERE product = ANY ($1::integer[]) AND day BETWEEN $4::date - 29 AND $4::date - 1 AND prev_day >= $4::date - 30
      AND verified
) step
GROUP BY product, is_now
