-- $1 day. A late ping gives the install's next active day another day before it, and verifies that day: both states of
-- that day go into the log, whose columns of the install stay NULL. fold_next_apply then writes it.
INSERT INTO fold_change (
    product, day, launches, users, verified, neighbour, latest, moved, was_launches, was_users, was_verified, prev_day,
    install, version, build, country, os, license, prev_version,
    was_version, was_build, was_country, was_os, was_license, was_prev_version
)
SELECT n.product, n.day, n.launches, n.users, true, true, false, false, n.launches, n.users, n.verified, $1,
       n.install, n.version, n.build, n.country, n.os, n.license, c.version,
       n.version, n.build, n.country, n.os, n.license, n.prev_version
FROM fold_change c
CROSS JOIN LATERAL (
    SELECT * FROM activity e
    WHERE e.install = c.install AND e.product = c.product AND e.day > $1
    ORDER BY day LIMIT 1
) n
WHERE c.day = $1 AND NOT c.neighbour AND c.had_last_day > $1
