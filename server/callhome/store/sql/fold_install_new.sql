-- $1 day
INSERT INTO install (install, product, first_day, last_day, version, build, country, os, license, users, verified)
SELECT install, product, day, day, version, build, country, os, license, users, verified
FROM fold_change WHERE day = $1 AND NOT neighbour AND had_last_day IS NULL
