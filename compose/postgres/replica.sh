#!/bin/bash
# A hot standby of the host "postgres": copied at the first start, streaming from then on.
set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    find "$PGDATA" -mindepth 1 -delete # what a copy left that was cut short
    PGPASSWORD=$(cat /run/secrets/database/replicator) \
        pg_basebackup --host=postgres --username=replicator --no-password --pgdata="$PGDATA" --checkpoint=fast --write-recovery-conf
fi
exec docker-entrypoint.sh postgres
