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
CREATE INDEX IF NOT EXISTS ping_batch ON ping (batch);
CREATE TABLE IF NOT EXISTS ping_default PARTITION OF ping DEFAULT;
CREATE INDEX IF NOT EXISTS ping_default_day ON ping_default (day);
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
ALTER TABLE install DROP COLUMN IF EXISTS at, DROP COLUMN IF EXISTS id;
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
