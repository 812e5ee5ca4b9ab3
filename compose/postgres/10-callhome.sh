#!/bin/sh
# Run once by the image, when the volume is empty: callhome's own user, and its database. Not the administrator's:
# callhome needs no right beyond its own tables.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<SQL
\set password \`cat ${CALLHOME_PASSWORD_FILE:-/run/secrets/callhome_password}\`
CREATE ROLE callhome LOGIN PASSWORD :'password';
CREATE DATABASE callhome OWNER callhome ENCODING UTF8 TEMPLATE template0;
REVOKE ALL ON DATABASE callhome FROM PUBLIC;
SQL
