-- The scratch tables of a fold: temporary, emptied at COMMIT.
-- fold_fresh: the pings of the claimed batches, one row for each install, product and day, as of the last ping.
CREATE TEMP TABLE fold_fresh (
    install bytea, product integer, day date, launches integer, at timestamptz, id uuid, version text, build text,
    country text, os text, license bytea, users integer, verified boolean
) ON COMMIT DELETE ROWS;
-- fold_change: each row of activity that changes, as it was (was_…, all NULL where it was not) and as it is now, with
-- the row of install likewise (had_…, has_…; NULL where the install does not change). What a summary changes by
-- is what "is now" counts for less what "was" counts for. A neighbour is a day that changes only because a late ping
-- came in before it.
CREATE TEMP TABLE fold_change (
    install bytea, product integer, day date,
    was_launches integer, was_users integer, was_version text, was_build text, was_country text, was_os text,
    was_verified boolean, was_prev_version text,
    launches integer, users integer, version text, build text, country text, os text, verified boolean,
    at timestamptz, id uuid, license bytea, prev_day date, prev_version text,
    had_first_day date, had_last_day date, had_users integer, had_version text, had_build text, had_country text,
    had_verified boolean,
    has_first_day date, has_last_day date, has_users integer, has_version text, has_build text, has_country text,
    has_verified boolean, latest boolean, neighbour boolean
) ON COMMIT DELETE ROWS;
-- fold_top: the builds shown to viewers before this fold.
CREATE TEMP TABLE fold_top (product integer, version text, build text, installs bigint) ON COMMIT DELETE ROWS;
