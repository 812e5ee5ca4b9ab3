-- $1 products; $2 first and $3 last day of the end; $4 how many.
SELECT l.customer, l.last4, p.name AS product, l.seats, s.seats_used AS used, l.ends
FROM license l
JOIN product p ON p.id = l.product
LEFT JOIN license_state s ON s.license = l.id
WHERE l.product = ANY ($1::integer[]) AND l.ends BETWEEN $2 AND $3 AND (l.revoked_on IS NULL OR l.revoked_on > $2)
ORDER BY l.ends, l.customer, l.id
LIMIT $4
