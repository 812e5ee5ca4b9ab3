INSERT INTO upgrade_daily AS u (day, product, from_version, to_version, installs)
SELECT day, product, from_version, to_version, sum(installs)
FROM (
    SELECT day, product, prev_version AS from_version, version AS to_version, 1 AS installs
    FROM fold_change WHERE prev_version <> version
    UNION ALL
    SELECT day, product, was_prev_version, was_version, -1
    FROM fold_change WHERE was_prev_version <> was_version
) step
GROUP BY day, product, from_version, to_version
HAVING sum(installs) <> 0
ON CONFLICT (day, product, from_version, to_version) DO UPDATE SET installs = u.installs + excluded.installs
