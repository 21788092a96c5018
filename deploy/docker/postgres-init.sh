#!/bin/bash
# Runs once, when the data folder is new: a role and a database of the same name for each secret that is named after one. The
# role owns its database and is nothing else; nobody but it and the auditor, who may only read, may connect. `shop.sh auditor`
# makes the auditor alone, for data that is older than it is; again changes nothing.
set -euo pipefail

make_auditor() {
    psql --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres --set password="$(cat /run/secrets/AUDITOR_PASSWORD)" <<'SQL'
SELECT 'CREATE ROLE auditor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'auditor') \gexec
ALTER ROLE auditor LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 30 PASSWORD :'password';
ALTER ROLE auditor SET default_transaction_read_only = on;
SET client_min_messages = error;
GRANT pg_read_all_data TO auditor;
SELECT format('GRANT CONNECT ON DATABASE %I TO auditor', datname) FROM pg_database WHERE datname LIKE 'svc\_%' \gexec
SQL
}

if [ "${1:-}" = auditor ]; then
    make_auditor
    exit
fi
for file in /run/secrets/svc_*; do
    role=${file##*/}
    psql --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres --set role="$role" --set password="$(cat "$file")" <<'SQL'
CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
SQL
done
make_auditor
