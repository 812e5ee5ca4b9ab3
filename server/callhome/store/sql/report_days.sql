-- $1 products; $2 last day, $3 first day. Active installs of each day.
SELECT product, day, sum(installs)::bigint AS installs
FROM usage_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $3 AND $2 AND verified
GROUP BY product, day
