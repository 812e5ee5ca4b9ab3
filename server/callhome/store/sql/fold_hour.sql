-- The hours in which installs were active under concurrent licenses, as of every ping: the same in whatever order they come.
WITH changed AS (
    INSERT INTO license_hour AS h (license, hour, install, users)
    SELECT l.id, date_trunc('hour', p.at, 'UTC') AS hour, p.install, max(p.users)
    FROM fold_fresh p
    JOIN license l ON l.key_hash = p.license AND l.use = 'concurrent' AND l.product = p.product
    GROUP BY l.id, hour, p.install
    ON CONFLICT (license, hour, install) DO UPDATE SET users = excluded.users WHERE h.users < excluded.users
    RETURNING license, hour
)
INSERT INTO license_touched (license, day)
SELECT license, min((hour AT TIME ZONE 'UTC')::date) FROM changed GROUP BY license
