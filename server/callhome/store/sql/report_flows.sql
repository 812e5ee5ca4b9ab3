-- $1 products; $2 first and $3 last day; $4 how many of each product. "total": those that are left out, too.
SELECT product, from_version, to_version, installs, total
FROM (
    SELECT product, from_version, to_version, sum(installs)::bigint AS installs,
           sum(sum(installs)) OVER (PARTITION BY product)::bigint AS total,
           row_number() OVER (
               PARTITION BY product ORDER BY sum(installs) DESC, from_version, to_version
           ) AS nth
    FROM upgrade_daily WHERE product = ANY ($1::integer[]) AND day BETWEEN $2 AND $3
    GROUP BY product, from_version, to_version
) flow
WHERE nth <= $4
ORDER BY product, nth
