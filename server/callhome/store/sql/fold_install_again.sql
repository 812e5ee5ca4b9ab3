-- $1 day. A MERGE for the reason told in fold_activity_again.
MERGE INTO install i
USING (SELECT * FROM fold_change WHERE day = $1 AND moved AND had_last_day IS NOT NULL) c
ON i.install = c.install AND i.product = c.product
WHEN MATCHED THEN UPDATE SET
    first_day = least(i.first_day, c.day), last_day = greatest(i.last_day, c.day), verified = c.has_verified,
    version = CASE WHEN c.latest THEN c.version ELSE i.version END,
    build = CASE WHEN c.latest THEN c.build ELSE i.build END,
    country = CASE WHEN c.latest THEN c.country ELSE i.country END,
    os = CASE WHEN c.latest THEN c.os ELSE i.os END,
    license = CASE WHEN c.latest THEN c.license ELSE i.license END,
    users = CASE WHEN c.latest THEN c.users ELSE i.users END
WHEN NOT MATCHED THEN INSERT (install, product) VALUES (c.install, c.product)
