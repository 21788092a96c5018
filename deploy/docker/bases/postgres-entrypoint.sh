#!/bin/bash
# What the official image's entry does, as far as this repository asks it to: the first start makes the cluster with
# POSTGRES_USER, POSTGRES_PASSWORD(_FILE) and POSTGRES_DB, and runs /docker-entrypoint-initdb.d against a server that only
# a socket reaches. Everything happens in a folder beside, so that an interrupted first start begins anew.
set -euo pipefail
if [ "${1:-}" != postgres ]; then
    exec "$@"
fi
if [ -s "$PGDATA/PG_VERSION" ] && [ ! -e "$PGDATA/unfinished" ]; then
    exec "$@"
fi
password=${POSTGRES_PASSWORD:-}
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password=$(cat "$POSTGRES_PASSWORD_FILE")
fi
if [ -z "$password" ]; then
    echo "POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD must be set for the first start." >&2
    exit 1
fi
export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
if [ -e "$PGDATA/unfinished" ]; then
    find "$PGDATA" -mindepth 1 -delete
fi
# initdb wants an empty folder, so the mark is set right after it.
# shellcheck disable=SC2086 # several words on purpose
initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$password") --auth-local=trust --auth-host=scram-sha-256 \
    ${POSTGRES_INITDB_ARGS:-} -D "$PGDATA"
touch "$PGDATA/unfinished"
printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
pg_ctl -D "$PGDATA" -w start -o "-c listen_addresses=''"
if [ "$POSTGRES_DB" != postgres ]; then
    psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
fi
for file in /docker-entrypoint-initdb.d/*; do
    case $file in
        *.sh) if [ -x "$file" ]; then "$file"; else bash "$file"; fi ;;
        *.sql) psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file "$file" ;;
    esac
done
pg_ctl -D "$PGDATA" -w -m fast stop
rm "$PGDATA/unfinished"
exec "$@"
