-- $1 fingerprint of this import, $2 products, $3 and $4 the first and the last time of its rows of each that are not kept
-- singly. Other imports that had rows of the same products within those times.
SELECT DISTINCT r.name, r.begun_at, r.finished_at, p.key AS product, i.first_at, i.last_at
FROM unnest($2::integer[], $3::timestamptz[], $4::timestamptz[]) n (product, first_at, last_at)
JOIN import_product i ON i.product = n.product AND i.first_at <= n.last_at AND i.last_at >= n.first_at
JOIN import_run r ON r.id = i.run AND r.fingerprint <> $1
JOIN product p ON p.id = i.product
ORDER BY r.begun_at, product
