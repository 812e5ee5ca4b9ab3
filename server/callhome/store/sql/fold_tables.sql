-- The scratch tables of a fold: temporary, emptied at COMMIT. Columns of fixed width that are never NULL stand first:
-- behind a text or a NULL, PostgreSQL finds a column by walking through those before it.
-- fold_fresh: the pings of the claimed batches by install, product and day: the last ("latest"), which stands for all; and
-- where there were several, also the first (was_… is NULL), each with another version or country than the ping before it
-- (was_…), and where hours are counted, each with a license.
CREATE TEMP TABLE fold_fresh (
    product integer, day date, launches integer, users integer, at timestamptz, id uuid, verified boolean,
    weak boolean, several boolean, latest boolean,
    install bytea, version text, build text, country text, os text, license bytea, was_version text, was_country text
) ON COMMIT DELETE ROWS;
-- fold_change: each row of activity that changes, as it was (was_…, all NULL where it was not) and as it is now, with the
-- row of install as it was (had_…, likewise). "latest": the ping of this row is the install's latest, so that install is
-- as this row; "moved": the row of install changes, or is new. What a summary changes by is what "is now" counts for
-- less what "was" counts for. A neighbour is a day that changes only because a late ping came in before it.
CREATE TEMP TABLE fold_change (
    product integer, day date, launches integer, users integer, at timestamptz, id uuid, verified boolean,
    neighbour boolean, latest boolean, moved boolean, weak boolean, several boolean,
    was_launches integer, was_users integer, was_verified boolean,
    had_first_day date, had_last_day date, had_users integer, had_verified boolean, has_verified boolean, prev_day date,
    install bytea, version text, build text, country text, os text, license bytea, prev_version text,
    was_version text, was_build text, was_country text, was_os text, was_license bytea, was_prev_version text,
    had_version text, had_build text, had_country text
) ON COMMIT DELETE ROWS;
-- fold_again: what late pings change in usage_again.
CREATE TEMP TABLE fold_again (
    product integer, day date, prev_day date, country text, verified boolean, installs bigint, users bigint
) ON COMMIT DELETE ROWS;
-- fold_top: the builds shown to viewers before this fold.
CREATE TEMP TABLE fold_top (product integer, version text, build text, installs bigint) ON COMMIT DELETE ROWS;
