-- $1 licenses. Returns those of which answers to pings say something else from now on.
UPDATE license_state s SET is_over = o.is_over
FROM (
    SELECT l.license, EXISTS (
        SELECT FROM finding f WHERE f.license = l.license AND f.rule = 'over_seats' AND f.state = 'confirmed'
    ) AS is_over
    FROM unnest($1::integer[]) l (license)
) o
WHERE s.license = o.license AND s.is_over <> o.is_over
RETURNING s.license
