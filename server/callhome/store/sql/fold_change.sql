-- $1 day. The active day before it is the install's last; that of a late ping is found by fold_late.
INSERT INTO fold_change
SELECT f.product, f.day, coalesce(a.launches, 0) + f.launches,
       CASE WHEN l.of_day THEN f.users ELSE a.users END,
       CASE WHEN l.of_day THEN f.at ELSE a.at END,
       CASE WHEN l.of_day THEN f.id ELSE a.id END,
       f.verified OR coalesce(a.verified, false) OR coalesce(i.first_day < $1, false),
       false, l.of_all,
       v.has_verified <> coalesce(i.verified, NOT v.has_verified) OR i.first_day > $1 OR i.last_day < $1
           OR l.of_all AND ((f.users, f.version, f.build, f.country, f.os) <> (i.users, i.version, i.build, i.country, i.os)
                            OR f.license IS DISTINCT FROM i.license),
       f.weak, f.several,
       a.launches, a.users, a.verified,
       i.first_day, i.last_day, i.users, i.verified, v.has_verified,
       CASE WHEN a.day IS NOT NULL THEN a.prev_day WHEN i.last_day < $1 THEN i.last_day END,
       f.install,
       CASE WHEN l.of_day THEN f.version ELSE a.version END,
       CASE WHEN l.of_day THEN f.build ELSE a.build END,
       CASE WHEN l.of_day THEN f.country ELSE a.country END,
       CASE WHEN l.of_day THEN f.os ELSE a.os END,
       CASE WHEN l.of_day THEN f.license ELSE a.license END,
       CASE WHEN a.day IS NOT NULL THEN a.prev_version WHEN i.last_day < $1 THEN i.version END,
       a.version, a.build, a.country, a.os, a.license, a.prev_version,
       i.version, i.build, i.country
FROM fold_fresh f
LEFT JOIN activity a ON a.install = f.install AND a.product = f.product AND a.day = $1
LEFT JOIN install i ON i.install = f.install AND i.product = f.product
CROSS JOIN LATERAL (SELECT coalesce((f.at, f.id) > (a.at, a.id), true) AS of_day) d
CROSS JOIN LATERAL (SELECT d.of_day, d.of_day AND coalesce(i.last_day <= $1, true) AS of_all) l
CROSS JOIN LATERAL (
    SELECT f.verified OR coalesce(i.verified OR i.first_day <> $1 OR i.last_day <> $1, false) AS has_verified
) v
WHERE f.day = $1 AND f.latest
