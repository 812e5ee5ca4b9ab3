-- As misuse_flips, with its parameters: workers take no LATERAL with a LIMIT of what the coordinator has chosen, so the first flips
-- of each day are numbered in place.
WITH suspect AS MATERIALIZED (
    SELECT d.install, d.product, d.day
    FROM (
        SELECT install, product, (at AT TIME ZONE 'UTC')::date AS day, count(*) AS flips
        FROM flip WHERE at >= $1 GROUP BY install, product, day HAVING count(*) >= 4
    ) d
    WHERE EXISTS (
        SELECT FROM activity a WHERE a.install = d.install AND a.product = d.product AND a.day = d.day AND a.verified
    )
), chosen AS (
    (
        SELECT install, product FROM suspect s
        WHERE NOT EXISTS (
            SELECT FROM finding f
            WHERE f.rule = 'cloned_install' AND f.state <> 'closed' AND f.install = s.install AND f.product = s.product
        )
        GROUP BY install, product ORDER BY md5(install::text || $4) LIMIT $2
    )
    UNION
    SELECT install, product FROM finding WHERE rule = 'cloned_install' AND state <> 'closed'
)
SELECT f.install, f.product, f.at, f.from_country, f.to_country, f.from_version, f.to_version
FROM (
    SELECT install, product, at, from_country, to_country, from_version, to_version, (at AT TIME ZONE 'UTC')::date AS day,
           row_number() OVER (PARTITION BY install, product, (at AT TIME ZONE 'UTC')::date ORDER BY at) AS nth
    FROM flip WHERE at >= $1::timestamptz
) f
JOIN (SELECT s.install, s.product, s.day FROM chosen JOIN suspect s USING (install, product)) s
    ON s.install = f.install AND s.product = f.product AND s.day = f.day
WHERE f.nth <= $3
ORDER BY f.product, f.install, f.at
