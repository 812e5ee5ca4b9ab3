-- $1 products, $2 first day of the month, $3 day of the month, $4 how many of each. By installs of 30 days.
SELECT product, version, installs
FROM (
    SELECT u.product, u.version, s.installs,
           row_number() OVER (PARTITION BY u.product ORDER BY s.installs DESC, u.version) AS nth
    FROM usage_series u
    CROSS JOIN LATERAL (
        SELECT sum(step)::bigint AS installs FROM unnest(u.days, u.month_installs) AS each (day, step) WHERE day <= $3
    ) s
    WHERE u.product = ANY ($1::integer[]) AND u.slice = 'version' AND u.month = $2::date AND s.installs > 0
) place
WHERE nth <= $4
