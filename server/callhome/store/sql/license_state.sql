-- $1 licenses, $2 the first day of each whose activity changed, $3 today. The maximum is that of all days that were counted.
INSERT INTO license_state AS s (license, seats_used, used_max, max_day, counted_day, counted_at)
SELECT l.id, coalesce(u.seats_used, 0), coalesce(most.seats_used, 0), most.day, $3, now()
FROM unnest($1::integer[], $2::date[]) t (license, day)
JOIN license l ON l.id = t.license
LEFT JOIN license_usage u ON u.license = l.id AND u.day = $3
LEFT JOIN LATERAL (
    SELECT d.seats_used, d.day FROM license_usage d
    WHERE d.license = l.id AND d.day <= $3 AND d.seats_used > 0
    ORDER BY d.seats_used DESC, d.day LIMIT 1
) most ON true
ON CONFLICT (license) DO UPDATE SET
    seats_used = excluded.seats_used, counted_day = excluded.counted_day, counted_at = excluded.counted_at,
    used_max = excluded.used_max, max_day = excluded.max_day
