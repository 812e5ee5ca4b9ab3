INSERT INTO usage_daily AS u (day, product, version, build, country, os, verified, installs, users, launches)
SELECT day, product, version, build, country, os, verified, sum(installs), sum(users), sum(launches)
FROM (
    SELECT day, product, version, build, country, os, verified, 1 AS installs, users::bigint, launches::bigint
    FROM fold_change
    UNION ALL
    SELECT day, product, was_version, was_build, was_country, was_os, was_verified, -1, -was_users, -was_launches
    FROM fold_change WHERE was_launches IS NOT NULL
) step
GROUP BY day, product, version, build, country, os, verified
HAVING sum(installs) <> 0 OR sum(users) <> 0 OR sum(launches) <> 0
ON CONFLICT (day, product, version, build, country, os, verified) DO UPDATE SET
    installs = u.installs + excluded.installs,
    users = u.users + excluded.users,
    launches = u.launches + excluded.launches
