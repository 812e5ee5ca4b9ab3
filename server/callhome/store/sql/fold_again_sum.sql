-- The day of a ping that is not late follows on the install's last day, which is as the row of install was.
INSERT INTO usage_again AS u (product, day, prev_day, country, verified, installs, users)
SELECT product, day, prev_day, country, verified, sum(installs), sum(users)
FROM (
    SELECT product, day, had_last_day AS prev_day, had_country AS country, had_verified AS verified, 1 AS installs,
           had_users::bigint AS users
    FROM fold_change WHERE NOT neighbour AND was_launches IS NULL AND had_last_day < day
    UNION ALL
    SELECT product, day, prev_day, country, verified, installs, users FROM fold_again
) step
GROUP BY product, day, prev_day, country, verified
HAVING sum(installs) <> 0 OR sum(users) <> 0
ON CONFLICT (product, day, prev_day, country, verified) DO UPDATE SET
    installs = u.installs + excluded.installs,
    users = u.users + excluded.users
