DELETE FROM upgrade_daily u
USING (SELECT DISTINCT day, product, was_prev_version, was_version FROM fold_change WHERE was_prev_version <> was_version) f
WHERE (u.day, u.product, u.from_version, u.to_version) = (f.day, f.product, f.was_prev_version, f.was_version)
  AND u.installs = 0
