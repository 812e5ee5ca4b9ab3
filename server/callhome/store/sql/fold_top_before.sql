-- $1 how many. The builds that viewers are shown of the products at hand, as they were.
INSERT INTO fold_top
SELECT p.product, t.version, t.build, t.installs
FROM (SELECT DISTINCT product FROM fold_change) p
CROSS JOIN LATERAL (
    SELECT version, build, installs FROM live_build b
    WHERE b.product = p.product AND b.installs > 0
    ORDER BY installs DESC, version, build LIMIT $1
) t
