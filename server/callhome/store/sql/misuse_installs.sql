-- $1 license, $2 and $3 first and last day, $4 whether those of its own product or of others, $5 how many. The installs that
-- were active under the license in these days, as of their last day among them; those seen last come first.
SELECT a.install, p.key AS product, min(a.day) AS first_day, max(a.day) AS last_day, count(*) AS days,
       (array_agg(a.country ORDER BY a.day DESC))[1] AS country, (array_agg(a.version ORDER BY a.day DESC))[1] AS version,
       (array_agg(a.users ORDER BY a.day DESC))[1] AS users, count(*) OVER () AS installs
FROM license l
JOIN activity a ON a.license = l.key_hash AND a.day BETWEEN $2 AND $3 AND (a.product = l.product) = $4 AND a.verified
JOIN product p ON p.id = a.product
WHERE l.id = $1
GROUP BY a.install, p.key
ORDER BY last_day DESC, days DESC, a.install
LIMIT $5
