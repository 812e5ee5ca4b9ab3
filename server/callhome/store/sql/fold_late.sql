-- $1 day. The active day before that of a late ping, looked up in activity. Not a part of fold_change: a search through
-- all months, prepared for each row and hardly ever made, cost as much as the look-ups that every row needs.
UPDATE fold_change c SET prev_day = p.day, prev_version = p.version
FROM fold_change l
CROSS JOIN LATERAL (
    SELECT day, version FROM activity e
    WHERE e.install = l.install AND e.product = l.product AND e.day < $1
    ORDER BY day DESC LIMIT 1
) p
WHERE l.day = $1 AND NOT l.neighbour AND l.had_last_day > $1 AND l.was_launches IS NULL AND c.ctid = l.ctid AND c.install = l.install
