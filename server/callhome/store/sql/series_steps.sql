-- $1 products, $2 first day of the month, $3 first day of the next. An install that was active on a day counts for 7 (30)
-- days under what it was on that day, or until its next active day: so it enters on the one and leaves on the other. What
-- entered before the month, and has not left, enters on its first day.
INSERT INTO series_step
SELECT product, at, sum(installs), sum(installs * users::bigint), sum(launches), sum(week), sum(week * users::bigint),
       sum(month), sum(month * users::bigint), version, build, country, os
FROM (
    SELECT a.product, s.at, a.version, a.build, a.country, a.os, a.users, s.installs, s.launches, s.week, s.month
    FROM (
        SELECT install, product, day, version, build, country, os, users, launches, verified,
               lead(day, 1, 'infinity') OVER (PARTITION BY install, product ORDER BY day) AS next_day
        FROM activity
        WHERE product = ANY ($1::integer[]) AND day > $2::date - 30 AND day < $3::date
    ) a
    CROSS JOIN LATERAL (
        SELECT least(a.day + 7, a.next_day) AS week_end, least(a.day + 30, a.next_day) AS month_end
    ) e
    CROSS JOIN LATERAL (VALUES
        (
            greatest(a.day, $2), CASE WHEN a.day >= $2 THEN 1 ELSE 0 END, CASE WHEN a.day >= $2 THEN a.launches ELSE 0 END,
            CASE WHEN e.week_end > $2 THEN 1 ELSE 0 END, CASE WHEN e.month_end > $2 THEN 1 ELSE 0 END
        ),
        (e.week_end, 0, 0, -1, 0),
        (e.month_end, 0, 0, 0, -1)
    ) s (at, installs, launches, week, month)
    WHERE a.verified AND s.at < $3 AND (s.installs <> 0 OR s.at > $2 OR s.week > 0 OR s.month > 0)
) step
GROUP BY product, at, version, build, country, os
HAVING sum(installs) <> 0 OR sum(launches) <> 0 OR sum(week) <> 0 OR sum(month) <> 0
    OR sum(week * users::bigint) <> 0 OR sum(month * users::bigint) <> 0
