-- The same where activity does not reach back far enough: the days alone.
INSERT INTO series_step
SELECT product, day, sum(installs), sum(users), sum(launches), 0, 0, 0, 0, version, build, country, os
FROM usage_daily
WHERE product = ANY ($1::integer[]) AND day >= $2::date AND day < $3::date AND verified
GROUP BY product, day, version, build, country, os
