#!/bin/bash
# Runs once, when the data folder is new: a role and a database of the same name for each secret that is named after one. The
# role owns its database and is nothing else; nobody but it may connect.
set -euo pipefail
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
