-- $1 products, $2 first day of the month, $3 first day of the next.
INSERT INTO usage_cohort (product, cohort, month, installs)
SELECT product, cohort, $2::date, count(*)
FROM (
    SELECT DISTINCT ON (a.install, a.product) a.product, date_trunc('month', i.first_day)::date AS cohort, a.verified
    FROM activity a JOIN install i ON i.install = a.install AND i.product = a.product
    WHERE a.product = ANY ($1::integer[]) AND a.day >= $2::date AND a.day < $3::date
    ORDER BY a.install, a.product, a.day DESC
) latest
WHERE verified
GROUP BY product, cohort
