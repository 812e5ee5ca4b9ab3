-- Licenses with how they stand: of a product, with a text in the customer's name, ending from $3 to $4, with a key, its
-- end or a number; each NULL for any. Behind number $8, at most $9.
SELECT l.id, l.last4, l.customer, l.product, p.key AS product_key, l.seats, l.counts, l.use, l.window_days, l.starts,
       l.ends, l.grace_days, l.overage, l.revoked_on, s.seats_used, s.used_max, s.max_day,
       coalesce(s.is_over, false) AS is_over
FROM license l JOIN product p ON p.id = l.product LEFT JOIN license_state s ON s.license = l.id
WHERE ($1::text IS NULL OR p.key = $1) AND ($2::text IS NULL OR position(lower($2) IN lower(l.customer)) > 0)
  AND ($3::date IS NULL OR l.ends >= $3) AND ($4::date IS NULL OR l.ends <= $4)
  AND ($5::bytea IS NULL OR l.key_hash = $5) AND ($6::text IS NULL OR l.last4 = $6)
  AND ($7::integer IS NULL OR l.id = $7) AND l.id > $8
ORDER BY l.id LIMIT $9
