-- The work of the jobs. A job's statements run in the order they stand here, each again and again until it has no more;
-- docs/adding-a-job.md has the rules. A chunk is a transaction that also moves the run's progress, and holds the run: so
-- what is repeated after a failure was not done, and nobody else is at it.
--
-- A statement handles at most k.most rows and answers with one row: how many it did handle (rows), where it goes on
-- (cursor), and whether it has to (more). What stands between `__` and `/` in its name counts rows in the run's result.
--
-- With k.skip it gets one unit that the database refuses (actors/skip.h): it changes nothing, moves its cursor past that unit,
-- which is the first behind the cursor, and names it (unit): by an id, never by content. k.skipped units were skipped before.

-- part: chunk
k AS (
    SELECT k.most, k.cursor, k.scheduled_for, k.settings::jsonb AS settings, k.args::jsonb AS args, k.skip, k.skipped
      FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::boolean[], $7::bigint[])
           AS k (most, cursor, scheduled_for, settings, args, skip, skipped)
)

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

-- ---- cleanup, and housekeeping: what the engine itself leaves behind, whether anything is scheduled or not ----

-- name: cleanup__tasks/completed (built in)
WITH {{chunk}}, old AS (
    SELECT t.id, t.completed_at
      FROM k
     CROSS JOIN LATERAL (SELECT t.id, t.completed_at
                           FROM task t
                          WHERE k.settings ->> 'CLEANUP_SCOPE' = 'completed'
                            AND t.completed_at < now() - (k.settings ->> 'CLEANUP_COMPLETED_AFTER')::bigint * interval '1 millisecond'
                            AND (t.completed_at, t.id) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                          coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}))
                          ORDER BY t.completed_at, t.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task t USING old WHERE t.id = old.id AND {{unless_skipped}} RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(old.completed_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || old.id
          FROM old ORDER BY old.completed_at DESC, old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__tasks/all (built in)
WITH {{chunk}}, old AS (
    SELECT t.id
      FROM k
     CROSS JOIN LATERAL (SELECT t.id
                           FROM task t
                          WHERE k.settings ->> 'CLEANUP_SCOPE' = 'all'
                            AND t.id > coalesce(k.cursor::uuid, {{least_id}})
                          ORDER BY t.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task t USING old WHERE t.id = old.id AND {{unless_skipped}} RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT old.id::text FROM old ORDER BY old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;

-- name: {{job}}__refreshTokens for job in cleanup housekeeping
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

-- name: {{job}}__sessions for job in cleanup housekeeping
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

-- name: {{job}}__idempotencyKeys for job in cleanup housekeeping
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

-- name: {{job}}__runs for job in cleanup housekeeping
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

-- name: {{job}}__importParts for job in cleanup housekeeping
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

-- name: {{job}}__audit for job in cleanup housekeeping
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

-- ---- aggregate ----

-- name: aggregate__changes
-- Folds what statements have appended since. Each change is taken once, in the transaction that adds it up: late ones
-- correct the day they belong to, and a task that was cleaned up stays counted. Accounts are locked before anything is added
-- to them, so that none goes meanwhile; whoever removes a user does not wait for that.
WITH {{chunk}}, next AS (
    SELECT c.id
      FROM k
     CROSS JOIN LATERAL (SELECT c.id FROM task_change c WHERE c.id > coalesce(k.cursor::bigint, 0) ORDER BY c.id LIMIT k.most
                            FOR UPDATE SKIP LOCKED) c
), taken AS (
    DELETE FROM task_change c USING next WHERE c.id = next.id AND {{unless_skipped}} RETURNING c.*
), users AS (
    SELECT u.id
      FROM millrace.app_user u
      JOIN millrace.account a ON a.id = u.id
      JOIN (SELECT DISTINCT user_id FROM taken) d ON u.id = d.user_id
     ORDER BY u.id
       FOR KEY SHARE OF a
), summed AS (
    INSERT INTO task_stat AS s (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, t.day, sum(t.created), sum(t.completed), sum(t.due), sum(t.in_time)
      FROM taken t
      JOIN users u ON u.id = t.user_id
     GROUP BY t.user_id, t.day
     ORDER BY t.user_id, t.day
        ON CONFLICT (user_id, day) DO UPDATE
       SET created   = s.created + excluded.created,
           completed = s.completed + excluded.completed,
           due       = s.due + excluded.due,
           in_time   = s.in_time + excluded.in_time
)
SELECT (SELECT count(*) FROM taken) AS rows,
       (SELECT max(next.id)::text FROM next) AS cursor,
       (SELECT count(*) FROM next) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT next.id::text FROM next LIMIT 1) END AS unit
  FROM k;

-- ---- report ----

-- part: figures_of_task
t.priority_code AS code, (t.created_at >= p.from_at)::int AS created,
       coalesce(t.completed_at >= p.from_at AND t.completed_at < p.to_at, false)::int AS completed,
       (t.completed_at IS NULL OR t.completed_at >= p.to_at)::int AS open,
       coalesce((t.completed_at IS NULL OR t.completed_at >= p.to_at) AND t.due_at < p.to_at, false)::int AS overdue

-- name: report__users
-- The week before the tick, from Monday 0:00 of the zone that the tick follows, too; a run that was started by hand reports the
-- present one so far. A report that is there already is made anew.
--
-- A chunk takes some users, and of each as many tasks as it may; or, of one user with more than that, the next so many. The cursor is
-- the last user who is done; or a user, the last task that was counted of theirs, and the sums so far.
WITH {{chunk}}, zoned AS (
    SELECT k.*, k.settings ->> 'SCHEDULE_TIMEZONE' AS zone FROM k
), period AS (
    SELECT k.most, k.skip, nullif(split_part(k.cursor, '/', 1), '')::uuid AS user_id, split_part(k.cursor, '/', 2) <> '' AS is_inside,
           nullif(split_part(k.cursor, '/', 2), '')::timestamptz AS at, nullif(split_part(k.cursor, '/', 3), '')::uuid AS id,
           nullif(split_part(k.cursor, '/', 4), '')::jsonb AS sums,
           (date_trunc('week', coalesce(k.scheduled_for, now()) AT TIME ZONE k.zone)
            - CASE WHEN k.scheduled_for IS NULL THEN interval '0' ELSE interval '7 days' END) AT TIME ZONE k.zone AS from_at,
           CASE WHEN k.scheduled_for IS NULL THEN now()
                ELSE date_trunc('week', k.scheduled_for AT TIME ZONE k.zone) AT TIME ZONE k.zone END AS to_at
      FROM zoned k
), users AS (
    SELECT u.id
      FROM period p
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u JOIN millrace.account a ON a.id = u.id
                          WHERE p.is_inside IS NOT TRUE AND u.id > coalesce(p.user_id, {{least_id}})
                          ORDER BY u.id LIMIT greatest(p.most / 50, 1) FOR KEY SHARE OF a) u
), inside AS (
    SELECT u.id
      FROM period p
     CROSS JOIN LATERAL (SELECT u.id FROM millrace.app_user u JOIN millrace.account a ON a.id = u.id WHERE p.is_inside AND u.id = p.user_id
                            FOR KEY SHARE OF a) u
), seen AS (
    SELECT t.*
      FROM period p
     CROSS JOIN users u
     CROSS JOIN LATERAL (SELECT t.user_id, {{figures_of_task}}
                           FROM task t
                          WHERE NOT p.skip AND t.user_id = u.id AND t.created_at < p.to_at
                          ORDER BY t.created_at DESC, t.id DESC
                          LIMIT p.most + 1) t
), pieces AS (
    SELECT t.*
      FROM period p
     CROSS JOIN inside u
     CROSS JOIN LATERAL (SELECT t.user_id, {{figures_of_task}}, t.created_at, t.id
                           FROM task t
                          WHERE NOT p.skip AND t.user_id = u.id AND (t.created_at, t.id) < (p.at, p.id)
                          ORDER BY t.created_at DESC, t.id DESC
                          LIMIT p.most) t
), large AS (
    SELECT s.user_id AS id FROM seen s CROSS JOIN period p GROUP BY s.user_id, p.most HAVING count(*) > p.most ORDER BY s.user_id LIMIT 1
), finished AS (
    SELECT u.id FROM users u WHERE {{unless_skipped}} AND NOT EXISTS (SELECT FROM large WHERE u.id >= large.id)
     UNION ALL
    SELECT u.id FROM inside u CROSS JOIN period p WHERE NOT p.skip AND (SELECT count(*) FROM pieces) < p.most
), summed AS (
    SELECT x.user_id, x.code, sum(x.created) AS created, sum(x.completed) AS completed, sum(x.open) AS open, sum(x.overdue) AS overdue
      FROM (SELECT s.user_id, s.code, s.created, s.completed, s.open, s.overdue FROM seen s
             UNION ALL
            SELECT s.user_id, s.code, s.created, s.completed, s.open, s.overdue FROM pieces s
             UNION ALL
            SELECT u.id, b.key, (b.value ->> 0)::bigint, (b.value ->> 1)::bigint, (b.value ->> 2)::bigint, (b.value ->> 3)::bigint
              FROM inside u CROSS JOIN period p CROSS JOIN LATERAL jsonb_each(p.sums) b) x
     GROUP BY x.user_id, x.code
), counted AS (
    SELECT f.id AS user_id, c.code, coalesce(s.created, 0) AS created, coalesce(s.completed, 0) AS completed,
           coalesce(s.open, 0) AS open, coalesce(s.overdue, 0) AS overdue
      FROM finished f
     CROSS JOIN task_priority c
      LEFT JOIN summed s ON s.user_id = f.id AND s.code = c.code
     ORDER BY f.id, c.ordinal, c.code
), made AS (
    INSERT INTO report AS r (user_id, period_from, period_to, figures)
    SELECT c.user_id, p.from_at, p.to_at,
           jsonb_build_object('created', sum(c.created), 'completed', sum(c.completed), 'open', sum(c.open), 'overdue', sum(c.overdue),
                              'byPriority', jsonb_object_agg(c.code, jsonb_build_object(
                                  'created', c.created, 'completed', c.completed, 'open', c.open, 'overdue', c.overdue)))
      FROM counted c
     CROSS JOIN period p
     GROUP BY c.user_id, p.from_at, p.to_at
     ORDER BY c.user_id
        ON CONFLICT (user_id, period_from) DO UPDATE
       SET period_to = excluded.period_to, figures = excluded.figures, created_at = now()
     WHERE r.period_to <= excluded.period_to
    RETURNING r.id
)
SELECT (SELECT count(*) FROM finished) AS rows,
       CASE WHEN p.is_inside AND (SELECT count(*) FROM pieces) >= p.most
            THEN p.user_id || '/' || (SELECT to_char(created_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || id FROM pieces ORDER BY created_at, id LIMIT 1) || '/'
                 || (SELECT jsonb_object_agg(s.code, jsonb_build_array(s.created, s.completed, s.open, s.overdue)) FROM summed s)
            WHEN p.is_inside THEN p.user_id::text
            ELSE coalesce((SELECT large.id || '/' || to_char(p.to_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || {{least_id}} || '/{}' FROM large),
                          (SELECT users.id::text FROM users ORDER BY users.id DESC LIMIT 1)) END AS cursor,
       p.is_inside IS TRUE OR EXISTS (SELECT FROM large) OR (SELECT count(*) FROM users) >= greatest(p.most / 50, 1) AS more,
       CASE WHEN p.skip AND p.is_inside THEN p.user_id::text WHEN p.skip THEN (SELECT users.id::text FROM users LIMIT 1) END AS unit
  FROM period p;

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
-- Indexes of the table that a migration left to be rebuilt, by the comment 'millrace: rebuild'; of tasks, what a function made before
-- it was changed (migration 9). A rebuild locks nobody out, and takes its time; what one that was interrupted left behind goes first.
SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', n.nspname, left(c.relname, 57) || '_ccnew'),
       format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname, c.relname),
       format('COMMENT ON INDEX %I.%I IS %s', n.nspname, c.relname, CASE c.relname WHEN 'task_words' THEN '''words of paths''' ELSE 'NULL' END)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.indrelid = to_regclass(($1::text[])[1])
   AND (obj_description(c.oid, 'pg_class') = 'millrace: rebuild'
        OR c.relname = 'task_words' AND obj_description(c.oid, 'pg_class') IS DISTINCT FROM 'words of paths')
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

-- name: import__tasks (built in)
-- Answers for those whose priority there is not.
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::text[])
           WITH ORDINALITY AS k (id, user_id, summary, description, due_at, is_complete, priority_code, n)
), made AS (
    INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code)
    SELECT k.id, k.user_id, k.summary, k.description, k.due_at, k.is_complete, k.priority_code
      FROM k
      JOIN task_priority p ON p.code = k.priority_code
)
SELECT k.n, 400::bigint AS status, 'taskPriorityCode' AS field
  FROM k LEFT JOIN task_priority p ON p.code = k.priority_code WHERE p.code IS NULL ORDER BY k.n;
