-- $1 products; $2 the begin and $3 the end of the period: moments.
SELECT count(*) FILTER (WHERE opened_at >= $2 AND opened_at < $3) AS opened,
       count(*) FILTER (WHERE confirmed_at >= $2 AND confirmed_at < $3) AS confirmed,
       count(*) FILTER (WHERE closed_at >= $2 AND closed_at < $3) AS closed,
       count(*) FILTER (WHERE state = 'open') AS open_now,
       count(*) FILTER (WHERE state = 'confirmed') AS confirmed_now
FROM finding WHERE product = ANY ($1::integer[])
