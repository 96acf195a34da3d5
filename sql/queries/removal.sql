-- The job `removal`: deletes what belongs to an account that was closed; the run's args say which. Statements of further tables
-- may stand in files of their own: `removal__accounts` queues another run when it comes too early.
--
-- A run without args is started by hand, and looks for accounts that no run is left for.

-- part: closed
closed AS (
    SELECT k.most, k.cursor, a.id
      FROM k
      JOIN millrace.account a ON a.id = (k.args ->> 'account')::uuid AND a.closed_at IS NOT NULL
)

-- name: removal__runs
-- First of all, so that no import makes more rows: one that is at work finds that its run is gone.
WITH {{chunk}}, {{closed}}, mine AS (
    SELECT r.id
      FROM closed c
     CROSS JOIN LATERAL (SELECT r.id FROM millrace.job_run r WHERE r.owner = c.id AND r.id <> ALL ({{skipped_ids}})
                          LIMIT greatest(c.most / 200, 1) FOR UPDATE) r
), parts AS (
    DELETE FROM millrace.import_part p USING mine WHERE p.run_id = mine.id AND {{unless_skipped}}
), gone AS (
    DELETE FROM millrace.job_run r USING mine WHERE r.id = mine.id AND {{unless_skipped}} RETURNING r.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       {{ids_with_this}} AS cursor,
       (SELECT count(*) FROM mine) >= greatest(k.most / 200, 1) AS more,
       {{this_id}} AS unit
  FROM k;

-- name: removal__refreshTokens
WITH {{chunk}}, {{closed}}, mine AS (
    SELECT t.id
      FROM closed c
     CROSS JOIN LATERAL (SELECT t.id
                           FROM millrace.session s
                           JOIN millrace.refresh_token t ON t.session_id = s.id
                          WHERE s.user_id = c.id AND t.id <> ALL ({{skipped_ids}})
                          LIMIT c.most
                            FOR UPDATE OF t SKIP LOCKED) t
), gone AS (
    DELETE FROM millrace.refresh_token t USING mine WHERE t.id = mine.id AND {{unless_skipped}} RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       {{ids_with_this}} AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       {{this_id}} AS unit
  FROM k;

-- name: removal__sessions
WITH {{chunk}}, {{closed}}, mine AS (
    SELECT s.id
      FROM closed c
     CROSS JOIN LATERAL (SELECT s.id FROM millrace.session s WHERE s.user_id = c.id AND s.id <> ALL ({{skipped_ids}}) LIMIT c.most
                            FOR UPDATE SKIP LOCKED) s
), gone AS (
    DELETE FROM millrace.session s USING mine WHERE s.id = mine.id AND {{unless_skipped}} RETURNING s.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       {{ids_with_this}} AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       {{this_id}} AS unit
  FROM k;

-- name: removal__idempotencyKeys
WITH {{chunk}}, {{closed}}, mine AS (
    SELECT i.user_id, i.key, i.created_at
      FROM closed c
     CROSS JOIN LATERAL (SELECT i.user_id, i.key, i.created_at
                           FROM millrace.idempotency_key i
                          WHERE i.user_id = c.id AND i.key > coalesce(c.cursor, '')
                          ORDER BY i.key
                          LIMIT c.most
                            FOR UPDATE SKIP LOCKED) i
), gone AS (
    DELETE FROM millrace.idempotency_key i USING mine WHERE i.user_id = mine.user_id AND i.key = mine.key AND {{unless_skipped}} RETURNING i.key
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT mine.key FROM mine ORDER BY mine.key DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       CASE WHEN k.skip
            THEN (SELECT mine.user_id || '/' || to_char(mine.created_at AT TIME ZONE 'UTC', {{exact_instant}}) FROM mine LIMIT 1) END AS unit
  FROM k;

-- name: removal__accounts
-- Last of all. What a request that was under way has left behind is for another run. What this run skipped is not: that would be
-- refused again, so that the daily `overdue` asks for it.
WITH {{chunk}}, {{closed}}, gone AS (
    SELECT c.id, millrace.forget_account(c.id) AS is_forgotten FROM closed c WHERE {{unless_skipped}}
), again AS (
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, run_after, args)
    SELECT millrace.uuid_v7(), 'removal', 'user', false, now() + interval '1 second', jsonb_build_object('account', gone.id)
      FROM gone
     WHERE NOT gone.is_forgotten AND (SELECT k.skipped FROM k) = 0
)
SELECT (SELECT count(*) FROM gone WHERE gone.is_forgotten) AS rows, NULL::text AS cursor, false AS more,
       CASE WHEN k.skip THEN (SELECT c.id::text FROM closed c) END AS unit
  FROM k;

-- name: removal__overdue
-- Housekeeping does this as well.
-- A run that was started by hand, or by the clock, queues one for each account whose own is over: dead, or cancelled.
WITH {{chunk}}, left_behind AS (
    SELECT a.id, a.closed_at
      FROM k
     CROSS JOIN LATERAL (SELECT a.id, a.closed_at
                           FROM millrace.account a
                          WHERE a.closed_at IS NOT NULL
                            AND (a.closed_at, a.id) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                       coalesce(split_part(k.cursor, '/', 2)::uuid, {{least_id}}))
                          ORDER BY a.closed_at, a.id
                          LIMIT k.most) a
     WHERE k.args -> 'account' IS NULL
), queued AS (
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, args)
    SELECT millrace.uuid_v7(), 'removal', 'user', false, jsonb_build_object('account', l.id)
      FROM left_behind l
     WHERE {{unless_skipped}}
       AND l.id::text <> ALL (ARRAY(SELECT r.args ->> 'account' FROM millrace.job_run r
                                     WHERE r.job = 'removal' AND r.finished_at IS NULL AND r.args ? 'account'))
    RETURNING id
)
SELECT (SELECT count(*) FROM queued) AS rows,
       (SELECT to_char(l.closed_at AT TIME ZONE 'UTC', {{exact_instant}}) || '/' || l.id
          FROM left_behind l ORDER BY l.closed_at DESC, l.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM left_behind) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT l.id::text FROM left_behind l LIMIT 1) END AS unit
  FROM k;
