-- $1 products; $2 the begin and $3 the end of the period: moments; $4 how many. What is confirmed first.
SELECT f.id, f.rule, p.name AS product, l.customer, l.last4, f.state, f.cause, f.measure, f.allowed, f.opened_at,
       f.confirmed_at, f.closed_at
FROM finding f
JOIN product p ON p.id = f.product
LEFT JOIN license l ON l.id = f.license
WHERE f.product = ANY ($1::integer[])
  AND (f.state <> 'closed' OR f.opened_at >= $2 AND f.opened_at < $3 OR f.confirmed_at >= $2 AND f.confirmed_at < $3
       OR f.closed_at >= $2 AND f.closed_at < $3)
ORDER BY array_position(ARRAY['confirmed', 'open', 'closed'], f.state), f.opened_at DESC, f.id DESC
LIMIT $4
