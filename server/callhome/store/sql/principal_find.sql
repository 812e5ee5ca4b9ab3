-- Who is behind what was shown, of sessions and tokens that count. $1: SHA-256 of each; $2 and $3: seconds that a
-- viewer's session lasts without use, and in all; $4 and $5: those of the others. unused_s: since it was used last.
WITH lasting AS (
    SELECT
        s.id AS digest, 'account' AS kind, a.name, a.role, s.used_at,
        s.used_at + make_interval(secs => CASE WHEN a.role = 'viewer' THEN $2::float8 ELSE $4::float8 END) AS idle_at,
        s.begun_at + make_interval(secs => CASE WHEN a.role = 'viewer' THEN $3::float8 ELSE $5::float8 END) AS ends_at
    FROM session s JOIN account a ON a.id = s.account
    WHERE s.id = ANY ($1::bytea[])
)
SELECT
    digest, kind, name, role, extract(epoch FROM now() - used_at)::float8 AS unused_s,
    extract(epoch FROM ends_at)::float8 AS ends_s
FROM lasting WHERE now() < idle_at AND now() < ends_at
UNION ALL
SELECT
    digest, 'token', name, role,
    CASE WHEN used_on = (now() AT TIME ZONE 'UTC')::date THEN 0.0 ELSE 1.0 END::float8,
    coalesce(extract(epoch FROM expires_at)::float8, 'infinity')
FROM api_token WHERE digest = ANY ($1::bytea[]) AND (expires_at IS NULL OR now() < expires_at)
