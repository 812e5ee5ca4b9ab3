-- $1 from when on, $2 how many installs, $3 how many flips of a day, $4 a text that is another at each look. A day of four flips at
-- least, fewer can't be two returns, on which the install is verified. Of those without a finding yet others at each look, so
-- that whoever invents installs can't keep real ones out for long; and all with a finding that isn't closed.
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
SELECT install, product, at, from_country, to_country, from_version, to_version
FROM chosen c
JOIN suspect s USING (install, product)
CROSS JOIN LATERAL (
    SELECT at, from_country, to_country, from_version, to_version FROM flip f
    WHERE f.install = c.install AND f.product = c.product
      AND f.at >= s.day::timestamp AT TIME ZONE 'UTC' AND f.at < (s.day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY f.at LIMIT $3
) few
ORDER BY product, install, at
