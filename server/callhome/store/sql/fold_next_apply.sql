-- $1 day. What fold_next found. A MERGE for the reason told in fold_activity_again.
MERGE INTO activity a
USING (SELECT * FROM fold_change WHERE neighbour AND prev_day = $1) c
ON a.install = c.install AND a.product = c.product AND a.day = c.day
WHEN MATCHED THEN UPDATE SET prev_day = c.prev_day, prev_version = c.prev_version, verified = true
WHEN NOT MATCHED THEN INSERT (install, product, day) VALUES (c.install, c.product, c.day)
