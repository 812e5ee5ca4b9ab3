-- Lines that can't become licenses, the first $1 of them, and how many there are: of products that aren't registered,
-- and, since what isn't given was kept, such as end before they begin.
SELECT i.line, i.product, p.id IS NOT NULL AS is_known, i.starts, i.ends, count(*) OVER () AS many
FROM license_incoming i LEFT JOIN product p ON p.key = i.product
WHERE p.id IS NULL OR i.ends < i.starts
ORDER BY i.line LIMIT $1
