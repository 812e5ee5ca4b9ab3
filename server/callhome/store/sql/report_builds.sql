-- $1 products, $2 how many of each.
SELECT b.product, b.version, b.build, b.installs
FROM unnest($1::integer[]) AS p (id)
CROSS JOIN LATERAL (
    SELECT product, version, build, installs FROM live_build
    WHERE product = p.id AND installs > 0
    ORDER BY installs DESC, version, build LIMIT $2
) b
ORDER BY b.product, b.installs DESC, b.version, b.build
