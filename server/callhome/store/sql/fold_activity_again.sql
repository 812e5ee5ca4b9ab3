-- $1 day. Nothing is inserted: these rows are all there. But a MERGE that could insert is an outer join, which looks into
-- activity for each row of the scratch table. The join of an UPDATE could be made from the side of activity, with all of the
-- scratch table read for each install of the day; an upsert locks each row on its own before it changes it.
MERGE INTO activity a
USING (SELECT * FROM fold_change WHERE day = $1 AND NOT neighbour AND was_launches IS NOT NULL) c
ON a.install = c.install AND a.product = c.product AND a.day = $1
WHEN MATCHED THEN UPDATE SET
    launches = c.launches, at = c.at, id = c.id, version = c.version, build = c.build, country = c.country, os = c.os,
    license = c.license, users = c.users, verified = c.verified
WHEN NOT MATCHED THEN INSERT (install, product, day) VALUES (c.install, c.product, c.day)
