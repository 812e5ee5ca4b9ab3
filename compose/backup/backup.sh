#!/bin/sh
# Backups of callhome's database: docs/deploy/backup.md.
#
#     backup.sh now             make one, check it, then remove those older than BACKUP_KEEP_DAYS
#     backup.sh nightly         the same every day at BACKUP_AT_UTC (HH:MM), and at once where there is none of the last day
#     backup.sh check           succeed if the newest is younger than 26 hours
#     backup.sh restore FILE    fill the empty database from one
#
# The database is what PGHOST, PGUSER, PGDATABASE and PGPASSFILE say; the backups lie in BACKUP_DIR. pg_dump must not be
# older than the server. CALLHOME_SECRET is in none of them.
set -eu

dir=${BACKUP_DIR:-/backups}
keep_days=${BACKUP_KEEP_DAYS:-14}
at_utc=${BACKUP_AT_UTC:-02:30}
retry_s=${BACKUP_RETRY_S:-600}
# A day, and two hours for the backup itself.
fresh_min=1560
child=

say() { echo "backup: $*" >&2; }

# In the background, so that a signal ends it at once: the first process of a container has no other handler.
run() {
    "$@" &
    child=$! code=0
    wait "$child" || code=$?
    child=
    return $code
}

stop() {
    trap - TERM INT
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    rm -f "$dir/.part-$$-"*
    exit 143
}

failed() {
    say "FAILED: $*"
    rm -f "$dir/.part-$$-"*
    return 1
}

younger_than_min() { find "$dir" -maxdepth 1 -name 'callhome-*.dump' -mmin "-$1" | grep -q .; }

# The list of what is in it stands at its begin: only reading it to its end shows that it is whole.
is_whole() {
    pg_restore --list "$1" | grep -q 'TABLE DATA public schema_state ' && run pg_restore --file=/dev/null "$1"
}

now() {
    name=callhome-$(date -u +%Y%m%dT%H%M%SZ).dump
    part=$dir/.part-$$-$name
    # Of one that was killed; another may be at work.
    find "$dir" -maxdepth 1 -name '.part-*' -mmin +1440 -exec rm -f {} +
    run pg_dump --format=custom --file="$part" || failed "pg_dump" || return
    is_whole "$part" || failed "$name can't be read again" || return
    { sync "$part" && mv "$part" "$dir/$name" && sync "$dir"; } || failed "$name can't be kept" || return
    say "$name: $(wc -c <"$dir/$name") bytes"
    # Only now: a backup that fails removes none.
    find "$dir" -maxdepth 1 -name 'callhome-*.dump' -mmin "+$((keep_days * 1440))" -exec rm -f {} + -exec echo backup: removed {} + >&2
}

# Seconds until it is BACKUP_AT_UTC again.
wait_s() {
    hour=${at_utc%:*} minute=${at_utc#*:}
    echo $((((${hour#0} * 60 + ${minute#0}) * 60 - $(date -u +%s) % 86400 + 86399) % 86400 + 1))
}

nightly() {
    case $at_utc in
    [01][0-9]:[0-5][0-9] | 2[0-3]:[0-5][0-9]) ;;
    *)
        say "BACKUP_AT_UTC is '$at_utc', no time such as 02:30"
        exit 2
        ;;
    esac
    if younger_than_min 1440; then run sleep "$(wait_s)"; fi
    while :; do
        if now; then
            run sleep "$(wait_s)"
        else
            say "again in $retry_s s"
            run sleep "$retry_s"
        fi
    done
}

restore() {
    if [ -n "$(psql --no-psqlrc -Atc "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace LIMIT 1")" ]; then
        say "the database $PGDATABASE is not empty: drop it and create it first"
        exit 1
    fi
    # Not in one transaction: it would need a lock for each of some thousand tables and indexes.
    run pg_restore --exit-on-error --no-owner --no-privileges --jobs="${RESTORE_JOBS:-2}" --dbname="$PGDATABASE" "$1"
    run psql --no-psqlrc -qc ANALYZE
    say "restored from $1"
}

trap stop TERM INT
umask 077
case ${1:-} in
now) now ;;
nightly) nightly ;;
check) younger_than_min $fresh_min ;;
restore) restore "${2:?which file?}" ;;
*)
    say "now, nightly, check or restore FILE"
    exit 2
    ;;
esac
