-- $1 today, $2 retention in days, $3 how many days back a ping can touch. The licenses with hours are found by stepping
-- from one to the next in the index; hours of a license that is gone, or not concurrent any more, all go.
WITH RECURSIVE counted (license) AS (
    (SELECT license FROM license_hour ORDER BY license LIMIT 1)
    UNION ALL
    SELECT (SELECT h.license FROM license_hour h WHERE h.license > c.license ORDER BY h.license LIMIT 1)
    FROM counted c WHERE c.license IS NOT NULL
)
DELETE FROM license_hour h
USING counted c LEFT JOIN license l ON l.id = c.license AND l.use = 'concurrent'
WHERE h.license = c.license
  AND (l.id IS NULL OR h.hour < ($1::date - least($2::integer, l.window_days + $3::integer))::timestamp AT TIME ZONE 'UTC')
