-- Sessions that count no more; $1 to $4 as $2 to $5 of principal_find.
DELETE FROM session s USING account a
WHERE a.id = s.account AND (
    now() >= s.used_at + make_interval(secs => CASE WHEN a.role = 'viewer' THEN $1::float8 ELSE $3::float8 END)
    OR now() >= s.begun_at + make_interval(secs => CASE WHEN a.role = 'viewer' THEN $2::float8 ELSE $4::float8 END)
)
