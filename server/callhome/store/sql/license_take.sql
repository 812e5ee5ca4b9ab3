-- $1 today, $2 how many licenses. Each once, from its earliest day on; those that are gone are taken and forgotten.
WITH taken AS (
    DELETE FROM license_touched
    WHERE day <= $1 AND license IN (SELECT DISTINCT license FROM license_touched WHERE day <= $1 LIMIT $2)
    RETURNING license, day
)
SELECT t.license, min(t.day) AS day, l.window_days, l.use = 'concurrent' AS by_hour
FROM taken t JOIN license l ON l.id = t.license
GROUP BY t.license, l.window_days, l.use
ORDER BY t.license
