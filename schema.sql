-- callhome: the whole schema. Applied by `callhome db upgrade`, and at a start if it is not the text applied last;
-- running it again changes nothing.
-- PostgreSQL 15 and newer. Units and meanings stand in the comments of the columns; docs/definitions.md says how
-- the numbers are defined. Texts that a client left out are '' where they are part of a key, else NULL.

CREATE TABLE IF NOT EXISTS schema_state (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint text        NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_state IS 'One row: which text of this file was applied last.';
COMMENT ON COLUMN schema_state.one IS 'Always true, so that there is one row.';
COMMENT ON COLUMN schema_state.fingerprint IS 'SHA-256 of this file, in hexadecimal digits.';
COMMENT ON COLUMN schema_state.applied_at IS 'When it was applied.';

CREATE TABLE IF NOT EXISTS product (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        text        NOT NULL UNIQUE CHECK (key ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE product IS 'The products that may call home; a ping of any other is refused.';
COMMENT ON COLUMN product.id IS 'Number of the product within this database.';
COMMENT ON COLUMN product.key IS 'What a ping gives as its product, such as es.';
COMMENT ON COLUMN product.name IS 'What people read, such as Example Studio.';
COMMENT ON COLUMN product.created_at IS 'When it was registered.';

CREATE TABLE IF NOT EXISTS ping (
    id            uuid        NOT NULL,
    install       bytea       NOT NULL,
    at            timestamptz NOT NULL,
    day           date        NOT NULL,
    product       integer     NOT NULL,
    users         integer     NOT NULL,
    event         smallint    NOT NULL,
    verified      boolean     NOT NULL,
    weak          boolean     NOT NULL,
    country       text        NOT NULL,
    version       text        NOT NULL,
    build         text        NOT NULL,
    os            text        NOT NULL,
    os_version    text,
    arch          text,
    locale        text,
    channel       text,
    license       bytea,
    license_last4 text,
    extra         jsonb,
    batch         uuid        NOT NULL,
    PRIMARY KEY (id, install)
) PARTITION BY RANGE (id);
-- IF NOT EXISTS would lock the table, and pings would wait for all that follows, though the index is there.
DO $$ BEGIN
IF to_regclass('ping_batch') IS NULL THEN CREATE INDEX ping_batch ON ping (batch); END IF;
IF to_regclass('ping_default') IS NULL THEN CREATE TABLE ping_default PARTITION OF ping DEFAULT; END IF;
IF to_regclass('ping_default_day') IS NULL THEN CREATE INDEX ping_default_day ON ping_default (day); END IF;
END $$;
COMMENT ON TABLE ping IS 'Every ping, once. A partition a day, by the time within the id; ids of wrong clocks lie in ping_default.';
COMMENT ON COLUMN ping.id IS 'UUIDv7 made by the client and kept over its retries, or by the server where there was none.';
COMMENT ON COLUMN ping.install IS 'Keyed hash (BLAKE2b, 16 bytes) of the install id; the id itself is never stored.';
COMMENT ON COLUMN ping.at IS 'The time that counts: that of the id where it lies within 90 days before and 1 hour after receipt, else that of receipt.';
COMMENT ON COLUMN ping.day IS 'The UTC day of at; every daily number goes by it.';
COMMENT ON COLUMN ping.product IS 'product.id.';
COMMENT ON COLUMN ping.users IS 'People using this install, as reported; 1 where it reported nothing.';
COMMENT ON COLUMN ping.event IS '0 start, 1 alive, 2 stop.';
COMMENT ON COLUMN ping.verified IS 'False for a ping beyond the ceiling of distinct installs per address prefix and hour.';
COMMENT ON COLUMN ping.weak IS 'True where the client sent no install id and one was derived from license and address prefix.';
COMMENT ON COLUMN ping.country IS 'ISO 3166-1 alpha-2 code of the address the ping came from (the address is not stored), ZZ where unknown.';
COMMENT ON COLUMN ping.version IS 'Version of the product, as reported.';
COMMENT ON COLUMN ping.build IS 'Build of the product, as reported.';
COMMENT ON COLUMN ping.os IS 'Operating system, as reported.';
COMMENT ON COLUMN ping.os_version IS 'Version of the operating system, as reported.';
COMMENT ON COLUMN ping.arch IS 'Processor architecture, as reported.';
COMMENT ON COLUMN ping.locale IS 'Language and region set by the user, as reported.';
COMMENT ON COLUMN ping.channel IS 'Release channel, as reported.';
COMMENT ON COLUMN ping.license IS 'Keyed hash (BLAKE2b, 16 bytes) of the license key.';
COMMENT ON COLUMN ping.license_last4 IS 'Last four characters of the license key, for people to recognise.';
COMMENT ON COLUMN ping.extra IS 'Product-specific values: a flat object of at most 16 scalars.';
COMMENT ON COLUMN ping.batch IS 'The transaction that stored this ping: batch.id until it is folded.';

CREATE TABLE IF NOT EXISTS batch (
    id         uuid    PRIMARY KEY,
    first_id   uuid    NOT NULL,
    last_id    uuid    NOT NULL,
    received   integer NOT NULL,
    duplicates integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE batch IS 'The queue of the rollup: one row for each committed batch that is not folded yet.';
COMMENT ON COLUMN batch.id IS 'UUIDv7 of this attempt to store; its time is that of the attempt.';
COMMENT ON COLUMN batch.first_id IS 'Smallest ping id of the batch.';
COMMENT ON COLUMN batch.last_id IS 'Largest ping id of the batch.';
COMMENT ON COLUMN batch.received IS 'Pings in the batch, twins within it left out.';
COMMENT ON COLUMN batch.duplicates IS 'Pings of the batch that were stored already.';

CREATE TABLE IF NOT EXISTS quarantine (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    sqlstate text        NOT NULL,
    reason   text        NOT NULL,
    row      bytea       NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_row ON quarantine (sha256(row));
COMMENT ON TABLE quarantine IS 'Rows that PostgreSQL refused, each once, kept so that nothing is lost silently.';
COMMENT ON COLUMN quarantine.id IS 'Running number.';
COMMENT ON COLUMN quarantine.at IS 'When the row was refused.';
COMMENT ON COLUMN quarantine.sqlstate IS 'The SQLSTATE it was refused with.';
COMMENT ON COLUMN quarantine.reason IS 'What PostgreSQL said.';
COMMENT ON COLUMN quarantine.row IS 'The row in the binary COPY format, without its batch.';

CREATE TABLE IF NOT EXISTS activity (
    install      bytea       NOT NULL,
    product      integer     NOT NULL,
    day          date        NOT NULL,
    launches     integer     NOT NULL,
    at           timestamptz NOT NULL,
    id           uuid        NOT NULL,
    version      text        NOT NULL,
    build        text        NOT NULL,
    country      text        NOT NULL,
    os           text        NOT NULL,
    license      bytea,
    users        integer     NOT NULL,
    verified     boolean     NOT NULL,
    prev_day     date,
    prev_version text,
    PRIMARY KEY (install, product, day)
) PARTITION BY RANGE (day);
CREATE INDEX IF NOT EXISTS activity_license ON activity (license, day) WHERE license IS NOT NULL;
COMMENT ON TABLE activity IS 'One row for each install and day with a ping, as of the last ping of that day. A partition a month.';
COMMENT ON COLUMN activity.install IS 'ping.install.';
COMMENT ON COLUMN activity.product IS 'product.id.';
COMMENT ON COLUMN activity.day IS 'UTC day.';
COMMENT ON COLUMN activity.launches IS 'Pings of the day with event start.';
COMMENT ON COLUMN activity.at IS 'Time of the last ping of the day.';
COMMENT ON COLUMN activity.id IS 'Id of the last ping of the day; it decides where times are equal.';
COMMENT ON COLUMN activity.version IS 'Version of the last ping of the day.';
COMMENT ON COLUMN activity.build IS 'Build of the last ping of the day.';
COMMENT ON COLUMN activity.country IS 'Country of the last ping of the day.';
COMMENT ON COLUMN activity.os IS 'Operating system of the last ping of the day.';
COMMENT ON COLUMN activity.license IS 'Hashed license of the last ping of the day.';
COMMENT ON COLUMN activity.users IS 'Users reported by the last ping of the day.';
COMMENT ON COLUMN activity.verified IS 'True if a ping of the day is verified or the install was active on an earlier day.';
COMMENT ON COLUMN activity.prev_day IS 'The install''s active day before this one, NULL on its first.';
COMMENT ON COLUMN activity.prev_version IS 'Version on prev_day; where it differs from version, this day saw an update.';

CREATE TABLE IF NOT EXISTS install (
    install   bytea       NOT NULL,
    product   integer     NOT NULL,
    first_day date        NOT NULL,
    last_day  date        NOT NULL,
    version   text        NOT NULL,
    build     text        NOT NULL,
    country   text        NOT NULL,
    os        text        NOT NULL,
    license   bytea,
    users     integer     NOT NULL,
    verified  boolean     NOT NULL,
    PRIMARY KEY (install, product)
) WITH (fillfactor = 70);
DO $$ BEGIN
IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'install'::regclass AND attname = 'at' AND NOT attisdropped) THEN
    ALTER TABLE install DROP COLUMN IF EXISTS at, DROP COLUMN IF EXISTS id;
END IF;
END $$;
COMMENT ON TABLE install IS 'Every install of a product, as of its latest ping.';
COMMENT ON COLUMN install.install IS 'ping.install.';
COMMENT ON COLUMN install.product IS 'product.id.';
COMMENT ON COLUMN install.first_day IS 'First UTC day with a ping.';
COMMENT ON COLUMN install.last_day IS 'Latest UTC day with a ping.';
COMMENT ON COLUMN install.version IS 'Version of the latest ping.';
COMMENT ON COLUMN install.build IS 'Build of the latest ping.';
COMMENT ON COLUMN install.country IS 'Country of the latest ping.';
COMMENT ON COLUMN install.os IS 'Operating system of the latest ping.';
COMMENT ON COLUMN install.license IS 'Hashed license of the latest ping.';
COMMENT ON COLUMN install.users IS 'Users reported by the latest ping.';
COMMENT ON COLUMN install.verified IS 'True if any of its pings is verified or it was active on two days.';

CREATE TABLE IF NOT EXISTS usage_daily (
    day      date    NOT NULL,
    product  integer NOT NULL,
    version  text    NOT NULL,
    build    text    NOT NULL,
    country  text    NOT NULL,
    os       text    NOT NULL,
    verified boolean NOT NULL,
    installs bigint  NOT NULL,
    users    bigint  NOT NULL,
    launches bigint  NOT NULL,
    PRIMARY KEY (day, product, version, build, country, os, verified)
);
COMMENT ON TABLE usage_daily IS 'activity, summed over installs. Kept for ever.';
COMMENT ON COLUMN usage_daily.day IS 'UTC day.';
COMMENT ON COLUMN usage_daily.product IS 'product.id.';
COMMENT ON COLUMN usage_daily.version IS 'activity.version.';
COMMENT ON COLUMN usage_daily.build IS 'activity.build.';
COMMENT ON COLUMN usage_daily.country IS 'activity.country.';
COMMENT ON COLUMN usage_daily.os IS 'activity.os.';
COMMENT ON COLUMN usage_daily.verified IS 'activity.verified; headline numbers leave out what is not.';
COMMENT ON COLUMN usage_daily.installs IS 'Active installs.';
COMMENT ON COLUMN usage_daily.users IS 'Users of the active installs.';
COMMENT ON COLUMN usage_daily.launches IS 'Launches.';

-- A database of before this table is filled from activity, while no rollup is at work (the lock is rollup.ROLLUP_LOCK).
DO $$ BEGIN
IF to_regclass('usage_again') IS NULL THEN
    PERFORM pg_advisory_xact_lock(x'63616C6C00000002'::bigint);
    CREATE TABLE usage_again (
        product  integer NOT NULL,
        day      date    NOT NULL,
        prev_day date    NOT NULL,
        country  text    NOT NULL,
        verified boolean NOT NULL,
        installs bigint  NOT NULL,
        users    bigint  NOT NULL,
        PRIMARY KEY (product, day, prev_day, country, verified)
    ) WITH (fillfactor = 70);
    INSERT INTO usage_again
    SELECT a.product, a.day, a.prev_day, p.country, p.verified, count(*), sum(p.users)
    FROM activity a JOIN activity p ON p.install = a.install AND p.product = a.product AND p.day = a.prev_day
    GROUP BY a.product, a.day, a.prev_day, p.country, p.verified;
END IF;
END $$;
COMMENT ON TABLE usage_again IS 'Installs that were active on prev_day and next on day. What usage_daily counts on the days of any window, less the rows of this table with both days in it, counts each install once, under its last day there.';
COMMENT ON COLUMN usage_again.product IS 'product.id.';
COMMENT ON COLUMN usage_again.day IS 'UTC day: activity.day.';
COMMENT ON COLUMN usage_again.prev_day IS 'UTC day: activity.prev_day of that row.';
COMMENT ON COLUMN usage_again.country IS 'activity.country of prev_day.';
COMMENT ON COLUMN usage_again.verified IS 'activity.verified of prev_day.';
COMMENT ON COLUMN usage_again.installs IS 'Installs.';
COMMENT ON COLUMN usage_again.users IS 'Users of those installs, as counted on prev_day.';

CREATE TABLE IF NOT EXISTS upgrade_daily (
    day          date    NOT NULL,
    product      integer NOT NULL,
    from_version text    NOT NULL,
    to_version   text    NOT NULL,
    installs     bigint  NOT NULL,
    PRIMARY KEY (day, product, from_version, to_version)
);
COMMENT ON TABLE upgrade_daily IS 'Installs whose version differs from that of their active day before. Kept for ever.';
COMMENT ON COLUMN upgrade_daily.day IS 'UTC day on which the new version was seen.';
COMMENT ON COLUMN upgrade_daily.product IS 'product.id.';
COMMENT ON COLUMN upgrade_daily.from_version IS 'Version on the active day before.';
COMMENT ON COLUMN upgrade_daily.to_version IS 'Version on this day; an upgrade where newer, a downgrade where older.';
COMMENT ON COLUMN upgrade_daily.installs IS 'Installs that made this step.';

-- What the pages of statistics read: made from activity by a job, a month of a product at a time, and kept for ever.
-- docs/decisions/0028 says why. A database of before these tables has all its months made in the background.
DO $$ BEGIN
IF to_regclass('series_touched') IS NULL THEN
    CREATE TABLE series_touched (
        product integer NOT NULL,
        month   date    NOT NULL,
        folds   bigint  NOT NULL,
        PRIMARY KEY (product, month)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
    INSERT INTO series_touched (product, month, folds)
    SELECT p.id, m::date, 1
    FROM product p, generate_series(
        (SELECT date_trunc('month', min(day)) FROM usage_daily), date_trunc('month', now() AT TIME ZONE 'UTC'), interval '1 month'
    ) m;
END IF;
END $$;
COMMENT ON TABLE series_touched IS 'The queue between the rollup and the job that makes usage_series: months of products whose activity changed.';
COMMENT ON COLUMN series_touched.product IS 'product.id.';
COMMENT ON COLUMN series_touched.month IS 'First UTC day of the month that is to be made anew.';
COMMENT ON COLUMN series_touched.folds IS 'How many changes there were since it was made: one that came meanwhile leaves it in the queue.';

CREATE TABLE IF NOT EXISTS usage_series (
    product        integer    NOT NULL,
    slice          text       NOT NULL,
    version        text       NOT NULL,
    build          text       NOT NULL,
    country        text       NOT NULL,
    os             text       NOT NULL,
    month          date       NOT NULL,
    days           smallint[] NOT NULL,
    installs       integer[]  NOT NULL,
    users          bigint[]   NOT NULL,
    launches       bigint[]   NOT NULL,
    week_installs  integer[],
    week_users     bigint[],
    month_installs integer[],
    month_users    bigint[],
    PRIMARY KEY (product, slice, version, build, country, os, month)
);
CREATE INDEX IF NOT EXISTS usage_series_country ON usage_series (product, slice, country, month);
CREATE INDEX IF NOT EXISTS usage_series_month ON usage_series (product, slice, month);
COMMENT ON TABLE usage_series IS 'Active installs of a day, of 7 and of 30 days, day by day: a row for each month and value of a slice. Verified installs only. Kept for ever.';
COMMENT ON COLUMN usage_series.product IS 'product.id.';
COMMENT ON COLUMN usage_series.slice IS 'By what it is told apart: all, version, build, country, os, version_country, version_os or country_os.';
COMMENT ON COLUMN usage_series.version IS 'activity.version, empty where the slice does not tell it.';
COMMENT ON COLUMN usage_series.build IS 'activity.build in the slice build, else empty.';
COMMENT ON COLUMN usage_series.country IS 'activity.country, empty where the slice does not tell it.';
COMMENT ON COLUMN usage_series.os IS 'activity.os, empty where the slice does not tell it; installs that report none are under the empty text, too.';
COMMENT ON COLUMN usage_series.month IS 'First UTC day of the month.';
COMMENT ON COLUMN usage_series.days IS 'Days of the month, 1 for the first, on which anything is counted or changes; the other arrays go with it.';
COMMENT ON COLUMN usage_series.installs IS 'Installs active on each of these days.';
COMMENT ON COLUMN usage_series.users IS 'Users of those installs.';
COMMENT ON COLUMN usage_series.launches IS 'Launches of each of these days.';
COMMENT ON COLUMN usage_series.week_installs IS 'By how much the installs active in the 7 days that end on the day differ from those of the day before, or from nought on the first of the month; NULL where that is not known any more.';
COMMENT ON COLUMN usage_series.week_users IS 'The same of their users.';
COMMENT ON COLUMN usage_series.month_installs IS 'As week_installs, for 30 days.';
COMMENT ON COLUMN usage_series.month_users IS 'As week_users, for 30 days.';

CREATE TABLE IF NOT EXISTS usage_flow (
    product    integer NOT NULL,
    day        date    NOT NULL,
    new        bigint  NOT NULL,
    returned   bigint  NOT NULL,
    lost       bigint  NOT NULL,
    unverified bigint  NOT NULL,
    PRIMARY KEY (product, day)
);
COMMENT ON TABLE usage_flow IS 'Installs that came and went, day by day; days on which all is nought are left out. Kept for ever.';
COMMENT ON COLUMN usage_flow.product IS 'product.id.';
COMMENT ON COLUMN usage_flow.day IS 'UTC day.';
COMMENT ON COLUMN usage_flow.new IS 'Installs whose first verified day it is.';
COMMENT ON COLUMN usage_flow.returned IS 'Installs that are active again after more than 30 days.';
COMMENT ON COLUMN usage_flow.lost IS 'Installs that were active 30 days before and not since.';
COMMENT ON COLUMN usage_flow.unverified IS 'Installs active on the day that are not verified.';

CREATE TABLE IF NOT EXISTS usage_cohort (
    product  integer NOT NULL,
    cohort   date    NOT NULL,
    month    date    NOT NULL,
    installs bigint  NOT NULL,
    PRIMARY KEY (product, cohort, month)
);
COMMENT ON TABLE usage_cohort IS 'How many installs of those first seen in one month were active in another. Verified installs only. Kept for ever.';
COMMENT ON COLUMN usage_cohort.product IS 'product.id.';
COMMENT ON COLUMN usage_cohort.cohort IS 'First UTC day of the month in which they were first seen.';
COMMENT ON COLUMN usage_cohort.month IS 'First UTC day of the month in which they were active.';
COMMENT ON COLUMN usage_cohort.installs IS 'Installs.';

CREATE TABLE IF NOT EXISTS series_state (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    counted_at timestamptz NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE series_state IS 'One row, once the series were made: as of when they are.';
COMMENT ON COLUMN series_state.one IS 'Always true, so that there is one row.';
COMMENT ON COLUMN series_state.counted_at IS 'Up to when all that was folded is in them.';

CREATE TABLE IF NOT EXISTS live_count (
    product        integer NOT NULL,
    country        text    NOT NULL,
    installs_today bigint  NOT NULL,
    users_today    bigint  NOT NULL,
    launches_today bigint  NOT NULL,
    installs_30d   bigint  NOT NULL,
    users_30d      bigint  NOT NULL,
    launches_30d   bigint  NOT NULL,
    PRIMARY KEY (product, country)
) WITH (fillfactor = 50);
COMMENT ON TABLE live_count IS 'The live counters by country: verified installs only, as of live_seq.';
COMMENT ON COLUMN live_count.product IS 'product.id.';
COMMENT ON COLUMN live_count.country IS 'ISO 3166-1 alpha-2 code, ZZ where unknown.';
COMMENT ON COLUMN live_count.installs_today IS 'Installs active on live_seq.today, under the country of their last ping of that day.';
COMMENT ON COLUMN live_count.users_today IS 'Users of those installs.';
COMMENT ON COLUMN live_count.launches_today IS 'Launches of that day.';
COMMENT ON COLUMN live_count.installs_30d IS 'Installs active on that day or the 29 days before, under the country of their latest ping.';
COMMENT ON COLUMN live_count.users_30d IS 'Users of those installs.';
COMMENT ON COLUMN live_count.launches_30d IS 'Launches of those 30 days.';

CREATE TABLE IF NOT EXISTS live_build (
    product  integer NOT NULL,
    version  text    NOT NULL,
    build    text    NOT NULL,
    installs bigint  NOT NULL,
    PRIMARY KEY (product, version, build)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS live_build_top ON live_build (product, installs DESC, version, build);
COMMENT ON TABLE live_build IS 'The builds in use: verified installs active in the last 30 days, as of live_seq.';
COMMENT ON COLUMN live_build.product IS 'product.id.';
COMMENT ON COLUMN live_build.version IS 'Version of the latest ping.';
COMMENT ON COLUMN live_build.build IS 'Build of the latest ping.';
COMMENT ON COLUMN live_build.installs IS 'Installs.';

CREATE TABLE IF NOT EXISTS live_seq (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq   bigint  NOT NULL,
    today date    NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE live_seq IS 'One row: which state of the live counters this is.';
COMMENT ON COLUMN live_seq.one IS 'Always true, so that there is one row.';
COMMENT ON COLUMN live_seq.seq IS 'Raised by one in every transaction that changes a live counter.';
COMMENT ON COLUMN live_seq.today IS 'The UTC day that "today" means in the live counters.';
INSERT INTO live_seq (seq, today) VALUES (0, (now() AT TIME ZONE 'UTC')::date) ON CONFLICT DO NOTHING;

-- What vendors tell the installed copies: releases and notices. Both are few, read whole into memory by every replica.

CREATE TABLE IF NOT EXISTS release (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product      integer     NOT NULL REFERENCES product,
    version      text        NOT NULL CHECK (length(version) BETWEEN 1 AND 64),
    channel      text        NOT NULL DEFAULT 'stable' CHECK (length(channel) BETWEEN 1 AND 64),
    day          date        NOT NULL,
    severity     text        NOT NULL DEFAULT 'normal' CHECK (severity IN ('normal', 'recommended', 'security')),
    url          text,
    notes_url    text,
    share        smallint    NOT NULL DEFAULT 100 CHECK (share BETWEEN 0 AND 100),
    oldest       text        CHECK (length(oldest) BETWEEN 1 AND 64),
    withdrawn_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (product, channel, version)
);
COMMENT ON TABLE release IS 'Released versions; answers to pings tell of the newest that an install may take.';
COMMENT ON COLUMN release.id IS 'Running number; with the install it decides whether a share includes the install.';
COMMENT ON COLUMN release.product IS 'product.id.';
COMMENT ON COLUMN release.version IS 'The version as its pings will report it.';
COMMENT ON COLUMN release.channel IS 'Who is offered it: installs of this channel; those of stable are offered to every channel.';
COMMENT ON COLUMN release.day IS 'UTC day of the release; it is offered from then on.';
COMMENT ON COLUMN release.severity IS 'How much it matters: normal, recommended or security.';
COMMENT ON COLUMN release.url IS 'Where to download it.';
COMMENT ON COLUMN release.notes_url IS 'Where to read what changed.';
COMMENT ON COLUMN release.share IS 'Percentage of installs it is offered to: 0 none, 100 all.';
COMMENT ON COLUMN release.oldest IS 'The oldest version it may be installed over, NULL for any.';
COMMENT ON COLUMN release.withdrawn_at IS 'When it was withdrawn: since then it is offered to nobody.';
COMMENT ON COLUMN release.created_at IS 'When it was registered.';

CREATE TABLE IF NOT EXISTS notice (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product      integer     REFERENCES product,
    text         text        NOT NULL CHECK (length(text) BETWEEN 1 AND 500),
    level        text        NOT NULL DEFAULT 'info' CHECK (level IN ('info', 'warning', 'critical')),
    url          text,
    from_version text        CHECK (length(from_version) BETWEEN 1 AND 64),
    to_version   text        CHECK (length(to_version) BETWEEN 1 AND 64),
    starts_at    timestamptz NOT NULL DEFAULT now(),
    ends_at      timestamptz CHECK (ends_at > starts_at),
    withdrawn_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE notice IS 'Messages to installed copies, sent with the answers to their pings.';
COMMENT ON COLUMN notice.id IS 'Running number.';
COMMENT ON COLUMN notice.product IS 'product.id, NULL for every product.';
COMMENT ON COLUMN notice.text IS 'What it says.';
COMMENT ON COLUMN notice.level IS 'How urgent it is: info, warning or critical.';
COMMENT ON COLUMN notice.url IS 'Where to read more.';
COMMENT ON COLUMN notice.from_version IS 'The oldest version it is for, NULL for any.';
COMMENT ON COLUMN notice.to_version IS 'The newest version it is for, NULL for any.';
COMMENT ON COLUMN notice.starts_at IS 'When it begins to be told.';
COMMENT ON COLUMN notice.ends_at IS 'When it ceases to be told, NULL for never.';
COMMENT ON COLUMN notice.withdrawn_at IS 'When it was withdrawn.';
COMMENT ON COLUMN notice.created_at IS 'When it was registered.';

-- Licenses as they were sold, and how they are used.

CREATE TABLE IF NOT EXISTS license (
    id          integer      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_hash    bytea        NOT NULL UNIQUE,
    last4       text         CHECK (length(last4) = 4),
    customer    text         NOT NULL CHECK (length(customer) BETWEEN 1 AND 200),
    product     integer      NOT NULL REFERENCES product,
    seats       integer      NOT NULL CHECK (seats > 0),
    counts      text         NOT NULL DEFAULT 'install' CHECK (counts IN ('install', 'user')),
    use         text         NOT NULL DEFAULT 'named' CHECK (use IN ('named', 'concurrent')),
    window_days smallint     NOT NULL DEFAULT 30 CHECK (window_days BETWEEN 1 AND 366),
    starts      date,
    ends        date         CHECK (ends >= starts),
    grace_days  smallint     NOT NULL DEFAULT 14 CHECK (grace_days BETWEEN 0 AND 366),
    overage     numeric(3,2) DEFAULT 1.0 CHECK (overage IN (1.0, 1.25, 1.5)),
    revoked_on  date,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    updated_at  timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS license_ends ON license (ends);
COMMENT ON TABLE license IS 'Licenses as they were sold.';
COMMENT ON COLUMN license.id IS 'Running number.';
COMMENT ON COLUMN license.key_hash IS 'Keyed hash (BLAKE2b, 16 bytes) of the license key, as ping.license; the key is never stored.';
COMMENT ON COLUMN license.last4 IS 'Last four characters of the key, NULL for a key of fewer than eight.';
COMMENT ON COLUMN license.customer IS 'Whom it was sold to.';
COMMENT ON COLUMN license.product IS 'product.id of the one product it is for.';
COMMENT ON COLUMN license.seats IS 'Seats sold.';
COMMENT ON COLUMN license.counts IS 'What takes a seat: an install, or each of its users.';
COMMENT ON COLUMN license.use IS 'named: each takes its seat for the whole window; concurrent: only in the hours in which it is active.';
COMMENT ON COLUMN license.window_days IS 'The counting window in days, the current day included.';
COMMENT ON COLUMN license.starts IS 'First UTC day on which it is valid, NULL for any.';
COMMENT ON COLUMN license.ends IS 'Last UTC day on which it is valid, NULL for never.';
COMMENT ON COLUMN license.grace_days IS 'Days after its end on which it is treated as valid still.';
COMMENT ON COLUMN license.overage IS 'How far the seats may be exceeded, as a factor: 1.0, 1.25 or 1.5; NULL for unlimited.';
COMMENT ON COLUMN license.revoked_on IS 'UTC day from which on it is revoked.';
COMMENT ON COLUMN license.created_at IS 'When it was registered.';
COMMENT ON COLUMN license.updated_at IS 'When it was changed last.';

-- The rollup puts rows in; the count of usage, another transaction, takes them out. No key and no reference: one of
-- them would have to wait for the other, and a row left out because it is there already could be one just taken.
CREATE TABLE IF NOT EXISTS license_touched (
    license integer NOT NULL,
    day     date    NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE license_touched IS 'Licenses whose usage is to be counted anew, each any number of times: the queue between the rollup and that count.';
COMMENT ON COLUMN license_touched.license IS 'license.id.';
COMMENT ON COLUMN license_touched.day IS 'The first UTC day whose activity under the license changed.';

CREATE INDEX IF NOT EXISTS license_concurrent ON license (key_hash) WHERE use = 'concurrent';
-- No reference to license: it would be checked for each row, and rows of a license that is gone are pruned.
CREATE TABLE IF NOT EXISTS license_hour (
    license integer     NOT NULL,
    hour    timestamptz NOT NULL,
    install bytea       NOT NULL,
    users   integer     NOT NULL,
    PRIMARY KEY (license, hour, install)
);
COMMENT ON TABLE license_hour IS 'Which installs were active under a concurrent license in which hour. Kept as long as windows need it, and no longer than single pings.';
COMMENT ON COLUMN license_hour.license IS 'license.id.';
COMMENT ON COLUMN license_hour.hour IS 'Begin of the UTC hour.';
COMMENT ON COLUMN license_hour.install IS 'ping.install.';
COMMENT ON COLUMN license_hour.users IS 'The most users it reported in that hour.';

CREATE TABLE IF NOT EXISTS license_usage (
    license    integer NOT NULL REFERENCES license ON DELETE CASCADE,
    day        date    NOT NULL,
    seats_used bigint  NOT NULL,
    held       bigint  NOT NULL,
    active     bigint  NOT NULL,
    elsewhere  bigint  NOT NULL,
    PRIMARY KEY (license, day)
);
COMMENT ON TABLE license_usage IS 'The usage of each license, day by day, verified days of installs only; days on which all is nought are left out. Kept for ever.';
COMMENT ON COLUMN license_usage.license IS 'license.id.';
COMMENT ON COLUMN license_usage.day IS 'UTC day.';
COMMENT ON COLUMN license_usage.seats_used IS 'Seats used: distinct installs (or their users) active in the window that ends on this day; of a concurrent license the most in any one hour of it.';
COMMENT ON COLUMN license_usage.held IS 'Seats held at once on this day: of installs seen on it or before and again after it, a window apart at most, and of those seen on it alone; of a concurrent license the most in any one hour of the day.';
COMMENT ON COLUMN license_usage.active IS 'Seats of the installs active on this day.';
COMMENT ON COLUMN license_usage.elsewhere IS 'Installs of other products that were active under the license on this day.';

CREATE TABLE IF NOT EXISTS license_state (
    license     integer     PRIMARY KEY REFERENCES license ON DELETE CASCADE,
    seats_used  bigint      NOT NULL,
    used_max    bigint      NOT NULL,
    max_day     date,
    is_over     boolean     NOT NULL DEFAULT false,
    counted_day date        NOT NULL,
    counted_at  timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE license_state IS 'How each license stands now.';
COMMENT ON COLUMN license_state.license IS 'license.id.';
COMMENT ON COLUMN license_state.seats_used IS 'Seats used, as of counted_day.';
COMMENT ON COLUMN license_state.used_max IS 'The most seats used on any day: the historical maximum.';
COMMENT ON COLUMN license_state.max_day IS 'The first UTC day with that maximum, NULL where it is nought.';
COMMENT ON COLUMN license_state.is_over IS 'Whether a confirmed finding says that more seats are in use than allowed: then answers to pings say over_seats.';
COMMENT ON COLUMN license_state.counted_day IS 'The UTC day up to which it was counted.';
COMMENT ON COLUMN license_state.counted_at IS 'When it was counted.';

CREATE TABLE IF NOT EXISTS flip (
    install      bytea       NOT NULL,
    product      integer     NOT NULL,
    at           timestamptz NOT NULL,
    from_country text        NOT NULL,
    to_country   text        NOT NULL,
    from_version text        NOT NULL,
    to_version   text        NOT NULL,
    PRIMARY KEY (install, product, at)
);
CREATE INDEX IF NOT EXISTS flip_at ON flip USING brin (at);
COMMENT ON TABLE flip IS 'Pings whose country or version differs from that of the install''s ping before on the same day: where an install id was cloned they alternate. Weak installs are left out. Kept 90 days.';
COMMENT ON COLUMN flip.install IS 'ping.install.';
COMMENT ON COLUMN flip.product IS 'product.id.';
COMMENT ON COLUMN flip.at IS 'Time of the ping.';
COMMENT ON COLUMN flip.from_country IS 'Country of the ping before.';
COMMENT ON COLUMN flip.to_country IS 'Country of this ping.';
COMMENT ON COLUMN flip.from_version IS 'Version of the ping before.';
COMMENT ON COLUMN flip.to_version IS 'Version of this ping.';

CREATE TABLE IF NOT EXISTS finding (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule         text        NOT NULL,
    license      integer     REFERENCES license ON DELETE CASCADE,
    product      integer     NOT NULL REFERENCES product,
    install      bytea,
    state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'closed')),
    cause        text        NOT NULL DEFAULT '',
    measure      bigint      NOT NULL,
    allowed      bigint      NOT NULL,
    evidence     jsonb       NOT NULL,
    opened_at    timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    closed_at    timestamptz,
    closed_by    text,
    note         text        CHECK (length(note) <= 2000),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS finding_open
    ON finding (rule, product, coalesce(license, 0), coalesce(install, '')) WHERE state <> 'closed';
CREATE INDEX IF NOT EXISTS finding_license ON finding (license);
COMMENT ON TABLE finding IS 'Misuse of licenses and likely cloned install ids, with the evidence. Kept for ever.';
COMMENT ON COLUMN finding.id IS 'Running number.';
COMMENT ON COLUMN finding.rule IS 'Which rule found it, such as over_seats; docs/licenses.md has them.';
COMMENT ON COLUMN finding.license IS 'license.id, NULL where it is about an install.';
COMMENT ON COLUMN finding.product IS 'product.id.';
COMMENT ON COLUMN finding.install IS 'The install it is about, NULL where it is about a license.';
COMMENT ON COLUMN finding.state IS 'open: seen; confirmed: seen on several days; closed: over, or closed by a person.';
COMMENT ON COLUMN finding.cause IS 'The likely cause, such as turnover; empty where none stands out.';
COMMENT ON COLUMN finding.measure IS 'What the rule counted at its worst: seats, days or alternations.';
COMMENT ON COLUMN finding.allowed IS 'How much of that is allowed.';
COMMENT ON COLUMN finding.evidence IS 'Which installs, when, where, as of updated_at.';
COMMENT ON COLUMN finding.opened_at IS 'When it was first seen.';
COMMENT ON COLUMN finding.confirmed_at IS 'When it was confirmed.';
COMMENT ON COLUMN finding.closed_at IS 'When it was closed.';
COMMENT ON COLUMN finding.closed_by IS 'Who closed it; "callhome" where it ended by itself.';
COMMENT ON COLUMN finding.note IS 'Why it was closed.';
COMMENT ON COLUMN finding.updated_at IS 'When it was looked at last.';

-- Summary mails.

CREATE TABLE IF NOT EXISTS report (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    products   text[]      NOT NULL DEFAULT '{}',
    sections   text[]      NOT NULL,
    language   text        NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr')),
    schedule   text        NOT NULL,
    time_zone  text        NOT NULL DEFAULT 'UTC',
    days       smallint    NOT NULL DEFAULT 0 CHECK (days BETWEEN 0 AND 366),
    is_paused  boolean     NOT NULL DEFAULT false,
    next_due   timestamptz NOT NULL,
    last_due   timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS report_next_due ON report (next_due) WHERE NOT is_paused;
COMMENT ON TABLE report IS 'Subscriptions to summary mails.';
COMMENT ON COLUMN report.id IS 'Running number.';
COMMENT ON COLUMN report.name IS 'What people call it; it stands in the subject.';
COMMENT ON COLUMN report.products IS 'product.key of each product it covers; empty for all.';
COMMENT ON COLUMN report.sections IS 'Its sections in their order; docs/reports.md has their names.';
COMMENT ON COLUMN report.language IS 'en or fr.';
COMMENT ON COLUMN report.schedule IS 'When it is due: a cron expression of five fields, in time_zone.';
COMMENT ON COLUMN report.time_zone IS 'IANA name of the time zone of the schedule.';
COMMENT ON COLUMN report.days IS 'How many UTC days before its due it covers; 0 for those since the due before.';
COMMENT ON COLUMN report.is_paused IS 'True while it is not sent.';
COMMENT ON COLUMN report.next_due IS 'When it is due next.';
COMMENT ON COLUMN report.last_due IS 'When it was due last: its next period begins there; NULL before the first.';
COMMENT ON COLUMN report.created_at IS 'When it was made.';

CREATE TABLE IF NOT EXISTS report_recipient (
    report          integer     NOT NULL REFERENCES report ON DELETE CASCADE,
    address         text        NOT NULL CHECK (length(address) BETWEEN 3 AND 254),
    unsubscribed_at timestamptz,
    PRIMARY KEY (report, address)
);
COMMENT ON TABLE report_recipient IS 'Who gets a report.';
COMMENT ON COLUMN report_recipient.report IS 'report.id.';
COMMENT ON COLUMN report_recipient.address IS 'E-mail address.';
COMMENT ON COLUMN report_recipient.unsubscribed_at IS 'When the recipient unsubscribed; it gets nothing since.';

CREATE TABLE IF NOT EXISTS report_run (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report      integer     NOT NULL REFERENCES report ON DELETE CASCADE,
    due         timestamptz NOT NULL,
    first_day   date        NOT NULL,
    last_day    date        NOT NULL,
    recipients  text[],
    tries       integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    failure     text,
    composed_at timestamptz,
    subject     text,
    content     bytea,
    UNIQUE (report, due)
);
CREATE INDEX IF NOT EXISTS report_run_to_compose ON report_run (next_try_at) WHERE composed_at IS NULL;
COMMENT ON TABLE report_run IS 'A report for one period: composed once, and sent as it is to each recipient.';
COMMENT ON COLUMN report_run.id IS 'Running number.';
COMMENT ON COLUMN report_run.report IS 'report.id.';
COMMENT ON COLUMN report_run.due IS 'When it was due.';
COMMENT ON COLUMN report_run.first_day IS 'First UTC day of its period.';
COMMENT ON COLUMN report_run.last_day IS 'Last UTC day of its period.';
COMMENT ON COLUMN report_run.recipients IS 'Whom alone it is for; NULL for everybody who gets the report when it is composed.';
COMMENT ON COLUMN report_run.tries IS 'How often it was tried to compose it.';
COMMENT ON COLUMN report_run.next_try_at IS 'When it may be tried (again); in the future while a replica is at it.';
COMMENT ON COLUMN report_run.failure IS 'Why it could not be composed at the last try.';
COMMENT ON COLUMN report_run.composed_at IS 'When it was composed: the numbers are those of that moment.';
COMMENT ON COLUMN report_run.subject IS 'Its subject.';
COMMENT ON COLUMN report_run.content IS 'All of it in MessagePack, of which each recipient''s mail is made; emptied after 90 days.';

CREATE TABLE IF NOT EXISTS delivery (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run         bigint      NOT NULL REFERENCES report_run ON DELETE CASCADE,
    address     text        NOT NULL,
    state       text        NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'claimed', 'sending', 'sent', 'failed', 'uncertain')),
    tries       integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    claimed_by  uuid,
    message_id  text        NOT NULL,
    outcome     text,
    sent_at     timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run, address)
);
CREATE INDEX IF NOT EXISTS delivery_to_send ON delivery (next_try_at) WHERE state IN ('waiting', 'claimed', 'sending');
COMMENT ON TABLE delivery IS 'One mail to one recipient: at most one for each report, period and address.';
COMMENT ON COLUMN delivery.id IS 'Running number.';
COMMENT ON COLUMN delivery.run IS 'report_run.id.';
COMMENT ON COLUMN delivery.address IS 'E-mail address of the recipient.';
COMMENT ON COLUMN delivery.state IS 'waiting: to be sent; claimed: a replica is at it; sending: all but its last line is sent; sent; failed: given up; uncertain: the end was not heard, it may have arrived.';
COMMENT ON COLUMN delivery.tries IS 'How often it was tried.';
COMMENT ON COLUMN delivery.next_try_at IS 'When it may be tried (again); while claimed or sending: when that claim ends.';
COMMENT ON COLUMN delivery.claimed_by IS 'Which claim it is under, or was at last.';
COMMENT ON COLUMN delivery.message_id IS 'Its Message-ID: the same at each try.';
COMMENT ON COLUMN delivery.outcome IS 'What the mail server said at the last try, or why there was none.';
COMMENT ON COLUMN delivery.sent_at IS 'When the mail server took it.';
COMMENT ON COLUMN delivery.changed_at IS 'When the state changed last.';

-- Alerts.

-- A database of before this table begins with the day on which each product was seen last.
DO $$ BEGIN
IF to_regclass('product_seen') IS NULL THEN
    CREATE TABLE product_seen (
        product integer     PRIMARY KEY,
        seen_at timestamptz NOT NULL
    ) WITH (fillfactor = 10);
    INSERT INTO product_seen SELECT product, max(day)::timestamp AT TIME ZONE 'UTC' FROM usage_daily GROUP BY product;
END IF;
END $$;
COMMENT ON TABLE product_seen IS 'When a ping of each product was counted last: how an alert knows that it is silent.';
COMMENT ON COLUMN product_seen.product IS 'product.id.';
COMMENT ON COLUMN product_seen.seen_at IS 'When the rollup last folded a ping of it, whatever time that ping bore.';

CREATE TABLE IF NOT EXISTS alert (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100),
    rule       text        NOT NULL,
    product    integer     REFERENCES product,
    parameters jsonb       NOT NULL DEFAULT '{}',
    recipients text[]      NOT NULL DEFAULT '{}',
    webhook    text,
    language   text        NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr')),
    cooldown_s integer     NOT NULL DEFAULT 3600 CHECK (cooldown_s >= 0),
    state      jsonb       NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE alert IS 'What is watched, and who is told.';
COMMENT ON COLUMN alert.id IS 'Running number.';
COMMENT ON COLUMN alert.name IS 'What people call it.';
COMMENT ON COLUMN alert.rule IS 'What is watched, such as silence; docs/alerts.md has the rules.';
COMMENT ON COLUMN alert.product IS 'product.id; NULL for each product, for silence all of them together.';
COMMENT ON COLUMN alert.parameters IS 'The rule''s own numbers.';
COMMENT ON COLUMN alert.recipients IS 'E-mail addresses.';
COMMENT ON COLUMN alert.webhook IS 'Address that is told by HTTP.';
COMMENT ON COLUMN alert.language IS 'en or fr.';
COMMENT ON COLUMN alert.cooldown_s IS 'Seconds after an alert in which it tells nothing more of the same subject.';
COMMENT ON COLUMN alert.state IS 'What the rule must remember from one look to the next.';
COMMENT ON COLUMN alert.created_at IS 'When it was made.';

CREATE TABLE IF NOT EXISTS alert_event (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert    integer     NOT NULL REFERENCES alert ON DELETE CASCADE,
    event    text        NOT NULL,
    subject  text        NOT NULL,
    kind     text        NOT NULL DEFAULT 'event' CHECK (kind IN ('event', 'more')),
    details  jsonb       NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (alert, event)
);
CREATE INDEX IF NOT EXISTS alert_event_fired_at ON alert_event (alert, fired_at);
COMMENT ON TABLE alert_event IS 'What an alert has fired for: once for each event.';
COMMENT ON COLUMN alert_event.id IS 'Running number.';
COMMENT ON COLUMN alert_event.alert IS 'alert.id.';
COMMENT ON COLUMN alert_event.event IS 'Which event: the same name never fires again.';
COMMENT ON COLUMN alert_event.subject IS 'What it is about; the cool-down is by subject.';
COMMENT ON COLUMN alert_event.kind IS 'event: one of the rule; more: how many others there were at that moment, which were not told singly.';
COMMENT ON COLUMN alert_event.details IS 'The numbers, as they are told.';
COMMENT ON COLUMN alert_event.fired_at IS 'When it fired.';

CREATE TABLE IF NOT EXISTS alert_delivery (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event       bigint      NOT NULL REFERENCES alert_event ON DELETE CASCADE,
    channel     text        NOT NULL CHECK (channel IN ('mail', 'webhook')),
    target      text        NOT NULL,
    state       text        NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'claimed', 'sending', 'sent', 'failed', 'uncertain')),
    tries       integer     NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL DEFAULT now(),
    claimed_by  uuid,
    message_id  text        NOT NULL,
    outcome     text,
    sent_at     timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (event, channel, target)
);
CREATE INDEX IF NOT EXISTS alert_delivery_to_send
    ON alert_delivery (next_try_at) WHERE state IN ('waiting', 'claimed', 'sending');
COMMENT ON TABLE alert_delivery IS 'One alert to one recipient or webhook.';
COMMENT ON COLUMN alert_delivery.id IS 'Running number.';
COMMENT ON COLUMN alert_delivery.event IS 'alert_event.id.';
COMMENT ON COLUMN alert_delivery.channel IS 'mail or webhook.';
COMMENT ON COLUMN alert_delivery.target IS 'E-mail address, or address of the webhook.';
COMMENT ON COLUMN alert_delivery.state IS 'As delivery.state.';
COMMENT ON COLUMN alert_delivery.tries IS 'As delivery.tries.';
COMMENT ON COLUMN alert_delivery.next_try_at IS 'As delivery.next_try_at.';
COMMENT ON COLUMN alert_delivery.claimed_by IS 'As delivery.claimed_by.';
COMMENT ON COLUMN alert_delivery.message_id IS 'Message-ID, or id of the webhook''s message: the same at each try.';
COMMENT ON COLUMN alert_delivery.outcome IS 'What was answered at the last try.';
COMMENT ON COLUMN alert_delivery.sent_at IS 'When it was taken.';
COMMENT ON COLUMN alert_delivery.changed_at IS 'When the state changed last.';

-- Imports of what an older service has kept.

CREATE TABLE IF NOT EXISTS import_run (
    id          integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint bytea       NOT NULL UNIQUE,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    rows        bigint      NOT NULL,
    rejected    bigint      NOT NULL,
    done        bigint      NOT NULL DEFAULT 0,
    duplicates  bigint      NOT NULL DEFAULT 0,
    twins       bigint      NOT NULL DEFAULT 0,
    last_batch  uuid,
    begun_at    timestamptz NOT NULL DEFAULT now(),
    advanced_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
COMMENT ON TABLE import_run IS 'Which files of an older service were imported, and how far. Kept for ever: the rows themselves are not.';
COMMENT ON COLUMN import_run.id IS 'Running number.';
COMMENT ON COLUMN import_run.fingerprint IS 'SHA-256 of the file, the mapping and the times that were asked for: the same is not imported twice.';
COMMENT ON COLUMN import_run.name IS 'What people call it: the name of the file, unless another was given.';
COMMENT ON COLUMN import_run.rows IS 'Rows of the file that are to be imported, twins among them.';
COMMENT ON COLUMN import_run.rejected IS 'Records of the file that became no row, and were written to the report.';
COMMENT ON COLUMN import_run.done IS 'How many of the rows are in, in the order of their time; changed in the transaction that stores them.';
COMMENT ON COLUMN import_run.duplicates IS 'How many of these were stored before, by another import.';
COMMENT ON COLUMN import_run.twins IS 'Once it is finished: how many rows had the id of another in the file, and were left out.';
COMMENT ON COLUMN import_run.last_batch IS 'batch.id of the last rows that went into ping; once no batch up to it waits, all are counted.';
COMMENT ON COLUMN import_run.begun_at IS 'When its first row was about to be stored.';
COMMENT ON COLUMN import_run.advanced_at IS 'When it moved on last.';
COMMENT ON COLUMN import_run.finished_at IS 'When its last row was stored, NULL before.';

CREATE TABLE IF NOT EXISTS import_product (
    run      integer     NOT NULL REFERENCES import_run ON DELETE CASCADE,
    product  integer     NOT NULL REFERENCES product,
    rows     bigint      NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    PRIMARY KEY (run, product)
);
COMMENT ON TABLE import_product IS 'Which products an import has rows of, and from when to when: rows older than the retention are told from those of another import by nothing else.';
COMMENT ON COLUMN import_product.run IS 'import_run.id.';
COMMENT ON COLUMN import_product.product IS 'product.id.';
COMMENT ON COLUMN import_product.rows IS 'Rows of this product.';
COMMENT ON COLUMN import_product.first_at IS 'Time of the first of them.';
COMMENT ON COLUMN import_product.last_at IS 'Time of the last of them.';

-- Who may use the console.

CREATE TABLE IF NOT EXISTS account (
    id          integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    role        text        NOT NULL CHECK (role IN ('viewer', 'analyst', 'admin')),
    password    text        NOT NULL,
    password_at timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE account IS 'The people who may sign in to the console.';
COMMENT ON COLUMN account.id IS 'Running number.';
COMMENT ON COLUMN account.name IS 'What they sign in with, in lower case.';
COMMENT ON COLUMN account.role IS 'What they may do: viewer, analyst or admin, each of which may do all that the one before may.';
COMMENT ON COLUMN account.password IS 'argon2id, with its parameters and salt, as the PHC string format has it.';
COMMENT ON COLUMN account.password_at IS 'When the password was given.';
COMMENT ON COLUMN account.created_at IS 'When it was made.';

CREATE TABLE IF NOT EXISTS session (
    id       bytea       PRIMARY KEY CHECK (length(id) = 32),
    account  integer     NOT NULL REFERENCES account ON DELETE CASCADE,
    begun_at timestamptz NOT NULL DEFAULT now(),
    used_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS session_account ON session (account);
COMMENT ON TABLE session IS 'Browsers that are signed in. A row is deleted when somebody signs out, or the account changes; one that is too old counts for nothing.';
COMMENT ON COLUMN session.id IS 'SHA-256 of what the browser has in its cookie; that itself is never stored.';
COMMENT ON COLUMN session.account IS 'account.id.';
COMMENT ON COLUMN session.begun_at IS 'When somebody signed in.';
COMMENT ON COLUMN session.used_at IS 'When it was used last, to five minutes.';

CREATE TABLE IF NOT EXISTS api_token (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest     bytea       NOT NULL UNIQUE CHECK (length(digest) = 32),
    name       text        NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'),
    role       text        NOT NULL CHECK (role IN ('viewer', 'analyst', 'admin')),
    made_by    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    used_on    date
);
COMMENT ON TABLE api_token IS 'What programs show in place of an account. A row is deleted when the token is revoked.';
COMMENT ON COLUMN api_token.id IS 'Running number.';
COMMENT ON COLUMN api_token.digest IS 'SHA-256 of the token; the token itself is shown once and never stored.';
COMMENT ON COLUMN api_token.name IS 'What people call it: the program that has it.';
COMMENT ON COLUMN api_token.role IS 'As account.role.';
COMMENT ON COLUMN api_token.made_by IS 'Who made it: an account, or the user of the operating system who ran the command.';
COMMENT ON COLUMN api_token.created_at IS 'When it was made.';
COMMENT ON COLUMN api_token.expires_at IS 'From when on it counts for nothing, NULL: never.';
COMMENT ON COLUMN api_token.used_on IS 'The UTC day on which it was used last, NULL: never.';

CREATE TABLE IF NOT EXISTS sign_in_try (
    slot     integer     PRIMARY KEY CHECK (slot BETWEEN 0 AND 65535),
    failures integer     NOT NULL,
    tried_at timestamptz NOT NULL DEFAULT now(),
    next_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sign_in_try IS 'How long the next try of a name must wait, whether there is such an account or not. Bounded: names share 65,536 slots.';
COMMENT ON COLUMN sign_in_try.slot IS 'The first two bytes of the SHA-256 of the name.';
COMMENT ON COLUMN sign_in_try.failures IS 'Tries since the last that succeeded; those of more than a day ago are forgotten.';
COMMENT ON COLUMN sign_in_try.tried_at IS 'When it was tried last.';
COMMENT ON COLUMN sign_in_try.next_at IS 'From when on the next try is looked at.';

CREATE TABLE IF NOT EXISTS audit (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    kind    text        NOT NULL CHECK (kind IN ('account', 'token', 'command')),
    actor   text        NOT NULL,
    action  text        NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    target  text        NOT NULL,
    details jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
COMMENT ON TABLE audit IS 'Who has changed what, and who has signed in; written in the transaction of the change. Kept for CALLHOME_AUDIT_DAYS.';
COMMENT ON COLUMN audit.id IS 'Running number.';
COMMENT ON COLUMN audit.at IS 'When the transaction began.';
COMMENT ON COLUMN audit.kind IS 'What acted: an account, a token, or a command.';
COMMENT ON COLUMN audit.actor IS 'Name of the account or token, or of the user of the operating system who ran the command; empty where nobody knows who it was.';
COMMENT ON COLUMN audit.action IS 'What was done, such as account.add.';
COMMENT ON COLUMN audit.target IS 'To what: the name of an account or token.';
COMMENT ON COLUMN audit.details IS 'What more there is to know, such as a role before and after. No secrets, no addresses.';
