-- $1 products, $2 today. Those that may be the latest of a product: of the channel that is offered to every install.
SELECT r.product, r.version, r.day,
       (SELECT coalesce(sum(b.installs), 0)::bigint FROM live_build b
        WHERE b.product = r.product AND b.version = r.version) AS installs
FROM release r
WHERE r.product = ANY ($1::integer[]) AND r.withdrawn_at IS NULL AND r.day <= $2 AND r.share > 0 AND r.channel = 'stable'
