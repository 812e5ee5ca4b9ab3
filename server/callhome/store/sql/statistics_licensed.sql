-- $1 product, $2 hashes of license keys, $3 first and $4 last day, $5 how many at most. The active days under these
-- licenses, with the next active day of the install, whatever its license then.
SELECT a.day, n.day AS next_day, a.version, a.build, a.country, a.os, a.users, a.launches
FROM activity a
LEFT JOIN LATERAL (
    SELECT day FROM activity e
    WHERE e.install = a.install AND e.product = a.product AND e.day > a.day AND e.day <= a.day + 30
    ORDER BY day LIMIT 1
) n ON true
WHERE a.license = ANY ($2::bytea[]) AND a.product = $1 AND a.day > $3::date - 30 AND a.day <= $4::date AND a.verified
LIMIT $5
