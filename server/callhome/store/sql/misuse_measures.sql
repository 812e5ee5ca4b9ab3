-- $1 licenses, $2 today, $3 how many days of use after its end or elsewhere are looked at. One row for each license of which
-- there is something to say, or of which a finding isn't closed: of each measure the days, the most, the first and last.
SELECT l.id, l.last4, l.customer, l.product, l.seats, l.counts, l.use, l.window_days, l.starts, l.ends, l.grace_days, l.overage,
       l.revoked_on, m.*
FROM license l
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.is_used) AS used_days, max(d.seats_used) FILTER (WHERE d.is_used) AS used_most,
           min(d.day) FILTER (WHERE d.is_used) AS used_first, max(d.day) FILTER (WHERE d.is_used) AS used_last,
           count(*) FILTER (WHERE d.is_held) AS held_days, max(d.held) FILTER (WHERE d.is_held) AS held_most,
           min(d.day) FILTER (WHERE d.is_held) AS held_first, max(d.day) FILTER (WHERE d.is_held) AS held_last,
           count(*) FILTER (WHERE d.is_expired) AS expired_days, max(d.active) FILTER (WHERE d.is_expired) AS expired_most,
           min(d.day) FILTER (WHERE d.is_expired) AS expired_first, max(d.day) FILTER (WHERE d.is_expired) AS expired_last,
           count(*) FILTER (WHERE d.is_revoked) AS revoked_days, max(d.active) FILTER (WHERE d.is_revoked) AS revoked_most,
           min(d.day) FILTER (WHERE d.is_revoked) AS revoked_first, max(d.day) FILTER (WHERE d.is_revoked) AS revoked_last,
           count(*) FILTER (WHERE d.is_elsewhere) AS elsewhere_days,
           max(d.elsewhere) FILTER (WHERE d.is_elsewhere) AS elsewhere_most,
           min(d.day) FILTER (WHERE d.is_elsewhere) AS elsewhere_first,
           max(d.day) FILTER (WHERE d.is_elsewhere) AS elsewhere_last
    FROM (
        SELECT u.day, u.seats_used, u.held, u.active, u.elsewhere,
               u.day > $2::date - l.window_days AND u.seats_used > floor(l.seats * l.overage) AS is_used,
               u.day > $2::date - l.window_days AND u.held > floor(l.seats * l.overage) AS is_held,
               u.active > 0 AND u.day > $2::date - $3::integer AND u.day - l.ends > l.grace_days
                   AND coalesce(u.day < l.revoked_on, true) AS is_expired,
               u.active > 0 AND u.day > $2::date - $3::integer AND u.day >= l.revoked_on AS is_revoked,
               u.elsewhere > 0 AND u.day > $2::date - $3::integer AS is_elsewhere
        FROM license_usage u
        WHERE u.license = l.id AND u.day > $2::date - greatest(l.window_days, $3::integer) AND u.day <= $2
        OFFSET 0
    ) d
) m
WHERE l.id = ANY ($1::integer[])
  AND (m.used_days > 0 OR m.expired_days > 0 OR m.revoked_days > 0 OR m.elsewhere_days > 0
       OR EXISTS (SELECT FROM finding f WHERE f.license = l.id AND f.state <> 'closed'))
ORDER BY l.id
