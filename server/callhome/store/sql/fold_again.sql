-- $1 day. What a late ping changes in usage_again, seen before activity changes: its day comes between the install's
-- active day before and its next (p and n), or changes there; a first day that was not verified becomes so when there is
-- one before it, and with it what the day behind it (nn) counts. All other pings are seen by fold_again_sum.
INSERT INTO fold_again
SELECT c.product, s.day, s.prev_day, s.country, s.verified, s.installs, s.users
FROM fold_change c
CROSS JOIN LATERAL (
    SELECT day, country, users, verified FROM activity e
    WHERE e.install = c.install AND e.product = c.product AND e.day > $1
    ORDER BY day LIMIT 1
) n
LEFT JOIN LATERAL (
    SELECT country, users, verified FROM activity e
    WHERE e.install = c.install AND e.product = c.product AND e.day = c.prev_day AND c.was_launches IS NULL
) p ON true
LEFT JOIN LATERAL (
    SELECT day FROM activity e
    WHERE e.install = c.install AND e.product = c.product AND e.day > n.day AND NOT n.verified
    ORDER BY day LIMIT 1
) nn ON true
CROSS JOIN LATERAL (VALUES
    (n.day, c.day, c.country, c.verified, 1, c.users),
    (n.day, c.day, c.was_country, c.was_verified, -1, -c.was_users),
    (c.day, c.prev_day, p.country, p.verified, 1, p.users),
    (n.day, c.prev_day, p.country, p.verified, -1, -p.users),
    (nn.day, n.day, n.country, true, 1, n.users),
    (nn.day, n.day, n.country, false, -1, -n.users)
) s (day, prev_day, country, verified, installs, users)
WHERE c.day = $1 AND NOT c.neighbour AND c.had_last_day > $1 AND s.day IS NOT NULL AND s.country IS NOT NULL
