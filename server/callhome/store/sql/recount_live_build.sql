-- $1 today
INSERT INTO live_build
SELECT product, version, build, count(*)
FROM install WHERE verified AND last_day > $1::date - 30
GROUP BY product, version, build
