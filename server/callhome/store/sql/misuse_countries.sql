-- $1 license, $2 and $3 first and last day, $4 whether installs of its own product or of others: countries by their installs.
SELECT country, count(*) AS installs
FROM (
    SELECT DISTINCT ON (a.product, a.install) a.country
    FROM license l
    JOIN activity a ON a.license = l.key_hash AND a.day BETWEEN $2 AND $3 AND (a.product = l.product) = $4 AND a.verified
    WHERE l.id = $1
    ORDER BY a.product, a.install, a.day DESC
) latest
GROUP BY country
ORDER BY installs DESC, country
