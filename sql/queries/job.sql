-- Statements of jobs and their runs: what administrators see and do, and programs by API keys: k.api_key is there in place of
-- k.user_id then, and was verified by the gateway. What a key is narrowed to is in k.only_jobs. Statements that work on runs are
-- in run.sql.

-- part: is_nobody
u.id IS NULL AND k.api_key IS NULL

-- Nobody holds a schedule: no scheduler is there, or it rests. Asked once for a statement, not for each row.

-- part: unattended
NOT EXISTS (SELECT FROM millrace.job j CROSS JOIN LATERAL jsonb_each_text(j.holders) h WHERE h.value::timestamptz > now())

-- part: renew_key
ON CONFLICT (user_id, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
     WHERE i.created_at < now() - interval '1 day'
    RETURNING i.user_id, i.key

-- part: run
r.id, r.job, r.trigger, r.state, r.attempt, r.max_attempts AS "maxAttempts", r.scheduled_for AS "scheduledFor",
       r.created_at AS "createdAt", r.started_at AS "startedAt", r.finished_at AS "finishedAt",
       r.done AS "progress.done", r.total AS "progress.total", nullif(r.result, '{}') AS result, r.error,
       CASE WHEN r.state = 'queued' AND {{unattended}} THEN 'scheduler' END AS "waitsFor"

-- part: instant
'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'

-- part: job
j.name, j.schedule, j.timezone, CASE WHEN j.name IS NOT NULL THEN j.schedule IS NOT NULL END AS enabled, j.next_at AS "nextAt", last.run AS "lastRun"

-- part: last_run
LEFT JOIN LATERAL (
      SELECT json_strip_nulls(json_build_object(
                 'id', r.id, 'job', r.job, 'trigger', r.trigger, 'state', r.state, 'attempt', r.attempt,
                 'maxAttempts', r.max_attempts,
                 'scheduledFor', to_char(r.scheduled_for AT TIME ZONE 'UTC', {{instant}}),
                 'createdAt', to_char(r.created_at AT TIME ZONE 'UTC', {{instant}}),
                 'startedAt', to_char(r.started_at AT TIME ZONE 'UTC', {{instant}}),
                 'finishedAt', to_char(r.finished_at AT TIME ZONE 'UTC', {{instant}}),
                 'progress', json_build_object('done', r.done, 'total', r.total), 'error', r.error,
                 'waitsFor', CASE WHEN r.state = 'queued' AND {{unattended}} THEN 'scheduler' END)) AS run
        FROM millrace.job_run r
       WHERE r.job = j.name
       ORDER BY r.id DESC
       LIMIT 1) last ON true

-- name: job_list
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 END AS "$status", {{job}}
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k (user_id, api_key, only_jobs, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.job j ON NOT ({{is_nobody}}) AND (k.only_jobs IS NULL OR j.name = ANY (k.only_jobs::text[]))
  {{last_run}}
 ORDER BY k.n, j.name;

-- name: job_get
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 WHEN j.name IS NULL THEN 404 END AS "$status", {{job}}
  FROM unnest($1::uuid[], $2::text[], $3::uuid[]) WITH ORDINALITY AS k (user_id, job, api_key, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.job j ON j.name = k.job
  {{last_run}};

-- name: job_run_list
-- One row more than asked for says that there is a rest.
SELECT k.n,
       CASE WHEN {{is_nobody}} THEN 401 WHEN j.name IS NULL THEN 404 END AS "$status",
       CASE WHEN r.more THEN replace(r.id::text, '-', '') END AS "$next",
       {{run}}
  FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::uuid[])
       WITH ORDINALITY AS k (user_id, job, max_rows, cursor, api_key, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.job j ON j.name = k.job AND NOT ({{is_nobody}})
  LEFT JOIN LATERAL (
      SELECT page.*, row_number() OVER (ORDER BY page.id DESC) AS place, lead(true) OVER (ORDER BY page.id DESC) AS more
        FROM (SELECT *
                FROM millrace.job_run
               WHERE job = j.name AND id < coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
               ORDER BY id DESC
               LIMIT k.max_rows + 1) page
  ) r ON r.place <= k.max_rows
 ORDER BY k.n, r.place;

-- part: may_see
CASE WHEN k.api_key IS NOT NULL THEN k.only_jobs IS NULL OR r.job = ANY (k.only_jobs::text[])
                                         WHEN u.id IS NOT NULL THEN k.is_admin OR r.owner = u.id END

-- name: job_run_create
-- A key that is new (or older than a day) is kept with the answer, in the transaction that queues the run.
WITH k AS (
    SELECT k.*, j.name AS known, j.manual, j.exclusive, coalesce(u.id, k.api_key) AS caller, j.manual AND NOT ({{is_nobody}}) AS good
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[])
           WITH ORDINALITY AS k (id, user_id, job, traceparent, key, fingerprint, api_key, n)
      LEFT JOIN millrace.job j ON j.name = k.job
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), claimed AS (
    INSERT INTO millrace.idempotency_key AS i (user_id, key, fingerprint, answer)
    SELECT k.caller, k.key, k.fingerprint,
           jsonb_build_object('id', k.id, 'job', k.job, 'trigger', 'manual', 'state', 'queued', 'attempt', 0, 'max_attempts', 5,
                              'created_at', now(), 'done', 0, 'result', '{}'::jsonb)
      FROM k
     WHERE k.good AND k.key IS NOT NULL
     ORDER BY k.caller, k.key
    {{renew_key}}
), made AS (
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, traceparent)
    SELECT k.id, k.job, 'manual', k.exclusive, k.traceparent
      FROM k
      LEFT JOIN claimed ON claimed.user_id = k.caller AND claimed.key = k.key
     WHERE k.good AND (k.key IS NULL OR claimed.key IS NOT NULL)
        ON CONFLICT (id) DO NOTHING
    RETURNING *
)
SELECT k.n,
       CASE WHEN k.caller IS NULL THEN 401 WHEN k.known IS NULL THEN 404 WHEN NOT k.manual THEN 409
            WHEN first.fingerprint <> k.fingerprint THEN 422 END AS "$status",
       CASE WHEN NOT k.manual THEN 'job' END AS "$field",
       CASE WHEN NOT k.manual THEN 'is started by an upload, not by hand' END AS "$message",
       {{run}}
  FROM k
  LEFT JOIN claimed ON claimed.user_id = k.caller AND claimed.key = k.key
  LEFT JOIN millrace.idempotency_key first ON first.user_id = k.caller AND first.key = k.key AND claimed.key IS NULL
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = k.id
                     UNION ALL
                     SELECT * FROM millrace.job_run WHERE job_run.id = k.id AND k.key IS NULL
                     UNION ALL
                     SELECT (jsonb_populate_record(NULL::millrace.job_run, first.answer)).* WHERE first.fingerprint = k.fingerprint) r ON true
 WHERE r.id IS NOT NULL OR k.good IS NOT TRUE OR first.fingerprint <> k.fingerprint;

-- name: job_run_get
-- For how long a client waits is the gateway's affair.
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 WHEN r.id IS NULL THEN 404 END AS "$status",
       r.state NOT IN ('succeeded', 'dead', 'cancelled') AS "$pending", {{run}}
  FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::uuid[], $5::text[], $6::bigint[])
       WITH ORDINALITY AS k (run_id, user_id, is_admin, api_key, only_jobs, wait, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (SELECT * FROM millrace.every_run r WHERE r.id = k.run_id) r ON {{may_see}};

-- name: job_run_cancel
-- One that is not at work is cancelled at once; one that is, by its owner after the chunk in hand.
WITH k AS (
    SELECT k.*, {{is_nobody}} AS is_nobody
      FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::uuid[], $5::text[])
           WITH ORDINALITY AS k (run_id, user_id, is_admin, api_key, only_jobs, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), locked AS (
    SELECT r.id, r.state IN ('queued', 'failed', 'running') AS live
      FROM millrace.job_run r
      JOIN k ON r.id = k.run_id
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
     WHERE {{may_see}}
     ORDER BY r.id
       FOR NO KEY UPDATE OF r
), changed AS (
    UPDATE millrace.job_run r
       SET cancel_requested = true,
           state            = CASE WHEN r.state = 'running' THEN r.state ELSE 'cancelled' END,
           finished_at      = CASE WHEN r.state <> 'running' THEN now() END
      FROM locked
     WHERE r.id = locked.id AND locked.live
    RETURNING r.*
)
SELECT k.n,
       CASE WHEN k.is_nobody THEN 401 WHEN locked.id IS NULL THEN 404 WHEN NOT locked.live THEN 409 END AS "$status",
       CASE WHEN NOT locked.live THEN 'state' END AS "$field",
       CASE WHEN NOT locked.live THEN 'is final already' END AS "$message",
       {{run}}
  FROM k
  LEFT JOIN locked ON locked.id = k.run_id
  LEFT JOIN changed r ON r.id = k.run_id;

-- name: import_run
-- The parts of the body came ahead; without one of them there is nothing to import. A key that is new (or older than a day) is
-- kept with the answer. One that is there already answers as it did the first time, and the parts that came again are dropped.
--
-- The first parts are held until the run is there: who looks for broken uploads passes them by meanwhile, or has deleted them, which
-- the lock notices although the snapshot does not.
WITH held AS (
    SELECT p.run_id
      FROM (SELECT i.id FROM unnest($1::uuid[]) AS i (id) ORDER BY i.id) i
     CROSS JOIN LATERAL (SELECT p.run_id FROM millrace.import_part p WHERE p.run_id = i.id AND p.part = 0 FOR UPDATE) p
), k AS (
    SELECT k.*, u.id AS caller,
           (SELECT count(*) FROM millrace.import_part p WHERE p.run_id = k.id) = k.parts AND (k.parts = 0 OR k.id IN (SELECT h.run_id FROM held h)) AS whole
      FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[])
           WITH ORDINALITY AS k (id, user_id, is_admin, operation, format, parts, lines, traceparent, key, fingerprint, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), claimed AS (
    INSERT INTO millrace.idempotency_key AS i (user_id, key, fingerprint, answer)
    SELECT k.user_id, k.key, k.fingerprint,
           jsonb_build_object('id', k.id, 'job', 'import', 'trigger', 'user', 'state', 'queued', 'attempt', 0, 'max_attempts', 5,
                              'created_at', now(), 'done', 0, 'total', k.lines, 'result', '{}'::jsonb)
      FROM k
     WHERE k.caller IS NOT NULL AND k.whole AND k.key IS NOT NULL
     ORDER BY k.user_id, k.key
    {{renew_key}}
), made AS (
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, owner, total, args, traceparent)
    SELECT k.id, 'import', 'user', false, k.user_id, k.lines, jsonb_build_object('operation', k.operation, 'admin', k.is_admin, 'format', k.format, 'parts', k.parts), k.traceparent
      FROM k
      LEFT JOIN claimed ON claimed.user_id = k.user_id AND claimed.key = k.key
     WHERE k.caller IS NOT NULL AND k.whole AND (k.key IS NULL OR claimed.key IS NOT NULL)
        ON CONFLICT (id) DO NOTHING
    RETURNING *
), asked AS (
    SELECT k.*, first.fingerprint = k.fingerprint AS again, first.answer
      FROM k
      LEFT JOIN claimed ON claimed.user_id = k.user_id AND claimed.key = k.key
      LEFT JOIN millrace.idempotency_key first ON first.user_id = k.user_id AND first.key = k.key AND claimed.key IS NULL
), dropped AS (
    DELETE FROM millrace.import_part p USING asked a WHERE p.run_id = a.id AND a.answer ->> 'id' <> a.id::text
)
SELECT a.n,
       CASE WHEN a.caller IS NULL THEN 401 WHEN NOT a.again THEN 422 WHEN r.id IS NULL THEN 503 END AS "$status",
       {{run}}
  FROM asked a
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = a.id
                     UNION ALL
                     SELECT * FROM millrace.job_run WHERE job_run.id = a.id AND a.key IS NULL
                     UNION ALL
                     SELECT (jsonb_populate_record(NULL::millrace.job_run, a.answer)).* WHERE a.again) r ON true
 WHERE r.id IS NOT NULL OR a.caller IS NULL OR NOT a.whole OR NOT a.again;

-- name: import_part
WITH k AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) WITH ORDINALITY AS k (run_id, part, bytes, n)
), kept AS (
    INSERT INTO millrace.import_part (run_id, part, bytes) SELECT run_id, part, bytes FROM k ON CONFLICT DO NOTHING
)
SELECT k.n FROM k;

-- name: import_beat
-- The time of the first part says when the upload was known to be under way.
WITH k AS (
    SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS k (run_id, n)
), beaten AS (
    UPDATE millrace.import_part p SET created_at = now() FROM k WHERE p.run_id = k.run_id AND p.part = 0
)
SELECT k.n FROM k;

-- name: import_drop
-- Behind the parts in the order of their key. A run that was queued all the same keeps them.
WITH k AS (
    SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS k (run_id, n)
), gone AS (
    DELETE FROM millrace.import_part p USING k WHERE p.run_id = k.run_id AND NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.id = k.run_id)
)
SELECT k.n FROM k;
