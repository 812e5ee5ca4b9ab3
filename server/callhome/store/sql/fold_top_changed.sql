-- $1 how many. What has changed among the builds that viewers are shown; one that is no longer shown has 0 installs.
SELECT p.key, version, build, coalesce(now.installs, 0)
FROM (
    SELECT p.product, t.version, t.build, t.installs
    FROM (SELECT DISTINCT product FROM fold_change) p
    CROSS JOIN LATERAL (
        SELECT version, build, installs FROM live_build b
        WHERE b.product = p.product AND b.installs > 0
        ORDER BY installs DESC, version, build LIMIT $1
    ) t
) now
FULL JOIN fold_top was USING (product, version, build)
JOIN product p ON p.id = product
WHERE now.installs IS DISTINCT FROM was.installs
ORDER BY p.key, version, build
