-- The lines of one import, until its end.
CREATE TEMPORARY TABLE license_incoming (
    line        integer  NOT NULL,
    key_hash    bytea    NOT NULL,
    last4       text,
    customer    text     NOT NULL,
    product     text     NOT NULL,
    seats       integer  NOT NULL,
    counts      text     NOT NULL,
    use         text     NOT NULL,
    window_days smallint NOT NULL,
    starts      date,
    ends        date,
    grace_days  smallint NOT NULL,
    overage     numeric,
    revoked_on  date
) ON COMMIT DROP
