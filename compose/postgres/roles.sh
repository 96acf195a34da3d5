#!/bin/bash
# Runs once, when the database is made: the role of Millrace, which owns its database and nothing else, and the role
# that a replica streams with.
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set millrace="$(cat /run/secrets/database/millrace)" --set replicator="$(cat /run/secrets/database/replicator)" <<'SQL'
CREATE ROLE millrace LOGIN PASSWORD :'millrace';
CREATE DATABASE millrace OWNER millrace;
REVOKE ALL ON DATABASE millrace FROM PUBLIC;
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
SQL
echo 'host replication replicator samenet scram-sha-256' >>"$PGDATA/pg_hba.conf"
