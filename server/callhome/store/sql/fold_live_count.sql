-- $1 today. Returns the new values of the counters that changed.
WITH changed AS (
    INSERT INTO live_count AS c
    SELECT product, country, sum(installs_today), sum(users_today), sum(launches_today),
           sum(installs_30d), sum(users_30d), sum(launches_30d)
    FROM (
        SELECT product, country, CASE WHEN day = $1 THEN 1 ELSE 0 END AS installs_today,
               CASE WHEN day = $1 THEN users::bigint ELSE 0 END AS users_today,
               CASE WHEN day = $1 THEN launches::bigint ELSE 0 END AS launches_today,
               0 AS installs_30d, 0::bigint AS users_30d, launches::bigint AS launches_30d
        FROM fold_change WHERE verified AND day > $1::date - 30
        UNION ALL
        SELECT product, was_country, CASE WHEN day = $1 THEN -1 ELSE 0 END,
               CASE WHEN day = $1 THEN -was_users ELSE 0 END,
               CASE WHEN day = $1 THEN -was_launches ELSE 0 END, 0, 0, -was_launches
        FROM fold_change WHERE was_verified AND day > $1::date - 30
        UNION ALL
        SELECT product, CASE WHEN latest THEN country ELSE had_country END, 0, 0, 0, 1,
               CASE WHEN latest THEN users ELSE had_users END, 0
        FROM fold_change WHERE moved AND has_verified AND greatest(had_last_day, day) > $1::date - 30
        UNION ALL
        SELECT product, had_country, 0, 0, 0, -1, -had_users, 0
        FROM fold_change WHERE moved AND had_verified AND had_last_day > $1::date - 30
    ) step
    GROUP BY product, country
    HAVING sum(installs_today) <> 0 OR sum(users_today) <> 0 OR sum(launches_today) <> 0
        OR sum(installs_30d) <> 0 OR sum(users_30d) <> 0 OR sum(launches_30d) <> 0
    ON CONFLICT (product, country) DO UPDATE SET
        installs_today = c.installs_today + excluded.installs_today,
        users_today = c.users_today + excluded.users_today,
        launches_today = c.launches_today + excluded.launches_today,
        installs_30d = c.installs_30d + excluded.installs_30d,
        users_30d = c.users_30d + excluded.users_30d,
        launches_30d = c.launches_30d + excluded.launches_30d
    RETURNING c.*
)
SELECT p.key, c.country, c.installs_today, c.users_today, c.launches_today, c.installs_30d, c.users_30d, c.launches_30d
FROM changed c JOIN product p ON p.id = c.product
ORDER BY p.key, c.country
