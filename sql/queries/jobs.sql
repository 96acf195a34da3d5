-- The work of the jobs. A job's statements run in the order they stand here, each again and again until it has no more;
-- docs/adding-a-job.md has the rules. A chunk is a transaction that also moves the run's progress, and holds the run: so
-- what is repeated after a failure was not done, and nobody else is at it.
--
-- A statement handles at most k.most rows and answers with one row: how many it did handle (rows), where it goes on
-- (cursor), and whether it has to (more). What stands between `__` and `/` in its name counts rows in the run's result.

-- part: chunk
k AS (
    SELECT k.most, k.cursor, k.scheduled_for, k.settings::jsonb AS settings, k.args::jsonb AS args
      FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) AS k (most, cursor, scheduled_for, settings, args)
)

-- ---- cleanup ----

-- name: cleanup__tasks/completed
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
    DELETE FROM task t USING old WHERE t.id = old.id RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT old.completed_at || '/' || old.id FROM old ORDER BY old.completed_at DESC, old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more
  FROM k;

-- name: cleanup__tasks/all
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
    DELETE FROM task t USING old WHERE t.id = old.id RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT old.id::text FROM old ORDER BY old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more
  FROM k;

-- name: cleanup__refreshTokens
WITH {{chunk}}, gone AS (
    DELETE FROM refresh_token t
     USING k
     CROSS JOIN LATERAL (SELECT t.id FROM refresh_token t WHERE t.expires_at < now() ORDER BY t.expires_at, t.id LIMIT k.most
                            FOR UPDATE SKIP LOCKED) old
     WHERE t.id = old.id
    RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows, NULL::text AS cursor, (SELECT count(*) FROM gone) >= k.most AS more FROM k;

-- name: cleanup__sessions
-- A session whose last token is gone can never be refreshed again.
WITH {{chunk}}, seen AS (
    SELECT s.id
      FROM k
     CROSS JOIN LATERAL (SELECT s.id FROM session s WHERE s.id > coalesce(k.cursor::uuid, {{least_id}}) ORDER BY s.id LIMIT k.most) s
), over AS (
    SELECT s.id
      FROM seen
      JOIN session s ON s.id = seen.id
     WHERE s.created_at < now() - interval '1 hour'
       AND NOT EXISTS (SELECT FROM refresh_token t WHERE t.session_id = s.id)
     ORDER BY s.id
       FOR UPDATE OF s SKIP LOCKED
), gone AS (
    DELETE FROM session s USING over WHERE s.id = over.id RETURNING s.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more
  FROM k;

-- name: cleanup__idempotencyKeys
WITH {{chunk}}, gone AS (
    DELETE FROM idempotency_key i
     USING k
     CROSS JOIN LATERAL (SELECT i.user_id, i.key FROM idempotency_key i WHERE i.created_at < now() - interval '1 day'
                          ORDER BY i.created_at LIMIT k.most FOR UPDATE SKIP LOCKED) old
     WHERE i.user_id = old.user_id AND i.key = old.key
    RETURNING i.key
)
SELECT (SELECT count(*) FROM gone) AS rows, NULL::text AS cursor, (SELECT count(*) FROM gone) >= k.most AS more FROM k;

-- name: cleanup__runs
-- Walks through the history: an index that finds what is over would cost every run a write, to save a walk a day.
WITH {{chunk}}, seen AS (
    SELECT r.id, r.finished_at
      FROM k
     CROSS JOIN LATERAL (SELECT r.id, r.finished_at
                           FROM job_run r
                          WHERE r.id > coalesce(k.cursor::uuid, {{least_id}})
                          ORDER BY r.id
                          LIMIT k.most) r
), gone AS (
    DELETE FROM job_run r
     USING k, seen
     WHERE r.id = seen.id
       AND seen.finished_at < now() - (k.settings ->> 'JOB_RUN_RETENTION')::bigint * interval '1 millisecond'
    RETURNING r.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.id::text FROM seen ORDER BY seen.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= k.most AS more
  FROM k;

-- name: cleanup__importParts
-- Of uploads that broke off, and of runs that are over. A part has 256 KiB, so a chunk is a few of them.
WITH {{chunk}}, seen AS (
    SELECT p.run_id, p.part, p.created_at
      FROM k
     CROSS JOIN LATERAL (SELECT p.run_id, p.part, p.created_at
                           FROM import_part p
                          WHERE p.created_at < now() - interval '1 hour'
                            AND (p.created_at, p.run_id, p.part) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                                    coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}),
                                                                    coalesce(split_part(k.cursor, '/', 3)::bigint, -1))
                          ORDER BY p.created_at, p.run_id, p.part
                          LIMIT least(k.most, 64)) p
), gone AS (
    DELETE FROM import_part p
     USING seen
     WHERE p.run_id = seen.run_id AND p.part = seen.part
       AND NOT EXISTS (SELECT FROM job_run r WHERE r.id = seen.run_id AND r.state IN ('queued', 'running', 'failed'))
    RETURNING p.part
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT seen.created_at || '/' || seen.run_id || '/' || seen.part
          FROM seen ORDER BY seen.created_at DESC, seen.run_id DESC, seen.part DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM seen) >= least(k.most, 64) AS more
  FROM k;

-- ---- aggregate ----

-- name: aggregate__changes
-- Folds what statements have appended since. Each change is taken once, in the transaction that adds it up: late ones
-- correct the day they belong to, and a task that was cleaned up stays counted. Accounts are locked before anything is added
-- to them, so that none goes meanwhile; whoever removes a user does not wait for that.
WITH {{chunk}}, taken AS (
    DELETE FROM task_change c
     USING k
     CROSS JOIN LATERAL (SELECT c.id FROM task_change c WHERE c.id > coalesce(k.cursor::bigint, 0) ORDER BY c.id LIMIT k.most
                            FOR UPDATE SKIP LOCKED) next
     WHERE c.id = next.id
    RETURNING c.*
), users AS (
    SELECT u.id
      FROM app_user u
      JOIN account a ON a.id = u.id
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
       (SELECT max(taken.id)::text FROM taken) AS cursor,
       (SELECT count(*) FROM taken) >= k.most AS more
  FROM k;

-- ---- report ----

-- name: report__users
-- The week (from Monday, in the zone of the schedule) before the tick; a run that was started by hand reports the present one so
-- far. A report that is there already is made anew. A week has as many hours as the zone's clocks give it: whatever they do, three
-- days before its end are in it.
WITH {{chunk}}, week AS (
    SELECT k.most, k.cursor, k.scheduled_for, k.settings ->> 'SCHEDULE_TIMEZONE' AS zone,
           date_trunc('week', coalesce(k.scheduled_for, now()), k.settings ->> 'SCHEDULE_TIMEZONE') AS began
      FROM k
), period AS (
    SELECT w.most, w.cursor,
           CASE WHEN w.scheduled_for IS NULL THEN w.began ELSE date_trunc('week', w.began - interval '3 days', w.zone) END AS from_at,
           CASE WHEN w.scheduled_for IS NULL THEN now() ELSE w.began END AS to_at
      FROM week w
), users AS (
    SELECT u.id
      FROM period p
     CROSS JOIN LATERAL (SELECT u.id FROM app_user u JOIN account a ON a.id = u.id
                          WHERE u.id > coalesce(p.cursor::uuid, {{least_id}})
                          ORDER BY u.id LIMIT greatest(p.most / 50, 1) FOR KEY SHARE OF a) u
), counted AS (
    SELECT u.id AS user_id, c.code,
           count(t.*) FILTER (WHERE t.created_at >= p.from_at) AS created,
           count(t.*) FILTER (WHERE t.completed_at >= p.from_at AND t.completed_at < p.to_at) AS completed,
           count(t.*) FILTER (WHERE t.open) AS open,
           count(t.*) FILTER (WHERE t.open AND t.due_at < p.to_at) AS overdue
      FROM period p
     CROSS JOIN users u
     CROSS JOIN task_priority c
      LEFT JOIN LATERAL (SELECT t.created_at, t.completed_at, t.due_at, t.completed_at IS NULL OR t.completed_at >= p.to_at AS open
                           FROM task t
                          WHERE t.user_id = u.id AND t.priority_code = c.code AND t.created_at < p.to_at) t ON true
     GROUP BY u.id, c.code, c.ordinal
     ORDER BY u.id, c.ordinal, c.code
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
SELECT (SELECT count(*) FROM users) AS rows,
       (SELECT users.id::text FROM users ORDER BY users.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM users) >= greatest(p.most / 50, 1) AS more
  FROM period p;

-- ---- maintenance ----

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
  JOIN import_part p ON p.run_id = k.run_id AND p.part BETWEEN k.first AND k.last
 ORDER BY p.part;

-- name: import__tasks
-- Answers with the ordinals whose priority there is not.
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
SELECT k.n FROM k LEFT JOIN task_priority p ON p.code = k.priority_code WHERE p.code IS NULL ORDER BY k.n;
