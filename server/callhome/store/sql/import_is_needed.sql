-- $1 first UTC day that is kept. Whether an import still needs activity of before: it is under way, or what it brought is
-- not counted yet, or its licenses are not. One that has not moved for a week is given up.
SELECT EXISTS (SELECT FROM import_run WHERE finished_at IS NULL AND advanced_at > now() - interval '7 days')
    OR EXISTS (SELECT FROM import_run r JOIN batch b ON b.id <= r.last_batch)
    OR EXISTS (SELECT FROM license_touched WHERE day < $1)
