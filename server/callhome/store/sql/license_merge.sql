-- The lines become licenses, new or changed; those that change nothing are left alone. Each that does is counted anew,
-- from the first day of its window on. Nobody else changes licenses meanwhile, and an INSERT ... ON CONFLICT would use up
-- a number for each license that is there.
WITH incoming AS (
    SELECT i.*, p.id AS product_id, l.id
    FROM license_incoming i JOIN product p ON p.key = i.product LEFT JOIN license l ON l.key_hash = i.key_hash
), updated AS (
    UPDATE license l SET
        customer = i.customer, product = i.product_id, seats = i.seats, counts = i.counts, use = i.use,
        window_days = i.window_days, starts = i.starts, ends = i.ends, grace_days = i.grace_days, overage = i.overage,
        revoked_on = i.revoked_on, updated_at = now()
    FROM incoming i
    WHERE l.id = i.id
      AND (l.customer, l.product, l.seats, l.counts, l.use, l.window_days, l.starts, l.ends, l.grace_days, l.overage,
           l.revoked_on)
          IS DISTINCT FROM (i.customer, i.product_id, i.seats, i.counts, i.use, i.window_days, i.starts, i.ends,
                            i.grace_days, i.overage, i.revoked_on)
    RETURNING l.id, l.window_days
), inserted AS (
    INSERT INTO license (key_hash, last4, customer, product, seats, counts, use, window_days, starts, ends, grace_days,
                         overage, revoked_on)
    SELECT key_hash, last4, customer, product_id, seats, counts, use, window_days, starts, ends, grace_days, overage,
           revoked_on
    FROM incoming WHERE id IS NULL ORDER BY line
    RETURNING id, window_days
), touched AS (
    INSERT INTO license_touched (license, day)
    SELECT id, current_date - greatest(window_days, 30) FROM (TABLE updated UNION ALL TABLE inserted) changed
)
SELECT (SELECT count(*) FROM inserted) AS new, (SELECT count(*) FROM updated) AS changed
