-- The scratch table of the job that makes usage_series: what is counted on a day of the month, and by how much the counts
-- of 7 and 30 days differ from those of the day before.
CREATE TEMP TABLE IF NOT EXISTS series_step (
    product integer, day date, installs bigint, users bigint, launches bigint,
    week_installs bigint, week_users bigint, month_installs bigint, month_users bigint,
    version text, build text, country text, os text
) ON COMMIT DELETE ROWS
