-- $1 today
INSERT INTO live_build AS b
SELECT product, version, build, sum(installs)
FROM (
    SELECT product, CASE WHEN latest THEN version ELSE had_version END AS version,
           CASE WHEN latest THEN build ELSE had_build END AS build, 1 AS installs
    FROM fold_change WHERE moved AND has_verified AND greatest(had_last_day, day) > $1::date - 30
    UNION ALL
    SELECT product, had_version, had_build, -1
    FROM fold_change WHERE moved AND had_verified AND had_last_day > $1::date - 30
) step
GROUP BY product, version, build
HAVING sum(installs) <> 0
ON CONFLICT (product, version, build) DO UPDATE SET installs = b.installs + excluded.installs
