-- $1 named licenses, $2 the first day of each whose activity changed, $3 today. An active day of an install is the latest
-- up to the next one: until then, and for as long as the window, its seats are used; and held, where the next one is less
-- than a window away. So each day is a running sum of what begins and ends on the days up to it, and no install is
-- looked at once for each day. A change reaches back over a window, since a day may be held by what comes after it.
WITH chosen AS MATERIALIZED (
    SELECT l.id, l.key_hash, l.product, l.window_days::integer AS span, l.counts = 'user' AS by_user,
           t.day - l.window_days + 1 AS first_day
    FROM unnest($1::integer[], $2::date[]) t (license, day)
    JOIN license l ON l.id = t.license
), seen AS (
    SELECT c.id, c.span, c.first_day, a.product = c.product AS is_own, a.day,
           CASE WHEN c.by_user THEN a.users::bigint ELSE 1 END AS seats,
           a.day - lag(a.day) OVER days AS since, lead(a.day) OVER days - a.day AS until
    FROM chosen c
    JOIN activity a ON a.license = c.key_hash AND a.verified AND a.day BETWEEN c.first_day - c.span + 1 AND $3
    WINDOW days AS (PARTITION BY c.id, a.product, a.install ORDER BY a.day)
), step AS (
    SELECT s.id, greatest(e.day, s.first_day) AS day, sum(e.used) AS used, sum(e.held) AS held,
           sum(e.active) FILTER (WHERE e.day >= s.first_day) AS active, 0 AS elsewhere
    FROM seen s
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.until < s.span THEN s.until
                    WHEN s.since IS NULL OR s.since >= s.span THEN 1 ELSE 0 END AS held_days,
               least(s.until, s.span) AS used_days
    ) l
    CROSS JOIN LATERAL (
        VALUES (s.day, s.seats, CASE WHEN l.held_days > 0 THEN s.seats ELSE 0 END, s.seats),
               (s.day + l.used_days, -s.seats, CASE WHEN l.held_days = l.used_days THEN -s.seats ELSE 0 END, 0),
               (s.day + l.held_days, 0, CASE WHEN l.held_days > 0 AND l.held_days <> l.used_days THEN -s.seats ELSE 0 END, 0)
    ) e (day, used, held, active)
    WHERE s.is_own AND (e.used <> 0 OR e.held <> 0)
    GROUP BY s.id, greatest(e.day, s.first_day)
    UNION ALL
    SELECT id, day, 0, 0, 0, count(*) FROM seen WHERE NOT is_own AND day >= first_day GROUP BY id, day
), usage AS MATERIALIZED (
    SELECT c.id, d.day::date AS day,
           coalesce(sum(sum(s.used)) OVER days, 0) AS used, coalesce(sum(sum(s.held)) OVER days, 0) AS held,
           coalesce(sum(s.active), 0) AS active, coalesce(sum(s.elsewhere), 0) AS elsewhere
    FROM chosen c
    CROSS JOIN LATERAL generate_series(c.first_day, $3::date, interval '1 day') d (day)
    LEFT JOIN step s ON s.id = c.id AND s.day = d.day::date
    GROUP BY c.id, d.day
    WINDOW days AS (PARTITION BY c.id ORDER BY d.day)
), gone AS (
    DELETE FROM license_usage u USING usage n
    WHERE u.license = n.id AND u.day = n.day AND n.used = 0 AND n.held = 0 AND n.active = 0 AND n.elsewhere = 0
)
INSERT INTO license_usage AS u (license, day, seats_used, held, active, elsewhere)
SELECT id, day, used, held, active, elsewhere FROM usage
WHERE used <> 0 OR held <> 0 OR active <> 0 OR elsewhere <> 0
ON CONFLICT (license, day) DO UPDATE SET
    seats_used = excluded.seats_used, held = excluded.held, active = excluded.active, elsewhere = excluded.elsewhere
WHERE (u.seats_used, u.held, u.active, u.elsewhere)
   <> (excluded.seats_used, excluded.held, excluded.active, excluded.elsewhere)
