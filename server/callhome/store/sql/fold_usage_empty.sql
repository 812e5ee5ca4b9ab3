-- What nobody is counted under any more leaves no row behind.
DELETE FROM usage_daily u
USING (
    SELECT DISTINCT day, product, was_version, was_build, was_country, was_os, was_verified
    FROM fold_change
    WHERE (was_version, was_build, was_country, was_os, was_verified) <> (version, build, country, os, verified)
) f
WHERE (u.day, u.product, u.version, u.build, u.country, u.os, u.verified)
    = (f.day, f.product, f.was_version, f.was_build, f.was_country, f.was_os, f.was_verified)
  AND u.installs = 0 AND u.users = 0 AND u.launches = 0
