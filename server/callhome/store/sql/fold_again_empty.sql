DELETE FROM usage_again u
USING (SELECT DISTINCT product, day, prev_day, country, verified FROM fold_again WHERE installs < 0) f
WHERE (u.product, u.day, u.prev_day, u.country, u.verified) = (f.product, f.day, f.prev_day, f.country, f.verified)
  AND u.installs = 0 AND u.users = 0
