-- $1 keys, empty for all. With the installs of the last 30 days that end on live_seq.today.
SELECT p.id, p.key, p.name, coalesce(l.installs, 0)::bigint AS in_use
FROM product p
LEFT JOIN (SELECT product, sum(installs_30d) AS installs FROM live_count GROUP BY product) l ON l.product = p.id
WHERE $1::text[] = '{}' OR p.key = ANY ($1::text[])
ORDER BY p.key
