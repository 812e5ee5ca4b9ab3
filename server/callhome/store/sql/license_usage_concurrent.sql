-- $1 concurrent licenses with the same window, $2 the first day of each whose activity changed, $3 today, $4 a day before which no
-- activity matters, $5 the window less one day. Seats held on a day are those of its highest hour, seats used those of the highest hour of the window.
WITH chosen AS MATERIALIZED (
    SELECT l.id, l.key_hash, l.product, l.counts = 'user' AS by_user, t.day AS first_day, (t.day - $5::interval)::date AS from_day
    FROM unnest($1::integer[], $2::date[]) t (license, day)
    JOIN license l ON l.id = t.license
), seen AS (
    SELECT c.id, a.day, h.hour, h.install, CASE WHEN c.by_user THEN h.users ELSE 1 END AS seats
    FROM chosen c
    JOIN license_hour h ON h.license = c.id AND h.hour >= c.from_day::timestamp AT TIME ZONE 'UTC'
                       AND h.hour < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
    JOIN activity a ON a.install = h.install AND a.product = c.product AND a.day = (h.hour AT TIME ZONE 'UTC')::date
    WHERE a.verified AND a.day BETWEEN $4 AND $3
), peak AS (
    SELECT id, day, max(seats) AS held
    FROM (SELECT id, day, hour, sum(seats) AS seats FROM seen GROUP BY id, day, hour) hours
    GROUP BY id, day
), active AS (
    SELECT id, day, sum(seats) AS active
    FROM (SELECT id, day, install, max(seats) AS seats FROM seen GROUP BY id, day, install) installs
    GROUP BY id, day
), elsewhere AS (
    SELECT c.id, a.day, count(*) AS elsewhere
    FROM chosen c
    JOIN activity a ON a.license = c.key_hash AND a.verified AND a.day BETWEEN c.first_day AND $3
                   AND a.day BETWEEN $4 AND $3 AND a.product <> c.product
    GROUP BY c.id, a.day
), usage AS MATERIALIZED (
    SELECT c.id, d.day::date AS day, d.day::date >= c.first_day AS is_new,
           coalesce(max(p.held) OVER (
               PARTITION BY c.id ORDER BY d.day RANGE BETWEEN $5::interval PRECEDING AND CURRENT ROW
           ), 0) AS used,
           coalesce(p.held, 0) AS held, coalesce(a.active, 0) AS active, coalesce(e.elsewhere, 0) AS elsewhere
    FROM chosen c
    CROSS JOIN LATERAL generate_series(c.from_day, $3::date, interval '1 day') d (day)
    LEFT JOIN peak p ON p.id = c.id AND p.day = d.day::date
    LEFT JOIN active a ON a.id = c.id AND a.day = d.day::date
    LEFT JOIN elsewhere e ON e.id = c.id AND e.day = d.day::date
), gone AS (
    DELETE FROM license_usage u USING usage n
    WHERE u.license = n.id AND u.day = n.day AND n.is_new AND n.used = 0 AND n.held = 0 AND n.active = 0 AND n.elsewhere = 0
)
INSERT INTO license_usage AS u (license, day, seats_used, held, active, elsewhere)
SELECT id, day, used, held, active, elsewhere FROM usage
WHERE is_new AND (used <> 0 OR held <> 0 OR active <> 0 OR elsewhere <> 0)
ON CONFLICT (license, day) DO UPDATE SET
    seats_used = excluded.seats_used, held = excluded.held, active = excluded.active, elsewhere = excluded.elsewhere
WHERE (u.seats_used, u.held, u.active, u.elsewhere)
   <> (excluded.seats_used, excluded.held, excluded.active, excluded.elsewhere)
