-- $1 from when on, $2 how many installs, $3 how many flips of a day. A day of four flips at least, fewer can't be two returns, on
-- which the install is verified. Those with the most, and all with a finding that isn't closed.
WITH suspect AS MATERIALIZED (
    SELECT d.install, d.product, d.day, max(d.flips) OVER (PARTITION BY d.product, d.install) AS most
    FROM (
        SELECT install, product, (at AT TIME ZONE 'UTC')::date AS day, count(*) AS flips
        FROM flip WHERE at >= $1 GROUP BY install, product, day HAVING count(*) >= 4
    ) d
    WHERE EXISTS (
        SELECT FROM activity a WHERE a.install = d.install AND a.product = d.product AND a.day = d.day AND a.verified
    )
), chosen AS (
    (SELECT install, product FROM suspect GROUP BY install, product, most ORDER BY most DESC, install LIMIT $2)
    UNION
    SELECT install, product FROM finding WHERE rule = 'cloned_install' AND state <> 'closed'
)
SELECT install, product, at, from_country, to_country, from_version, to_version
FROM (
    SELECT f.*, row_number() OVER (PARTITION BY f.product, f.install, s.day ORDER BY f.at) AS nth
    FROM chosen c
    JOIN suspect s ON s.install = c.install AND s.product = c.product
    JOIN flip f ON f.install = s.install AND f.product = s.product AND f.at >= $1 AND (f.at AT TIME ZONE 'UTC')::date = s.day
) few
WHERE nth <= $3
ORDER BY product, install, at
