-- $1 today. Months whose series change: an install counts for up to 30 days behind a day, and comes into another cohort,
-- in all its months, where its first day moves.
INSERT INTO series_touched AS t (product, month, folds)
SELECT DISTINCT product, month::date, 1
FROM (
    SELECT product, day, max(least(greatest(day + 30, CASE WHEN had_first_day > day THEN had_last_day END), greatest($1, day))) AS until
    FROM fold_change GROUP BY product, day
) change
CROSS JOIN LATERAL generate_series(date_trunc('month', day), date_trunc('month', until), interval '1 month') month
ORDER BY product, month
ON CONFLICT (product, month) DO UPDATE SET folds = t.folds + 1
