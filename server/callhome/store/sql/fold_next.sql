-- $1 day. A late ping gives the install's next active day another day before it, and verifies that day. Of such a
-- row in the log, the install's columns stay NULL.
WITH late AS (
    SELECT c.install, c.product, c.day AS prev_day, c.version AS prev_version, n.day
    FROM fold_change c
    CROSS JOIN LATERAL (
        SELECT day FROM activity e
        WHERE e.install = c.install AND e.product = c.product AND e.day > $1
        ORDER BY day LIMIT 1
    ) n
    WHERE c.day = $1 AND NOT c.neighbour AND c.had_last_day > $1
), before AS (
    SELECT a.* FROM late l JOIN activity a ON a.install = l.install AND a.product = l.product AND a.day = l.day
), now AS (
    UPDATE activity a SET prev_day = l.prev_day, prev_version = l.prev_version, verified = true
    FROM late l
    WHERE a.install = l.install AND a.product = l.product AND a.day = l.day
    RETURNING a.*
)
INSERT INTO fold_change (
    product, day, launches, users, verified, neighbour, latest, moved, was_launches, was_users, was_verified,
    install, version, build, country, os, prev_version, was_version, was_build, was_country, was_os, was_prev_version
)
SELECT n.product, n.day, n.launches, n.users, n.verified, true, false, false, b.launches, b.users, b.verified,
       n.install, n.version, n.build, n.country, n.os, n.prev_version,
       b.version, b.build, b.country, b.os, b.prev_version
FROM now n JOIN before b ON b.install = n.install AND b.product = n.product AND b.day = n.day
