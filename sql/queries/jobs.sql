-- The work of the jobs. A job's statements run in the order they stand here, each again and again until it has no more;
-- docs/adding-a-job.md has the rules. A chunk is a transaction that also moves the run's progress, and holds the run: so
-- what is repeated after a failure was not done, and nobody else is at it.
--
-- A statement handles at most k.most rows and answers with one row: how many it did handle (rows), where it goes on
-- (cursor), and whether it has to (more). What stands between `__` and `/` in its name counts rows in the run's result.
--
-- With k.skip it gets one unit that the database refuses (jobs/skip.h): it changes nothing, moves its cursor past that unit,
-- which is the first behind the cursor, and names it (unit): by an id, never by content. k.skipped units were skipped before.

-- part: chunk
k AS (
    SELECT k.most, k.cursor, k.scheduled_for, k.settings::jsonb AS settings, k.args::jsonb AS args, k.skip, k.skipped
      FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::boolean[], $7::bigint[])
           AS k (most, cursor, scheduled_for, settings, args, skip, skipped)
)

-- part: least_id
'00000000-0000-0000-0000-000000000000'::uuid

-- part: greatest_id
'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid

-- part: unless_skipped
NOT (SELECT k.skip FROM k)

-- Where no index has the rows in an order to go on in: the cursor is what was skipped, and what was not is gone.

-- part: skipped_ids
coalesce(string_to_array((SELECT k.cursor FROM k), ','), '{}')::uuid[]

-- part: ids_with_this
concat_ws(',', k.cursor, (SELECT mine.id FROM mine WHERE k.skip LIMIT 1))

-- part: this_id
CASE WHEN k.skip THEN (SELECT mine.id::text FROM mine LIMIT 1) END

-- An instant in a cursor: the text reads the same under every DateStyle and TimeZone, and keeps every microsecond.

-- part: exact_instant
'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'

-- ---- cleanup: what the engine itself leaves behind. Housekeeping does these as well (proto/jobs.h), whether anything is scheduled or not ----

-- name: cleanup__refreshTokens
WITH {{chunk}}, old AS (
    SELECT t.id, t.expires_at
      FROM k
     CROSS JOIN LATERAL (SELECT t.id, t.expires_at
                           FROM millrace.refresh_token t
                          WHERE t.expires_at < now()
                            AND (t.expires_at, t.id) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                        coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}))
                          ORDER BY t.expires_at, t.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM millrace.refresh_token t USING old WHERE t.id = old.id AND {{unless_skipped}} RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(old.expires_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || old.id
          FROM old ORDER BY old.expires_at DESC, old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__sessions
-- A session whose last token is gone can never be refreshed again.
WITH {{chunk}}, seen AS (
    SELECT s.id
      FROM k
     CROSS JOIN LATERAL (SELECT s.id FROM millrace.session s WHERE s.id > coalesce(k.cursor::uuid, {{least_id}}) ORDER BY s.id LIMIT k.most) s
), over AS (
    SELECT s.id
      FROM seen
      JOIN millrace.session s ON s.id = seen.id
     WHERE s.created_at < now() - interval '1 hour'
       AND NOT EXISTS (SELECT FROM millrace.refresh_token t WHERE t.session_id = s.id)
     ORDER BY s.id
       FOR UPDATE OF s SKIP LOCKED
), gone AS (
    DELETE FROM millrace.session s USING over WHERE s.id = over.id AND {{unless_skipped}} RETURNING s.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT seen.id::text FROM seen LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__idempotencyKeys
-- A key may hold a slash: it comes last in the cursor. It is a client's text, so that its user and its time name it.
WITH {{chunk}}, old AS (
    SELECT i.user_id, i.key, i.created_at
      FROM k
     CROSS JOIN LATERAL (SELECT i.user_id, i.key, i.created_at
                           FROM millrace.idempotency_key i
                          WHERE i.created_at < now() - interval '1 day'
                            AND (i.created_at, i.user_id, i.key)
                                > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                   coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}),
                                   coalesce(substr(k.cursor, length(split_part(k.cursor, '/', 1)) + length(split_part(k.cursor, '/', 2)) + 3), ''))
                          ORDER BY i.created_at, i.user_id, i.key
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) i
), gone AS (
    DELETE FROM millrace.idempotency_key i USING old WHERE i.user_id = old.user_id AND i.key = old.key AND {{unless_skipped}} RETURNING i.key
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(old.created_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || old.user_id || '/' || old.key
          FROM old ORDER BY old.created_at DESC, old.user_id DESC, old.key DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip
            THEN (SELECT old.user_id || '/' || to_char(old.created_at AT TIME ZONE 'UTC', {{exact_instant}}) FROM old LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__runs
-- Walks through the history: an index that finds what is over would cost every run a write, to save a walk a day.
WITH {{chunk}}, seen AS (
    SELECT r.id, r.finished_at
      FROM k
     CROSS JOIN LATERAL (SELECT r.id, r.finished_at
                           FROM millrace.job_run r
                          WHERE r.id > coalesce(k.cursor::uuid, {{least_id}})
                          ORDER BY r.id
                          LIMIT k.most) r
), gone AS (
    DELETE FROM millrace.job_run r
     USING k, seen
     WHERE r.id = seen.id
       AND seen.finished_at < now() - (k.settings ->> 'JOB_RUN_RETENTION')::bigint * interval '1 millisecond'
       AND {{unless_skipped}}
    RETURNING r.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT seen.id::text FROM seen LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__importParts
-- Of uploads that broke off, and of runs that are over. A part has 256 KiB, so a chunk is a few of them. The first part of an
-- upload that is under way is younger, however long that takes.
WITH {{chunk}}, seen AS (
    SELECT p.run_id, p.part, p.created_at
      FROM k
     CROSS JOIN LATERAL (SELECT p.run_id, p.part, p.created_at
                           FROM millrace.import_part p
                          WHERE p.created_at < now() - interval '1 hour'
                            AND (p.created_at, p.run_id, p.part) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                                    coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}),
                                                                    coalesce(split_part(k.cursor, '/', 3)::bigint, -1))
                          ORDER BY p.created_at, p.run_id, p.part
                          LIMIT least(k.most, 64)) p
), gone AS (
    DELETE FROM millrace.import_part p
     USING seen
     WHERE p.run_id = seen.run_id AND p.part = seen.part
       AND NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.id = seen.run_id AND r.state IN ('queued', 'running', 'failed'))
       AND NOT EXISTS (SELECT FROM millrace.import_part h WHERE h.run_id = seen.run_id AND h.part = 0 AND h.created_at >= now() - interval '1 hour')
       AND {{unless_skipped}}
    RETURNING p.part
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(seen.created_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || seen.run_id || '/' || seen.part
          FROM seen ORDER BY seen.created_at DESC, seen.run_id DESC, seen.part DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= least(k.most, 64) AS more,
       CASE WHEN k.skip THEN (SELECT seen.run_id || '/' || seen.part FROM seen LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__audit
WITH {{chunk}}, old AS (
    SELECT a.id, a.at
      FROM k
     CROSS JOIN LATERAL (SELECT a.id, a.at
                           FROM millrace.audit a
                          WHERE a.at < now() - (k.settings ->> 'AUDIT_RETENTION')::bigint * interval '1 millisecond'
                            AND (a.at, a.id) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}))
                          ORDER BY a.at, a.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) a
), gone AS (
    DELETE FROM millrace.audit a USING old WHERE a.id = old.id AND {{unless_skipped}} RETURNING a.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(old.at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || old.id
          FROM old ORDER BY old.at DESC, old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__workerRuns
-- Runs of push and pull, by their id, as far back as one can be that is past its job's `keep`: an id begins with when it was made. Those
-- of a job that is gone go whether they are finished or not.
WITH {{chunk}}, least_keep AS (
    SELECT least(min(j.keep_ms), (k.settings ->> 'JOB_RUN_RETENTION')::bigint) AS ms FROM k LEFT JOIN millrace.job j ON j.keep_ms IS NOT NULL GROUP BY k.settings
), youngest AS (
    SELECT (rpad(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - l.ms), 12, '0'), 32, '0'))::uuid AS id FROM least_keep l
), seen AS (
    SELECT r.id, r.job, r.finished_at
      FROM k
     CROSS JOIN LATERAL (SELECT r.id, r.job, r.finished_at
                           FROM millrace.run r
                          WHERE r.id > coalesce(k.cursor::uuid, {{least_id}}) AND r.id < (SELECT y.id FROM youngest y)
                          ORDER BY r.id
                          LIMIT k.most) r
), over AS (
    SELECT s.id
      FROM k
     CROSS JOIN seen s
      LEFT JOIN millrace.job j ON j.name = s.job
     WHERE j.name IS NULL
        OR s.finished_at < now() - coalesce(j.keep_ms, (k.settings ->> 'JOB_RUN_RETENTION')::bigint) * interval '1 millisecond'
), old AS (
    SELECT r.id
      FROM (SELECT o.id FROM over o ORDER BY o.id) o
     CROSS JOIN LATERAL (SELECT r.id FROM millrace.run r WHERE r.id = o.id LIMIT 1 FOR UPDATE SKIP LOCKED) r
), gone AS (
    DELETE FROM millrace.run r USING old WHERE r.id = old.id AND {{unless_skipped}} RETURNING r.id, r.job, r.key, r.turn, r.unique_key, r.outcome
), attempts AS (
    DELETE FROM millrace.run_attempt a USING gone g WHERE a.run_id = g.id
), uniques AS (
    DELETE FROM millrace.run_unique u USING gone g WHERE g.unique_key IS NOT NULL AND u.job = g.job AND u.unique_key = g.unique_key AND u.run_id = g.id
), readies AS (
    DELETE FROM millrace.ready y USING gone g WHERE g.outcome IS NULL AND y.job = g.job AND y.key = g.key AND y.turn = g.turn AND y.id = g.id
), laters AS (
    DELETE FROM millrace.later l USING gone g WHERE g.outcome IS NULL AND l.id = g.id
), leases AS (
    DELETE FROM millrace.lease l USING gone g WHERE g.outcome IS NULL AND l.id = g.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT seen.id::text FROM seen LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__uniqueKeys
-- Of runs that are finished, once their time is over. A key is a client's text, so that its run names it.
WITH {{chunk}}, seen AS (
    SELECT u.job, u.unique_key, u.run_id, u.until
      FROM k
     CROSS JOIN LATERAL (SELECT u.job, u.unique_key, u.run_id, u.until
                           FROM millrace.run_unique u
                          WHERE (u.job, u.unique_key) > (coalesce(k.cursor::jsonb ->> 0, ''), coalesce(k.cursor::jsonb ->> 1, ''))
                          ORDER BY u.job, u.unique_key
                          LIMIT k.most) u
), old AS (
    SELECT u.job, u.unique_key, u.run_id
      FROM (SELECT s.job, s.unique_key FROM seen s WHERE coalesce(s.until < now(), true) ORDER BY s.job, s.unique_key) s
     CROSS JOIN LATERAL (SELECT u.job, u.unique_key, u.run_id
                           FROM millrace.run_unique u
                          WHERE u.job = s.job AND u.unique_key = s.unique_key AND coalesce(u.until < now(), true)
                            AND NOT EXISTS (SELECT FROM millrace.run r WHERE r.id = u.run_id AND r.outcome IS NULL)
                          LIMIT 1
                            FOR UPDATE SKIP LOCKED) u
), gone AS (
    DELETE FROM millrace.run_unique u USING old o WHERE u.job = o.job AND u.unique_key = o.unique_key AND {{unless_skipped}} RETURNING u.run_id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT jsonb_build_array(s.job, s.unique_key)::text FROM seen s ORDER BY s.job DESC, s.unique_key DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT s.run_id::text FROM seen s LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__tallies
WITH {{chunk}}, old AS (
    SELECT t.minute, t.job, t.backend
      FROM k
     CROSS JOIN LATERAL (SELECT t.minute, t.job, t.backend
                           FROM millrace.run_tally t
                          WHERE t.minute < now() - interval '1 day'
                            AND (t.minute, t.job, t.backend) > (coalesce(k.cursor::jsonb ->> 0, '-infinity')::timestamptz, coalesce(k.cursor::jsonb ->> 1, ''),
                                                                coalesce((k.cursor::jsonb ->> 2)::integer, 0))
                          ORDER BY t.minute, t.job, t.backend
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM millrace.run_tally t USING old o WHERE t.job = o.job AND t.minute = o.minute AND t.backend = o.backend AND {{unless_skipped}} RETURNING t.job
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT jsonb_build_array(to_char(o.minute AT TIME ZONE 'UTC', {{exact_instant}}), o.job, o.backend)::text
          FROM old o ORDER BY o.minute DESC, o.job DESC, o.backend DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT o.job || '/' || to_char(o.minute AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || o.backend FROM old o LIMIT 1) END AS unit
  FROM k;

-- ---- bulk: what POST /v1/job-runs/retry, /cancel and /delete ask for, in chunks. The run's args are what was asked. ----
--
-- A chunk walks on, in the order of ids, along the index that has what is meant. Each statement does its own action and nothing where
-- another is meant. What changed meanwhile is passed over: the functions say so, and count is what they did.

-- part: bulk
{{chunk}}, ask AS MATERIALIZED (
    SELECT k.args ->> 'job' AS job, k.args ->> 'state' AS state, k.args ->> 'key' AS key, coalesce(k.cursor::uuid, {{least_id}}) AS behind, k.most,
           rpad(lpad(to_hex(greatest((extract(epoch FROM coalesce((k.args ->> 'before')::timestamptz, now())) * 1000)::bigint, 0)), 12, '0'), 32, '0')::uuid AS before,
           (SELECT j.work = 'sql' FROM millrace.job j WHERE j.name = k.args ->> 'job') AS is_sql
      FROM k
     WHERE k.args ->> 'action' =

-- part: meant_here
r.job = a.job AND r.id > a.behind AND r.id < a.before AND (a.key IS NULL OR r.key = a.key)

-- part: stopped_here
r.job = a.job AND r.id > a.behind AND r.id < a.before
                              AND (a.key IS NULL OR EXISTS (SELECT FROM millrace.run x WHERE x.id = r.id AND x.key = a.key))
                            ORDER BY r.job, r.outcome, r.id

-- part: sql_meant
SELECT r.id FROM millrace.job_run r
                            WHERE a.is_sql AND a.key IS NULL AND r.job = a.job AND r.id > a.behind AND r.id < a.before

-- part: bulk_done
SELECT coalesce((SELECT count(*) FROM done WHERE done.status = 200), 0) + coalesce((SELECT count(*) FROM changed), 0) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT seen.id::text FROM seen LIMIT 1) END AS unit
  FROM k

-- name: bulk__retried
WITH {{bulk}} 'retry'
), seen AS MATERIALIZED (
    SELECT s.id
      FROM ask a
     CROSS JOIN LATERAL (
           SELECT * FROM (SELECT r.id FROM millrace.stopped r WHERE coalesce(a.state, 'dead') = 'dead' AND r.outcome = 'dead' AND {{stopped_here}} LIMIT a.most) dead
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.stopped r WHERE coalesce(a.state, 'cancelled') = 'cancelled' AND r.outcome = 'cancelled' AND {{stopped_here}} LIMIT a.most) cancelled
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.later r WHERE coalesce(a.state, 'failed') = 'failed' AND {{meant_here}} ORDER BY r.job, r.id LIMIT a.most) failed
            UNION ALL
           SELECT * FROM ({{sql_meant}} AND r.job <> 'import' AND r.state IN ('dead', 'cancelled', 'failed') AND r.state = coalesce(a.state, r.state)
                            ORDER BY r.job, r.id LIMIT a.most) sql
            ORDER BY id LIMIT a.most) s
), done AS MATERIALIZED (
    SELECT 200 AS status -- millrace.retry_runs, as cancel_runs, reads each run once more, to say what became of it
      FROM (SELECT array_agg(s.id) AS ids FROM seen s, ask a WHERE {{unless_skipped}} AND NOT a.is_sql HAVING count(*) > 0) s
     CROSS JOIN LATERAL millrace.requeue_runs(s.ids)
), changed AS (
    UPDATE millrace.job_run r
       SET {{again}}
      FROM seen s, ask a
     WHERE a.is_sql AND {{unless_skipped}} AND r.id = s.id AND r.state IN ('dead', 'cancelled', 'failed')
    RETURNING r.id, pg_notify('millrace_jobs', '')::text
)
{{bulk_done}};

-- name: bulk__cancelled
WITH {{bulk}} 'cancel'
), seen AS MATERIALIZED (
    SELECT s.id
      FROM ask a
     CROSS JOIN LATERAL (
           SELECT * FROM (SELECT r.id FROM millrace.ready r WHERE coalesce(a.state, 'queued') <> 'running' AND {{meant_here}} ORDER BY r.job, r.id LIMIT a.most) waiting
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.later r WHERE coalesce(a.state, 'queued') <> 'running' AND {{meant_here}} ORDER BY r.job, r.id LIMIT a.most) later
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.lease r WHERE coalesce(a.state, 'running') = 'running' AND {{meant_here}} ORDER BY r.id LIMIT a.most) leased
            UNION ALL
           SELECT * FROM ({{sql_meant}} AND r.finished_at IS NULL AND NOT r.cancel_requested AND r.state = coalesce(a.state, r.state)
                            ORDER BY r.job, r.id LIMIT a.most) sql
            ORDER BY id LIMIT a.most) s
), done AS MATERIALIZED (
    SELECT 200 AS status
      FROM (SELECT array_agg(s.id) AS ids, CASE WHEN a.state <> 'running' THEN a.state = 'failed' END AS failed
              FROM seen s, ask a
             WHERE {{unless_skipped}} AND NOT a.is_sql
             GROUP BY a.state) s
     CROSS JOIN LATERAL millrace.stop_runs(s.ids, s.failed)
), changed AS (
    UPDATE millrace.job_run r
       SET cancel_requested = true, state = CASE WHEN r.state = 'running' THEN r.state ELSE 'cancelled' END, finished_at = CASE WHEN r.state <> 'running' THEN now() END
      FROM seen s, ask a
     WHERE a.is_sql AND {{unless_skipped}} AND r.id = s.id AND r.state IN ('queued', 'failed', 'running')
    RETURNING r.id
)
{{bulk_done}};

-- name: bulk__deleted
WITH {{bulk}} 'delete'
), seen AS MATERIALIZED (
    SELECT s.id, s.is_meant
      FROM ask a
     CROSS JOIN LATERAL (
           SELECT * FROM (SELECT r.id, true AS is_meant FROM millrace.stopped r WHERE a.state = 'dead' AND r.outcome = 'dead' AND {{stopped_here}} LIMIT a.most) dead
            UNION ALL
           SELECT * FROM (SELECT r.id, true FROM millrace.stopped r WHERE a.state = 'cancelled' AND r.outcome = 'cancelled' AND {{stopped_here}} LIMIT a.most) cancelled
            UNION ALL
           SELECT * FROM (SELECT r.id, r.outcome IS NOT NULL AND r.outcome = coalesce(a.state, r.outcome) FROM millrace.run r
                           WHERE coalesce(a.state, 'succeeded') = 'succeeded' AND {{meant_here}}
                           ORDER BY r.job, r.id LIMIT a.most) finished
            UNION ALL
           SELECT * FROM (SELECT x.id, true FROM ({{sql_meant}} AND r.finished_at IS NOT NULL AND r.state = coalesce(a.state, r.state)
                            ORDER BY r.job, r.id LIMIT a.most) x) sql
            ORDER BY id LIMIT a.most) s
), done AS MATERIALIZED (
    SELECT d.status
      FROM (SELECT array_agg(s.id) AS ids FROM seen s, ask a WHERE s.is_meant AND {{unless_skipped}} AND NOT a.is_sql HAVING count(*) > 0) s
     CROSS JOIN LATERAL millrace.delete_runs(s.ids) d
), changed AS (
    DELETE FROM millrace.job_run r USING seen s, ask a WHERE a.is_sql AND {{unless_skipped}} AND r.id = s.id AND r.finished_at IS NOT NULL RETURNING r.id
)
{{bulk_done}};

-- ---- maintenance ----

-- name: maintenance__next
-- The first table behind the cursor, of the engine and of the application; what an extension brought along is its own affair.
WITH listed AS (
    SELECT format('%I.%I', n.nspname, c.relname) COLLATE "C" AS place,
           CASE WHEN count(*) OVER (PARTITION BY c.relname) > 1 THEN n.nspname || '.' || c.relname ELSE c.relname END AS name
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm')
       AND n.nspname IN ('millrace', current_schema())
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT l.place, l.name, (SELECT count(*) FROM listed o WHERE o.place > l.place) > 0 AS more
  FROM listed l
 WHERE l.place > ($1::text[])[1]
 ORDER BY l.place
 LIMIT 1;

-- name: maintenance__outdated
-- Indexes of the table that a migration left to be rebuilt, by the comment 'millrace: rebuild'. A rebuild locks nobody out, and takes
-- its time; what one that was interrupted left behind goes first.
SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', n.nspname, left(c.relname, 57) || '_ccnew'),
       format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname),
       format('COMMENT ON INDEX %I.%I IS NULL', n.nspname, c.relname)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = to_regclass(($1::text[])[1])
   AND obj_description(c.oid, 'pg_class') = 'millrace: rebuild'
   AND pg_has_role(c.relowner, 'USAGE');

-- name: maintenance__figures
-- Bloat is what VACUUM leaves to be reused: the share of the table that holds no live row, by the average row's width.
SELECT json_build_object(
           'rows', s.n_live_tup, 'deadRows', s.n_dead_tup, 'tableBytes', pg_table_size(s.relid), 'indexBytes', pg_indexes_size(s.relid),
           'bloatPercent', CASE WHEN pg_relation_size(s.relid) = 0 THEN 0
                                ELSE greatest(0, round(100 - 100.0 * s.n_live_tup * (w.bytes + 28) / pg_relation_size(s.relid))) END,
           'indexes', (SELECT json_object_agg(i.indexrelname, json_build_object('bytes', pg_relation_size(i.indexrelid), 'scans', i.idx_scan))
                         FROM pg_stat_user_indexes i
                        WHERE i.relid = s.relid))::text
  FROM unnest($1::text[]) AS k (name)
  JOIN pg_stat_user_tables s ON s.relid = to_regclass(k.name)
 CROSS JOIN LATERAL (SELECT coalesce(sum(c.avg_width * (1 - c.null_frac)), 0) AS bytes
                       FROM pg_stats c
                      WHERE c.schemaname = s.schemaname AND c.tablename = s.relname) w;

-- ---- import ----

-- name: import__parts
SELECT p.bytes
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k (run_id, first, last)
  JOIN millrace.import_part p ON p.run_id = k.run_id AND p.part BETWEEN k.first AND k.last
 ORDER BY p.part;
