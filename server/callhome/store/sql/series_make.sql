-- $1 first day of the month, $2 whether the counts of 7 and 30 days are known.
INSERT INTO usage_series (
    product, slice, version, build, country, os, month, days, installs, users, launches,
    week_installs, week_users, month_installs, month_users
)
SELECT product, slice, version, build, country, os, $1::date, array_agg((day - $1::date + 1)::smallint ORDER BY day),
       array_agg(installs::integer ORDER BY day), array_agg(users ORDER BY day), array_agg(launches ORDER BY day),
       CASE WHEN $2 THEN array_agg(week_installs::integer ORDER BY day) END,
       CASE WHEN $2 THEN array_agg(week_users ORDER BY day) END,
       CASE WHEN $2 THEN array_agg(month_installs::integer ORDER BY day) END,
       CASE WHEN $2 THEN array_agg(month_users ORDER BY day) END
FROM (
    SELECT product, day,
           CASE grouping(version, build, country, os)
               WHEN 15 THEN 'all' WHEN 7 THEN 'version' WHEN 3 THEN 'build' WHEN 13 THEN 'country' WHEN 14 THEN 'os'
               WHEN 5 THEN 'version_country' WHEN 6 THEN 'version_os' WHEN 12 THEN 'country_os'
           END AS slice,
           coalesce(version, '') AS version, coalesce(build, '') AS build, coalesce(country, '') AS country,
           coalesce(os, '') AS os,
           sum(installs)::bigint AS installs, sum(users)::bigint AS users, sum(launches)::bigint AS launches,
           sum(week_installs)::bigint AS week_installs, sum(week_users)::bigint AS week_users,
           sum(month_installs)::bigint AS month_installs, sum(month_users)::bigint AS month_users
    FROM series_step
    GROUP BY GROUPING SETS (
        (product, day), (product, day, version), (product, day, version, build), (product, day, country),
        (product, day, os), (product, day, version, country), (product, day, version, os), (product, day, country, os)
    )
) cell
WHERE installs <> 0 OR users <> 0 OR launches <> 0 OR week_installs <> 0 OR week_users <> 0 OR month_installs <> 0
    OR month_users <> 0
GROUP BY product, slice, version, build, country, os
