-- That pings of these products came, and are counted now: by the clock of the database, not those of clients.
INSERT INTO product_seen (product, seen_at) SELECT DISTINCT product, now() FROM fold_fresh
ON CONFLICT (product) DO UPDATE SET seen_at = excluded.seen_at
