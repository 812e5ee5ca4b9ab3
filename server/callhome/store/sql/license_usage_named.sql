-- $1 named licenses, $2 the first day of each whose activity changed, $3 today, $4 a day before which no activity matters. An
-- active day of an install is the latest up to the next one: until then, and for as long as the window, its seats are used; and
-- held, where the next one is less than a window away. So each day is a running sum of what begins and ends on the days up to
-- it, and no install is looked at once for each day. A change reaches back over a window, since a day may be held by what
-- comes after it. Begins and ends are summed one after the other: as rows of one list, made for each active day, they took
-- three times as long.
WITH chosen AS MATERIALIZED (
    SELECT l.id, l.key_hash, l.product, l.window_days::integer AS span, l.counts = 'user' AS by_user,
           t.day - l.window_days + 1 AS first_day
    FROM unnest($1::integer[], $2::date[]) t (license, day)
    JOIN license l ON l.id = t.license
), seen AS MATERIALIZED (
    SELECT id, first_day, is_own, day, seats, least(until, span) AS used_days,
           CASE WHEN until < span THEN until WHEN since IS NULL OR since >= span THEN 1 ELSE 0 END AS held_days
    FROM (
        SELECT c.id, c.span, c.first_day, a.product = c.product AS is_own, a.day, CASE WHEN c.by_user THEN a.users ELSE 1 END AS seats,
               a.day - lag(a.day) OVER days AS since, lead(a.day) OVER days - a.day AS until
        FROM chosen c
        JOIN activity a ON a.license = c.key_hash AND a.verified AND a.day BETWEEN c.first_day - c.span + 1 AND $3
                       AND a.day BETWEEN $4 AND $3
        WINDOW days AS (PARTITION BY c.id, a.product, a.install ORDER BY a.day)
    ) a
), step AS (
    SELECT id, greatest(day, first_day) AS day, sum(seats) AS used, sum(seats) FILTER (WHERE held_days > 0) AS held,
           sum(seats) FILTER (WHERE day >= first_day) AS active, 0 AS elsewhere
    FROM seen WHERE is_own GROUP BY 1, 2
    UNION ALL
    SELECT id, greatest(day + used_days, first_day), -sum(seats), 0, 0, 0
    FROM seen WHERE is_own AND day + used_days <= $3 GROUP BY 1, 2
    UNION ALL
    SELECT id, greatest(day + held_days, first_day), 0, -sum(seats), 0, 0
    FROM seen WHERE is_own AND held_days > 0 AND day + held_days <= $3 GROUP BY 1, 2
    UNION ALL
    SELECT id, day, 0, 0, 0, count(*) FROM seen WHERE NOT is_own AND day >= first_day GROUP BY 1, 2
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
