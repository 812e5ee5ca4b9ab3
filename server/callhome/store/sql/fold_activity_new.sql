-- $1 day
INSERT INTO activity (
    install, product, day, launches, at, id, version, build, country, os, license, users, verified, prev_day,
    prev_version
)
SELECT install, product, day, launches, at, id, version, build, country, os, license, users, verified, prev_day,
       prev_version
FROM fold_change WHERE day = $1 AND NOT neighbour AND was_launches IS NULL
