-- $1 license, $2 today. Countries with an install in the window and none before it.
SELECT count(*)
FROM (
    SELECT a.country
    FROM license l
    JOIN activity a ON a.license = l.key_hash AND a.product = l.product AND a.verified AND a.country <> 'ZZ'
    WHERE l.id = $1 AND a.day <= $2
    GROUP BY a.country, l.window_days
    HAVING min(a.day) > $2::date - l.window_days
) new
