-- $1 today
INSERT INTO live_count
SELECT product, country, sum(installs_today), sum(users_today), sum(launches_today),
       sum(installs_30d), sum(users_30d), sum(launches_30d)
FROM (
    SELECT product, country,
           CASE WHEN day = $1 THEN installs ELSE 0 END AS installs_today,
           CASE WHEN day = $1 THEN users ELSE 0 END AS users_today,
           CASE WHEN day = $1 THEN launches ELSE 0 END AS launches_today,
           0 AS installs_30d, 0 AS users_30d, launches AS launches_30d
    FROM usage_daily WHERE verified AND day > $1::date - 30
    UNION ALL
    SELECT product, country, 0, 0, 0, count(*), sum(users), 0
    FROM install WHERE verified AND last_day > $1::date - 30
    GROUP BY product, country
) step
GROUP BY product, country
