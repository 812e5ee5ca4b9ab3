-- $1 day. The active day before it is the install's last, or, for a late ping, looked up in activity.
INSERT INTO fold_change
SELECT f.install, f.product, f.day,
       a.launches, a.users, a.version, a.build, a.country, a.os, a.verified, a.prev_version,
       coalesce(a.launches, 0) + f.launches,
       CASE WHEN l.of_day THEN f.users ELSE a.users END,
       CASE WHEN l.of_day THEN f.version ELSE a.version END,
       CASE WHEN l.of_day THEN f.build ELSE a.build END,
       CASE WHEN l.of_day THEN f.country ELSE a.country END,
       CASE WHEN l.of_day THEN f.os ELSE a.os END,
       f.verified OR coalesce(a.verified, false) OR coalesce(i.first_day < $1, false),
       CASE WHEN l.of_day THEN f.at ELSE a.at END,
       CASE WHEN l.of_day THEN f.id ELSE a.id END,
       CASE WHEN l.of_day THEN f.license ELSE a.license END,
       CASE WHEN a.day IS NOT NULL THEN a.prev_day WHEN i.last_day < $1 THEN i.last_day ELSE p.day END,
       CASE WHEN a.day IS NOT NULL THEN a.prev_version WHEN i.last_day < $1 THEN i.version ELSE p.version END,
       i.first_day, i.last_day, i.users, i.version, i.build, i.country, i.verified,
       least(i.first_day, $1), greatest(i.last_day, $1),
       CASE WHEN l.of_all THEN f.users ELSE i.users END,
       CASE WHEN l.of_all THEN f.version ELSE i.version END,
       CASE WHEN l.of_all THEN f.build ELSE i.build END,
       CASE WHEN l.of_all THEN f.country ELSE i.country END,
       f.verified OR coalesce(i.verified OR i.first_day <> $1 OR i.last_day <> $1, false),
       l.of_all, false
FROM fold_fresh f
LEFT JOIN activity a ON a.install = f.install AND a.product = f.product AND a.day = $1
LEFT JOIN install i ON i.install = f.install AND i.product = f.product
CROSS JOIN LATERAL (
    SELECT coalesce((f.at, f.id) > (a.at, a.id), true) AS of_day, coalesce((f.at, f.id) > (i.at, i.id), true) AS of_all
) l
LEFT JOIN LATERAL (
    SELECT day, version FROM activity e
    WHERE e.install = f.install AND e.product = f.product AND e.day < $1 AND i.last_day > $1
    ORDER BY day DESC LIMIT 1
) p ON true
WHERE f.day = $1
