-- $1 day. An upsert of rows that are all there: a join with activity could be made from its side, and would then read
-- all of the scratch table for each install of the day.
INSERT INTO activity
SELECT install, product, day, launches, at, id, version, build, country, os, license, users, verified, prev_day,
       prev_version
FROM fold_change WHERE day = $1 AND NOT neighbour AND was_launches IS NOT NULL
ON CONFLICT (install, product, day) DO UPDATE SET
    launches = excluded.launches, at = excluded.at, id = excluded.id, version = excluded.version,
    build = excluded.build, country = excluded.country, os = excluded.os, license = excluded.license,
    users = excluded.users, verified = excluded.verified
