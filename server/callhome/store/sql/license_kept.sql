-- What isn't given ($1: the names of the columns that are) stays as it is in the licenses that are there.
UPDATE license_incoming i SET
    counts      = CASE WHEN 'counts' = ANY($1::text[]) THEN i.counts ELSE l.counts END,
    use         = CASE WHEN 'use' = ANY($1) THEN i.use ELSE l.use END,
    window_days = CASE WHEN 'window_days' = ANY($1) THEN i.window_days ELSE l.window_days END,
    starts      = CASE WHEN 'starts' = ANY($1) THEN i.starts ELSE l.starts END,
    ends        = CASE WHEN 'ends' = ANY($1) THEN i.ends ELSE l.ends END,
    grace_days  = CASE WHEN 'grace_days' = ANY($1) THEN i.grace_days ELSE l.grace_days END,
    overage     = CASE WHEN 'overage' = ANY($1) THEN i.overage ELSE l.overage END,
    revoked_on  = CASE WHEN 'revoked_on' = ANY($1) THEN i.revoked_on ELSE l.revoked_on END
FROM license l WHERE l.key_hash = i.key_hash
