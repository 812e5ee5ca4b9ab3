-- Licenses under which a count may have changed. Another launch on a day on which an install was seen changes none.
INSERT INTO license_touched (license, day)
SELECT l.id, t.day
FROM (
    SELECT license, min(day) AS day
    FROM (
        SELECT license, day FROM fold_change
        WHERE license IS NOT NULL AND (was_launches IS NULL OR users <> was_users OR verified <> was_verified
                                       OR license IS DISTINCT FROM was_license)
        UNION ALL
        SELECT was_license, day FROM fold_change WHERE was_license IS NOT NULL AND license IS DISTINCT FROM was_license
    ) changed
    GROUP BY license
) t
JOIN license l ON l.key_hash = t.license
