#!/bin/sh
# Makes what compose.yaml needs and git must not have: .env, the secrets, the folder of the backups. What is there stays.
#
#     sudo sh compose/setup.sh ping.example.com callhome.example.com
#
# Only the user that a container runs as can read its files: 10001 callhome, 999 PostgreSQL, 472 Grafana.
set -eu
cd "$(dirname "$0")/.."
umask 077

fail() { echo "setup: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "only root can give files to the users of the containers: sudo sh compose/setup.sh …"

if [ ! -e .env ]; then
    [ $# = 2 ] || fail "which names? sudo sh compose/setup.sh PING_HOST CONSOLE_HOST"
    printf 'PING_HOST=%s\nCONSOLE_HOST=%s\nCONSOLE_NETWORKS=private_ranges\n' "$1" "$2" >.env
    chmod 644 .env
    echo "setup: .env made"
elif [ $# != 0 ]; then
    fail ".env is there already: change the names in it"
fi

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# make OWNER FILE TEXT: unless it is there.
make() {
    [ -e "compose/secrets/$2" ] && return
    printf '%s\n' "$3" >"compose/secrets/.new"
    chown "$1:$1" compose/secrets/.new
    chmod 400 compose/secrets/.new
    mv compose/secrets/.new "compose/secrets/$2"
    echo "setup: compose/secrets/$2 made"
}

# What is mounted into the containers, where the checkout was made for its owner alone.
chmod -R a+rX compose/backup compose/grafana compose/postgres compose/prometheus*
# Not what lies in caddy/local: it may have a private key, and a password's hash.
mkdir -p compose/caddy/local
chmod a+rX compose/caddy compose/caddy/Caddyfile compose/caddy/local

mkdir -p compose/secrets/callhome
chmod 711 compose/secrets
chown 10001:10001 compose/secrets/callhome
chmod 500 compose/secrets/callhome

make 10001 callhome/secret "$(random)"
make 999 postgres_admin_password "$(random)"
make 999 callhome_password "$(random)"
password=$(cat compose/secrets/callhome_password)
make 10001 callhome/database_url "postgresql://callhome:$password@postgres:5432/callhome"
# For any database: a restore fills one of another name first.
make 999 backup_pgpass "postgres:5432:*:callhome:$password"
make 472 grafana_password "$(random)"

backups=$(sed -n 's/^BACKUP_DIR=//p' .env)
backups=${backups:-/var/backups/callhome}
mkdir -p "$backups"
chown 999:999 "$backups"
chmod 700 "$backups"
