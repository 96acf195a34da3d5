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

-- Columns of millrace.every_run, called r. What a worker says of its progress is its own affair; what of it is a number is told.

-- part: run
r.id, r.job, r.trigger, r.state, r.attempt, r.max_attempts AS "maxAttempts", r.scheduled_for AS "scheduledFor",
       r.created_at AS "createdAt", r.started_at AS "startedAt", r.finished_at AS "finishedAt",
       CASE WHEN r.id IS NOT NULL THEN coalesce(r.done, {{done}}, 0) END AS "progress.done", coalesce(r.total, {{total}}) AS "progress.total",
       r.result, r.error, {{waits_for}} AS "waitsFor",
       CASE WHEN NOT r.is_sql THEN r.due_at END AS "dueAt", nullif(r.key, '') AS key, r.priority, CASE WHEN NOT r.is_sql THEN r.args END AS args,
       NULL::boolean AS duplicate

-- part: done
CASE WHEN jsonb_typeof(r.progress -> 'done') = 'number' THEN least(greatest((r.progress ->> 'done')::numeric, 0), 9e18)::bigint END

-- part: total
CASE WHEN jsonb_typeof(r.progress -> 'total') = 'number' THEN least(greatest((r.progress ->> 'total')::numeric, 0), 9e18)::bigint END

-- Runs of pull wait for workers, not for a scheduler.

-- part: waits_for
CASE WHEN r.state = 'queued' AND {{unattended}} AND (r.is_sql OR (SELECT j.work FROM millrace.job j WHERE j.name = r.job) = 'push') THEN 'scheduler' END

-- A run as import_run and its like make it, of millrace.job_run.

-- part: sql_run
r.id, r.job, r.trigger, r.state, r.attempt, r.max_attempts AS "maxAttempts", r.scheduled_for AS "scheduledFor",
       r.created_at AS "createdAt", r.started_at AS "startedAt", r.finished_at AS "finishedAt",
       r.done AS "progress.done", r.total AS "progress.total", nullif(r.result, '{}') AS result, r.error,
       CASE WHEN r.state = 'queued' AND {{unattended}} THEN 'scheduler' END AS "waitsFor",
       NULL::timestamptz AS "dueAt", NULL::text AS key, NULL::integer AS priority, NULL::jsonb AS args, NULL::boolean AS duplicate

-- part: instant
'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'

-- name: job_run_list
-- One row more than asked for says that there is a rest. Each store is walked for its newest: of the view of both, the server would
-- read and sort all runs of the job.
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
        FROM (SELECT e.*
                FROM (SELECT *
                        FROM (SELECT r.id
                                FROM millrace.job_run r
                               WHERE r.job = ANY (ARRAY[j.name]) AND r.id < coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                               ORDER BY r.job, r.id DESC
                               LIMIT k.max_rows + 1) by_sql
                       UNION ALL
                      SELECT *
                        FROM (SELECT r.id
                                FROM millrace.run r
                               WHERE (r.job, r.id) < (j.name, coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                                 AND (r.job, r.id) >= (j.name, '00000000-0000-0000-0000-000000000000')
                               ORDER BY r.job DESC, r.id DESC
                               LIMIT k.max_rows + 1) by_worker
                       ORDER BY id DESC
                       LIMIT k.max_rows + 1) newest
                JOIN millrace.every_run e ON e.id = newest.id) page
  ) r ON r.place <= k.max_rows
 ORDER BY k.n, r.place;

-- A run of `bulk` is the affair of whoever is there for the job that it is done to.

-- part: may_see
CASE WHEN k.api_key IS NOT NULL THEN k.only_jobs IS NULL OR CASE r.job WHEN 'bulk' THEN r.args ->> 'job' ELSE r.job END = ANY (k.only_jobs::text[])
                                         WHEN u.id IS NOT NULL THEN k.is_admin OR r.owner = u.id END

-- What became of a message that queues runs: the statuses are those of millrace.run_problems, too.

-- part: queue_status
CASE WHEN k.caller IS NULL THEN 401 WHEN k.known IS NULL THEN 404 WHEN k.refused IS NOT NULL THEN 409
            WHEN i.fingerprint <> k.fingerprint THEN 422 WHEN q.status = 400 THEN 400 WHEN q.status IS NOT NULL THEN 409 END

-- part: queue_code
CASE WHEN q.message IN ('is required', 'is not an argument of the job') THEN CASE q.message WHEN 'is required' THEN 'required' ELSE 'unknown' END
            WHEN q.status = 400 THEN 'rule' END

-- A key that is there is held until the run is, so that nobody else renews it.

-- part: first_answers
SELECT i.*
      FROM (SELECT DISTINCT k.caller, k.idempotency FROM k WHERE k.idempotency IS NOT NULL AND k.known IS NOT NULL AND k.refused IS NULL) d
      JOIN millrace.idempotency_key i ON i.user_id = d.caller AND i.key = d.idempotency
     ORDER BY i.user_id, i.key
       FOR NO KEY UPDATE OF i

-- part: goes
k.caller IS NOT NULL AND k.known IS NOT NULL AND k.refused IS NULL AND (i.key IS NULL OR i.created_at < now() - interval '1 day')

-- What is refused by now may have been queued before: who repeats a request is answered as the first time.

-- part: queuer
SELECT k.*, j.name AS known, coalesce(u.id, k.api_key) AS caller,
           CASE WHEN j.removed_at IS NULL AND (j.work <> 'sql' OR j.manual) THEN NULL
                WHEN (SELECT true
                        FROM millrace.idempotency_key i
                       WHERE i.user_id = coalesce(u.id, k.api_key) AND i.key = k.idempotency AND i.created_at >= now() - interval '1 day') THEN NULL
                WHEN j.removed_at IS NOT NULL THEN 'was removed: nothing is queued for it any more'
                WHEN j.name IS NOT NULL THEN 'is started by an upload, not by hand' END AS refused
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::timestamptz[], $10::bigint[], $11::text[],
                  $12::text[], $13::text[])
           WITH ORDINALITY AS k (message_id, user_id, job, traceparent, idempotency, fingerprint, api_key, args, run_at, priority, key, unique_key, runs, n)
      LEFT JOIN millrace.job j ON j.name = k.job
      LEFT JOIN millrace.app_user u ON u.id = k.user_id

-- A run is plain where its job wants no more than that it is kept: no rules for arguments, no unique key. What a client may write for a run
-- the gateway has checked; the size is that of jsonb, which is larger than the body.

-- part: is_plain
j.removed_at IS NULL AND j.work <> 'sql' AND j.args IS NULL AND j.unique_by IS NULL

-- Tells runs of one batch apart, and from those of every other: millrace.run_id makes an id of both.

-- part: start
SELECT (extract(epoch FROM clock_timestamp()) * 4096000)::bigint AS tick, uuid_hash_extended(gen_random_uuid(), 0) AS chance, session_user::text AS me

-- Queues the runs of plain, all of them by three statements.

-- part: queue_plain
made AS (
    INSERT INTO millrace.run (id, job, key, priority, args, trigger, due_at, turn, max_attempts, traceparent, created_by)
    SELECT p.id, p.job, coalesce(p.key, ''), p.points, p.args, 'manual', p.due, p.due - p.points * interval '1 minute', p.attempts, p.traceparent, p.me
      FROM plain p
), readied AS (
    INSERT INTO millrace.ready (job, key, turn, id)
    SELECT p.job, coalesce(p.key, ''), p.due - p.points * interval '1 minute', p.id FROM plain p WHERE p.due <= now()
), delayed AS (
    INSERT INTO millrace.later (at, id, job, key, turn)
    SELECT p.due, p.id, p.job, coalesce(p.key, ''), p.due - p.points * interval '1 minute' FROM plain p WHERE p.due > now()
), woken AS MATERIALIZED (
    SELECT {{told_now}} FROM (SELECT p.job FROM plain p WHERE p.due < now() + interval '1 second' LIMIT 1) k
)

-- Wakes those that wait for runs of job k.job, unless somebody was woken in this hundredth of a second: to call the function, which looks as well, takes
-- as long as three runs. Never NULL.

-- part: told_now
CASE WHEN (extract(epoch FROM clock_timestamp()) * 100)::bigint = pg_sequence_last_value('millrace.wake') THEN false
            ELSE millrace.tell_ready(k.job) IS NULL END

-- A run that was queued now, as millrace.queue_and_tell says in q. Of one that was not, nobody reads the columns. A duplicate is here where
-- the statement does not see its run: a message of the same batch has just queued it, or a transaction that was waited for. Of
-- that nothing is known but its id.

-- part: queued_run
q.id, q.job, 'manual' AS trigger, 'queued' AS state, 0 AS attempt, q.max_attempts AS "maxAttempts", NULL::timestamptz AS "scheduledFor",
       now() AS "createdAt", NULL::timestamptz AS "startedAt", NULL::timestamptz AS "finishedAt", 0::bigint AS "progress.done",
       NULL::bigint AS "progress.total", NULL::jsonb AS result, NULL::text AS error,
       CASE WHEN q.work <> 'pull' AND {{unattended}} THEN 'scheduler' END AS "waitsFor",
       CASE WHEN NOT q.duplicate THEN q.due_at END AS "dueAt", CASE WHEN NOT q.duplicate THEN nullif(q.key, '') END AS key,
       CASE WHEN NOT q.duplicate THEN q.priority END AS priority, NULL::jsonb AS args, nullif(q.duplicate, false) AS duplicate

-- One that was there, as r of millrace.every_run. Its arguments are those of whoever queued it.

-- part: queued_before
r.id, r.job, r.trigger, r.state, r.attempt, r.max_attempts, r.scheduled_for, r.created_at, r.started_at, r.finished_at, coalesce({{done}}, 0), {{total}},
       r.result, r.error, {{waits_for}}, r.due_at, nullif(r.key, ''), r.priority, r.args, true

-- name: job_run_create
-- What is plain and due now, as most is, is queued and answered by few steps: PostgreSQL gets every step of a statement ready, also those
-- that nothing comes to, and with all that may become of a message that took it as long as eight runs. So a message that has runAt or
-- uniqueKey is for job_run_create__any, one with an Idempotency-Key for job_run_create__once, an array for job_run_create__many; and what is
-- left is the affair of one function, which is not called where nothing is: messages of nobody, and those for another job than a plain
-- one. The rows of a message are side by side, but not in the order of messages.
WITH kind AS MATERIALIZED (
    SELECT j.name, j.attempts, j.priority, CASE WHEN j.work <> 'pull' AND millrace.is_unattended() THEN 'scheduler' END AS waits_for
      FROM millrace.job j
     WHERE j.name = ANY ($3::text[]) AND {{is_plain}}
), k AS MATERIALIZED (
    SELECT k.n::integer AS n, k.traceparent, coalesce(k.args, '{}')::jsonb AS args, coalesce(k.key, '') AS key, j.name AS job, j.waits_for, j.attempts,
           coalesce(k.priority::integer, j.priority) AS points, now() - coalesce(k.priority::integer, j.priority) * interval '1 minute' AS turn,
           millrace.run_id(s.tick + k.n, hashint8extended(k.n, s.chance)) AS id, s.me,
           j.name IS NOT NULL AND (k.api_key IS NOT NULL OR (SELECT true FROM millrace.app_user u WHERE u.id = k.user_id))
               AND coalesce(octet_length(k.args), 0) <= 65536 AS is_plain
      FROM ({{start}} WHERE num_nonnulls($1::uuid[], $5::text[], $6::text[], $9::timestamptz[], $12::text[], $13::text[]) > 0) s -- not asked for
     CROSS JOIN unnest($2::uuid[], $3::text[], $4::text[], $7::uuid[], $8::text[], $10::bigint[], $11::text[])
                WITH ORDINALITY AS k (user_id, job, traceparent, api_key, args, priority, key, n)
      LEFT JOIN kind j ON j.name = k.job
), made AS (
    INSERT INTO millrace.run (id, job, key, priority, args, trigger, due_at, turn, max_attempts, traceparent, created_by)
    SELECT k.id, k.job, k.key, k.points, k.args, 'manual', now(), k.turn, k.attempts, k.traceparent, k.me FROM k WHERE k.is_plain
), readied AS (
    INSERT INTO millrace.ready (job, key, turn, id) SELECT k.job, k.key, k.turn, k.id FROM k WHERE k.is_plain
)
SELECT k.n, NULL::integer AS "$status", NULL::text AS "$field", NULL::text AS "$code", NULL::text AS "$message",
       k.id, k.job, 'manual' AS trigger, 'queued' AS state, 0 AS attempt, k.attempts AS "maxAttempts", NULL::timestamptz AS "scheduledFor",
       now() AS "createdAt", NULL::timestamptz AS "startedAt", NULL::timestamptz AS "finishedAt", 0::bigint AS "progress.done",
       NULL::bigint AS "progress.total", NULL::jsonb AS result, NULL::text AS error, k.waits_for AS "waitsFor", now() AS "dueAt",
       nullif(k.key, '') AS key, k.points AS priority, NULL::jsonb AS args, NULL::boolean AS duplicate
  FROM k
 WHERE k.is_plain AND (SELECT {{told_now}} FROM k WHERE k.is_plain LIMIT 1) IS NOT NULL
 UNION ALL
SELECT q.*
  FROM millrace.queue_others((SELECT array_agg(k.n) FROM k WHERE k.is_plain IS NOT TRUE), $2, $3, $4, $7, $8, $10, $11) q;

-- name: job_run_create__any
-- Messages with runAt or uniqueKey. What is plain is queued here: one list, from which the tables are filled and the answers are made. The
-- rest is the affair of one call of millrace.queue_and_tell. Nobody, as a caller, queues for no job. What is asked of a table for each
-- message is no EXISTS: of a small table the server would plan to read all ids once, and do so when it has become large.
WITH start AS MATERIALIZED (
    {{start}}
), k AS MATERIALIZED (
    SELECT k.n::integer AS n, k.job, k.traceparent, coalesce(k.args, '{}')::jsonb AS args, k.run_at, k.priority::integer AS priority, k.key, k.unique_key,
           j.work, j.attempts, coalesce(k.priority::integer, j.priority) AS points, greatest(k.run_at, now()) AS due,
           {{is_plain}} AND k.unique_key IS NULL AND coalesce(octet_length(k.args), 0) <= 65536 AS is_plain,
           millrace.run_id(s.tick + k.n, hashint8extended(k.n, s.chance)) AS id, s.me
      FROM start s
     CROSS JOIN (SELECT k.n, CASE WHEN k.api_key IS NOT NULL OR (SELECT true FROM millrace.app_user u WHERE u.id = k.user_id) THEN k.job END AS job,
                        k.traceparent, k.args, k.run_at, k.priority, k.key, k.unique_key
                   FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::timestamptz[], $10::bigint[], $11::text[],
                               $12::text[], $13::text[])
                        WITH ORDINALITY AS k (message_id, user_id, job, traceparent, idempotency, fingerprint, api_key, args, run_at, priority, key, unique_key, runs, n)) k
      LEFT JOIN millrace.job j ON j.name = k.job
), plain AS NOT MATERIALIZED (
    SELECT * FROM k WHERE k.is_plain
), {{queue_plain}}, q AS MATERIALIZED (
    SELECT q.*
      FROM (SELECT array_agg(k.n) AS n, array_agg(k.job) AS job, array_agg(k.args) AS args, array_agg(k.run_at) AS run_at,
                   array_agg(k.priority) AS priority, array_agg(k.key) AS key, array_agg(k.unique_key) AS unique_key,
                   array_agg(k.traceparent) AS traceparent, array_agg('manual'::text) AS trigger
              FROM k
             WHERE k.is_plain IS NOT TRUE
            HAVING count(*) > 0) k
     CROSS JOIN LATERAL millrace.queue_and_tell(k.n, k.job, k.args, k.run_at, k.priority, k.key, k.unique_key, k.traceparent, k.trigger, NULL) q
)
SELECT q.n, NULL::integer AS "$status", NULL::text AS "$field", NULL::text AS "$code", NULL::text AS "$message",
       {{queued_run}}
  FROM (SELECT p.n, p.id, p.job, p.work, p.attempts AS max_attempts, p.due AS due_at, p.key, p.points AS priority, false AS duplicate
          FROM plain p) q
 WHERE (SELECT count(*) FROM woken) >= 0
 UNION ALL
SELECT q.n, CASE WHEN q.job IS NULL THEN 401 WHEN q.status = 404 THEN 404 WHEN q.status = 400 THEN 400 WHEN q.status IS NOT NULL THEN 409 END,
       CASE WHEN q.status <> 404 THEN q.field END, {{queue_code}}, CASE WHEN q.status <> 404 THEN q.message END,
       {{queued_run}}
  FROM q
 WHERE NOT q.duplicate OR (SELECT true FROM millrace.run r WHERE r.id = q.id) IS NULL
 UNION ALL
SELECT q.n, NULL, NULL, NULL, NULL, {{queued_before}}
  FROM q
  JOIN millrace.every_run r ON r.id = q.id AND NOT r.is_sql
 WHERE q.duplicate
 ORDER BY 1, 3;

-- name: job_run_create__once
-- Where messages have an Idempotency-Key. An answer is kept under it in the transaction that queues; who finds that somebody else was
-- faster fails on the primary key, queues nothing, and finds the answer.
WITH k AS MATERIALIZED (
    {{queuer}}
), i AS MATERIALIZED (
    {{first_answers}}
), go AS MATERIALIZED (
    SELECT k.*, i.key IS NOT NULL AS renews FROM k LEFT JOIN i ON i.user_id = k.caller AND i.key = k.idempotency WHERE {{goes}}
), q AS MATERIALIZED (
    SELECT q.*
      FROM (SELECT array_agg(g.n::integer) AS n, array_agg(g.job) AS job, array_agg(g.args::jsonb) AS args, array_agg(g.run_at) AS run_at,
                   array_agg(g.priority::integer) AS priority, array_agg(g.key) AS key, array_agg(g.unique_key) AS unique_key,
                   array_agg(g.traceparent) AS traceparent, array_agg('manual'::text) AS trigger
              FROM go g
            HAVING count(*) > 0) g
     CROSS JOIN LATERAL millrace.queue_and_tell(g.n, g.job, g.args, g.run_at, g.priority, g.key, g.unique_key, g.traceparent, g.trigger, NULL) q
), answer AS (
    SELECT g.n, g.caller, g.idempotency, g.fingerprint, g.renews, q.id, q.duplicate,
           jsonb_build_object('id', q.id, 'job', q.job, 'max_attempts', q.max_attempts, 'created_at', now(), 'due_at', q.due_at, 'key', q.key,
                              'priority', q.priority, 'work', q.work, 'duplicate', q.duplicate) AS told
      FROM go g
      JOIN q ON q.n = g.n AND q.status IS NULL
), kept AS (
    INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer)
    SELECT a.caller, a.idempotency, a.fingerprint, a.told FROM answer a WHERE a.idempotency IS NOT NULL AND NOT a.renews ORDER BY a.caller, a.idempotency
), renewed AS (
    UPDATE millrace.idempotency_key i
       SET fingerprint = a.fingerprint, answer = a.told, created_at = now()
      FROM answer a
     WHERE a.renews AND i.user_id = a.caller AND i.key = a.idempotency
)
SELECT k.n, {{queue_status}} AS "$status",
       CASE WHEN k.refused IS NOT NULL THEN 'job' ELSE q.field END AS "$field",
       CASE WHEN k.refused IS NULL THEN {{queue_code}} END AS "$code",
       coalesce(k.refused, q.message) AS "$message",
       coalesce(r.id, t.id) AS id, coalesce(r.job, t.job) AS job, coalesce(r.trigger, CASE WHEN t.id IS NOT NULL THEN 'manual' END) AS trigger,
       coalesce(r.state, CASE WHEN t.id IS NOT NULL THEN 'queued' END) AS state, coalesce(r.attempt, CASE WHEN t.id IS NOT NULL THEN 0 END) AS attempt,
       coalesce(r.max_attempts, t.max_attempts) AS "maxAttempts", r.scheduled_for AS "scheduledFor", coalesce(r.created_at, t.created_at) AS "createdAt",
       r.started_at AS "startedAt", r.finished_at AS "finishedAt",
       CASE WHEN coalesce(r.id, t.id) IS NOT NULL THEN coalesce({{done}}, 0) END AS "progress.done", {{total}} AS "progress.total", r.result, r.error,
       CASE WHEN coalesce(r.state, 'queued') = 'queued' AND t.id IS NOT NULL AND t.work IS DISTINCT FROM 'pull' AND {{unattended}} THEN 'scheduler' END AS "waitsFor",
       coalesce(r.due_at, t.due_at) AS "dueAt", nullif(coalesce(r.key, t.key), '') AS key, coalesce(r.priority, t.priority) AS priority, r.args,
       nullif(t.duplicate, false) AS duplicate
  FROM k
  LEFT JOIN i ON i.user_id = k.caller AND i.key = k.idempotency AND i.created_at >= now() - interval '1 day'
  LEFT JOIN q ON q.n = k.n
  LEFT JOIN answer a ON a.n = k.n
  LEFT JOIN LATERAL jsonb_to_record(CASE WHEN i.fingerprint = k.fingerprint THEN i.answer ELSE a.told END)
            AS t (id uuid, job text, max_attempts integer, created_at timestamptz, due_at timestamptz, key text, priority integer, work text, duplicate boolean) ON true
  LEFT JOIN LATERAL (SELECT r.* FROM millrace.every_run r WHERE a.duplicate AND r.id = a.id AND NOT r.is_sql) r ON true
 ORDER BY k.n, q.field;

-- name: job_run_create__many
-- An array is queued as a whole or not at all. What is plain is queued here, as in job_run_create; nothing is looked at for each of its
-- runs. Its answer is made as text: a thousand objects of jsonb take longer than their runs.
WITH k AS MATERIALIZED (
    {{queuer}}
), i AS MATERIALIZED (
    {{first_answers}}
), going AS MATERIALIZED (
    SELECT k.n::integer AS n, k.job, k.traceparent, k.caller, k.idempotency, k.fingerprint, i.key IS NOT NULL AS renews, k.runs::jsonb AS runs
      FROM k
      LEFT JOIN i ON i.user_id = k.caller AND i.key = k.idempotency
     WHERE {{goes}}
), kind AS MATERIALIZED (
    SELECT g.*, j.work, j.attempts, j.priority AS points,
           {{is_plain}} AND pg_column_size(g.runs) <= 1048576 AND NOT jsonb_path_exists(g.runs, '$[*].uniqueKey') AS is_plain
      FROM going g
      JOIN millrace.job j ON j.name = g.job
), start AS MATERIALIZED (
    {{start}}
), plain AS MATERIALIZED (
    SELECT g.n, millrace.run_id(s.tick + g.n * 1024 + r.place, hashint8extended(g.n * 1024 + r.place, s.chance)) AS id, g.job, g.traceparent, g.attempts, s.me,
           coalesce(r.args, '{}') AS args, r.key, coalesce(r.priority, g.points) AS points, greatest(r."runAt", now()) AS due
      FROM start s
     CROSS JOIN kind g
     CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(g.runs) AS (args jsonb, "runAt" timestamptz, priority integer, key text))
                WITH ORDINALITY AS r (args, "runAt", priority, key, place)
     WHERE g.is_plain
), {{queue_plain}}, asked AS MATERIALIZED (
    SELECT g.n, g.job, g.traceparent, r.args, r."runAt" AS run_at, r.priority, r.key, r."uniqueKey" AS unique_key,
           row_number() OVER (ORDER BY g.n, r.place)::integer AS o
      FROM kind g
     CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(g.runs) AS (args jsonb, "runAt" timestamptz, priority integer, key text, "uniqueKey" text))
                WITH ORDINALITY AS r (args, "runAt", priority, key, "uniqueKey", place)
     WHERE NOT g.is_plain
), q AS MATERIALIZED (
    SELECT q.*
      FROM (SELECT array_agg(a.o) AS o, array_agg(a.job) AS job, array_agg(a.args) AS args, array_agg(a.run_at) AS run_at, array_agg(a.priority) AS priority,
                   array_agg(a.key) AS key, array_agg(a.unique_key) AS unique_key, array_agg(a.traceparent) AS traceparent,
                   array_agg('manual'::text) AS trigger, array_agg(a.n) AS n
              FROM asked a
            HAVING count(*) > 0) a
     CROSS JOIN LATERAL millrace.queue_and_tell(a.o, a.job, a.args, a.run_at, a.priority, a.key, a.unique_key, a.traceparent, a.trigger, a.n) q
), problem AS MATERIALIZED (
    SELECT q.whole AS n, q.n AS place, q.status, format('[%s].%s', q.n - f.o, q.field) AS field, q.message
      FROM q
      JOIN (SELECT a.n, min(a.o) AS o FROM asked a GROUP BY a.n) f ON f.n = q.whole
     WHERE q.status IS NOT NULL
     ORDER BY q.n
     LIMIT 200
), answer AS MATERIALIZED (
    SELECT p.n, '[{"id":"' || string_agg(p.id::text, '"},{"id":"' ORDER BY p.id) || '"}]' AS told
      FROM plain p
     WHERE (SELECT count(*) FROM woken) >= 0
     GROUP BY p.n
     UNION ALL
    SELECT q.whole, '[' || string_agg('{"id":"' || q.id || CASE WHEN q.duplicate THEN '","duplicate":true}' ELSE '"}' END, ',' ORDER BY q.n) || ']'
      FROM q
     WHERE q.status IS NULL
     GROUP BY q.whole
), kept AS (
    INSERT INTO millrace.idempotency_key (user_id, key, fingerprint, answer)
    SELECT g.caller, g.idempotency, g.fingerprint, jsonb_build_object('runs', a.told::jsonb)
      FROM going g
      JOIN answer a ON a.n = g.n
     WHERE g.idempotency IS NOT NULL AND NOT g.renews
     ORDER BY g.caller, g.idempotency
), renewed AS (
    UPDATE millrace.idempotency_key i
       SET fingerprint = g.fingerprint, answer = jsonb_build_object('runs', a.told::jsonb), created_at = now()
      FROM going g
      JOIN answer a ON a.n = g.n
     WHERE g.renews AND i.user_id = g.caller AND i.key = g.idempotency
)
SELECT k.n, {{queue_status}} AS "$status",
       CASE WHEN k.refused IS NOT NULL THEN 'job' ELSE q.field END AS "$field",
       CASE WHEN k.refused IS NULL THEN {{queue_code}} END AS "$code",
       coalesce(k.refused, q.message) AS "$message",
       coalesce(a.told, CASE WHEN i.fingerprint = k.fingerprint THEN i.answer ->> 'runs' END)::json AS runs
  FROM k
  LEFT JOIN i ON i.user_id = k.caller AND i.key = k.idempotency AND i.created_at >= now() - interval '1 day'
  LEFT JOIN problem q ON q.n = k.n
  LEFT JOIN answer a ON a.n = k.n
 ORDER BY k.n, q.place, q.field;

-- name: job_run_get
-- For how long a client waits is the gateway's affair.
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 WHEN r.id IS NULL THEN 404 END AS "$status",
       r.state NOT IN ('succeeded', 'dead', 'cancelled') AS "$pending", {{run}}
  FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::uuid[], $5::text[], $6::bigint[])
       WITH ORDINALITY AS k (run_id, user_id, is_admin, api_key, only_jobs, wait, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (SELECT * FROM millrace.every_run r WHERE r.id = k.run_id) r ON {{may_see}};

-- name: job_run_cancel
-- One that is not at work is cancelled at once; one that is, by its owner after the chunk in hand. A run of push or pull is the
-- affair of millrace.cancel_runs.
WITH k AS MATERIALIZED (
    SELECT k.*, {{is_nobody}} AS is_nobody, u.id AS caller
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
), other AS MATERIALIZED (
    SELECT k.n, r.id FROM k LEFT JOIN millrace.app_user u ON u.id = k.user_id JOIN millrace.run r ON r.id = k.run_id AND {{may_see_kept}}
), told AS MATERIALIZED (
    SELECT o.ids[c.n] AS id, c.status, c.state
      FROM (SELECT array_agg(other.id) AS ids FROM other HAVING count(*) > 0) o
     CROSS JOIN LATERAL millrace.cancel_runs(o.ids) c
)
SELECT k.n,
       CASE WHEN k.is_nobody THEN 401 WHEN locked.id IS NULL AND told.id IS NULL THEN 404 WHEN NOT locked.live OR told.status = 409 THEN 409 END AS "$status",
       CASE WHEN NOT locked.live OR told.status = 409 THEN 'state' END AS "$field",
       CASE WHEN NOT locked.live OR told.status = 409 THEN 'is final already' END AS "$message",
       {{run}}
  FROM k
  LEFT JOIN locked ON locked.id = k.run_id
  LEFT JOIN other ON other.n = k.n
  LEFT JOIN told ON told.id = other.id
  LEFT JOIN LATERAL (
      SELECT c.id, c.job, c.trigger, c.state, c.attempt, c.max_attempts, c.scheduled_for, c.created_at, c.started_at, c.finished_at, c.done, c.total,
             nullif(c.result, '{}') AS result, c.error, NULL::jsonb AS progress, NULL::timestamptz AS due_at, NULL::text AS key, NULL::integer AS priority,
             NULL::jsonb AS args, true AS is_sql
        FROM changed c
       WHERE c.id = k.run_id
       UNION ALL
      SELECT e.id, e.job, e.trigger, told.state, e.attempt, e.max_attempts, e.scheduled_for, e.created_at, e.started_at,
             CASE WHEN told.state = 'cancelled' THEN now() END, NULL, NULL, e.result, e.error, e.progress, e.due_at, e.key, e.priority, e.args, false
        FROM millrace.every_run e
       WHERE e.id = told.id AND NOT e.is_sql
  ) r ON true;

-- part: may_see_kept
CASE WHEN k.api_key IS NOT NULL THEN k.only_jobs IS NULL OR r.job = ANY (k.only_jobs::text[]) WHEN u.id IS NOT NULL THEN k.is_admin END

-- Who may is an administrator, or a key that is for the job.

-- part: is_for
k.api_key IS NULL OR k.only_jobs IS NULL OR r.job = ANY (k.only_jobs::text[])

-- name: job_run_search
-- Each store is walked job by job, newest first, along the index that has the state; so that a page costs the same with a thousand
-- runs and with a million. A walk ends behind a page of rows where all of them are asked for, as in the table of what is dead or
-- cancelled, and else behind 2000, found or not: what is older than where the longest one ended is left to the next page, which the
-- Link leads to also where this one is empty.
--
-- Job and id are compared as one: with `r.job = kind.name` the order is that of the id alone, and the planner may walk the primary key,
-- past the runs of all other jobs. The index of job_run has the ids the other way round, where an array of one job does the same. Of a
-- key it is key and id: PostgreSQL 15 walks to the end of the job where the second of three columns says that the range is over.
WITH k AS MATERIALIZED (
    SELECT k.*, {{is_nobody}} AS is_nobody, j.name IS NULL AND k.job IS NOT NULL AS is_unknown,
           coalesce(k.cursor::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS upto,
           CASE WHEN k.since IS NULL THEN '00000000-0000-0000-0000-000000000000'
                ELSE rpad(lpad(to_hex(greatest((extract(epoch FROM k.since) * 1000)::bigint, 0)), 12, '0'), 32, '0')::uuid END AS since_id,
           CASE WHEN k.key IS NOT NULL THEN 'key' WHEN k.state IN ('dead', 'cancelled') THEN k.state WHEN k.state IN ('queued', 'failed') THEN 'waits'
                WHEN k.state IN ('running', 'cancelling') THEN 'leased' ELSE 'all' END AS walk,
           k.max_rows + 1 AS enough, CASE WHEN k.state IS NULL THEN k.max_rows + 1 ELSE 2000 END AS most
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::bigint[], $9::text[])
           WITH ORDINALITY AS k (user_id, api_key, only_jobs, job, state, key, since, max_rows, cursor, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
      LEFT JOIN millrace.job j ON j.name = k.job AND (k.only_jobs IS NULL OR j.name = ANY (k.only_jobs::text[]))
), kind AS MATERIALIZED (
    SELECT k.n, j.name FROM k JOIN millrace.job j ON (k.job IS NULL OR j.name = k.job) AND (k.only_jobs IS NULL OR j.name = ANY (k.only_jobs::text[])) WHERE NOT k.is_nobody
), walked AS MATERIALIZED (
    SELECT k.n, kind.name, w.source, w.id, CASE WHEN w.source IN (4, 5) THEN k.enough ELSE k.most END AS most
      FROM kind
      JOIN k ON k.n = kind.n
     CROSS JOIN LATERAL (
           SELECT * FROM (SELECT 1 AS source, r.id FROM millrace.job_run r
                           WHERE k.key IS NULL AND r.job = ANY (ARRAY[kind.name]) AND r.id < k.upto AND r.id >= k.since_id
                           ORDER BY r.job, r.id DESC LIMIT k.most) a
            UNION ALL
           SELECT * FROM (SELECT 2, r.id FROM millrace.run r
                           WHERE k.walk = 'all' AND (r.job, r.id) < (kind.name, k.upto) AND (r.job, r.id) >= (kind.name, k.since_id)
                           ORDER BY r.job DESC, r.id DESC LIMIT k.most) b
            UNION ALL
           SELECT * FROM (SELECT 3, r.id FROM millrace.run r
                           WHERE k.walk = 'key' AND r.key <> '' AND r.job = kind.name AND (r.key, r.id) < (k.key, k.upto) AND (r.key, r.id) >= (k.key, k.since_id)
                           ORDER BY r.key DESC, r.id DESC LIMIT k.most) c
            UNION ALL
           SELECT * FROM (SELECT 4, r.id FROM millrace.stopped r
                           WHERE k.walk = 'dead' AND (r.job, r.outcome, r.id) < (kind.name, 'dead', k.upto) AND (r.job, r.outcome, r.id) >= (kind.name, 'dead', k.since_id)
                           ORDER BY r.job DESC, r.outcome DESC, r.id DESC LIMIT k.enough) d
            UNION ALL
           SELECT * FROM (SELECT 5, r.id FROM millrace.stopped r
                           WHERE k.walk = 'cancelled' AND (r.job, r.outcome, r.id) < (kind.name, 'cancelled', k.upto) AND (r.job, r.outcome, r.id) >= (kind.name, 'cancelled', k.since_id)
                           ORDER BY r.job DESC, r.outcome DESC, r.id DESC LIMIT k.enough) e
            UNION ALL
           SELECT * FROM (SELECT 6, r.id FROM millrace.ready r
                           WHERE k.walk = 'waits' AND (r.job, r.id) < (kind.name, k.upto) AND (r.job, r.id) >= (kind.name, k.since_id)
                           ORDER BY r.job DESC, r.id DESC LIMIT k.most) f
            UNION ALL
           SELECT * FROM (SELECT 7, r.id FROM millrace.later r
                           WHERE k.walk = 'waits' AND (r.job, r.id) < (kind.name, k.upto) AND (r.job, r.id) >= (kind.name, k.since_id)
                           ORDER BY r.job DESC, r.id DESC LIMIT k.most) g
            UNION ALL
           SELECT * FROM (SELECT 8, r.id FROM (SELECT r.id FROM millrace.lease r WHERE k.walk = 'leased' AND r.job = kind.name OFFSET 0) r
                           WHERE r.id < k.upto AND r.id >= k.since_id
                           ORDER BY r.id DESC LIMIT k.most) h) w
), horizon AS MATERIALIZED (
    SELECT w.n, (array_agg(w.last ORDER BY w.last DESC))[1] AS id
      FROM (SELECT w.n, (array_agg(w.id ORDER BY w.id))[1] AS last FROM walked w GROUP BY w.n, w.name, w.source HAVING count(*) = max(w.most)) w
     GROUP BY w.n
), page AS (
    SELECT k.n, r.*, row_number() OVER (PARTITION BY k.n ORDER BY r.id DESC) AS place, k.max_rows
      FROM k
      JOIN walked w ON w.n = k.n
      LEFT JOIN horizon h ON h.n = k.n
     CROSS JOIN LATERAL (SELECT r.* FROM millrace.every_run r WHERE r.id = w.id) r
     WHERE (h.id IS NULL OR w.id >= h.id) AND (k.state IS NULL OR r.state = k.state)
), told AS (
    SELECT p.*, lead(true) OVER (PARTITION BY p.n ORDER BY p.place) AS more FROM page p WHERE p.place <= p.max_rows + 1
)
SELECT k.n,
       CASE WHEN k.is_nobody THEN 401 WHEN k.is_unknown THEN 404 END AS "$status",
       CASE WHEN r.more AND r.place = k.max_rows THEN replace(r.id::text, '-', '') WHEN r.more IS NULL THEN replace(h.id::text, '-', '') END AS "$next",
       {{run}}
  FROM k
  LEFT JOIN horizon h ON h.n = k.n
  LEFT JOIN told r ON r.n = k.n AND r.place <= k.max_rows
 ORDER BY k.n, r.place;

-- name: job_run_attempts
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 WHEN r.id IS NULL THEN 404 END AS "$status",
       a.attempt, a.at, a.took_ms AS "tookMs", a.status, a.answer, a.error, a.worker
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) WITH ORDINALITY AS k (run_id, user_id, api_key, only_jobs, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN LATERAL (SELECT r.id, r.job FROM millrace.run r WHERE r.id = k.run_id UNION ALL SELECT r.id, r.job FROM millrace.job_run r WHERE r.id = k.run_id) r ON {{is_for}}
  LEFT JOIN LATERAL (SELECT * FROM millrace.run_attempt a WHERE a.run_id = r.id ORDER BY a.attempt, a.at LIMIT 1000) a ON true
 ORDER BY k.n, a.attempt, a.at;

-- name: job_run_retry
-- A run of push or pull is the affair of millrace.retry_runs. Of an import that is over nothing is left that could be tried again.
WITH k AS MATERIALIZED (
    SELECT k.*, {{is_nobody}} AS is_nobody
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) WITH ORDINALITY AS k (run_id, user_id, api_key, only_jobs, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), locked AS (
    SELECT r.id, r.state = 'failed' OR (r.state IN ('dead', 'cancelled') AND r.job <> 'import') AS may, r.job = 'import' AND r.state <> 'failed' AS is_gone
      FROM millrace.job_run r
      JOIN k ON r.id = k.run_id AND NOT k.is_nobody
     WHERE {{is_for}}
     ORDER BY r.id
       FOR NO KEY UPDATE OF r
), changed AS (
    UPDATE millrace.job_run r
       SET {{again}}
      FROM locked
     WHERE r.id = locked.id AND locked.may
    RETURNING r.*, pg_notify('millrace_jobs', '')::text AS told
), other AS MATERIALIZED (
    SELECT k.n, r.id FROM k JOIN millrace.run r ON r.id = k.run_id AND NOT k.is_nobody WHERE {{is_for}}
), told AS MATERIALIZED (
    SELECT o.ids[c.n] AS id, c.status
      FROM (SELECT array_agg(other.id) AS ids FROM other HAVING count(*) > 0) o
     CROSS JOIN LATERAL millrace.retry_runs(o.ids) c
)
SELECT k.n,
       CASE WHEN k.is_nobody THEN 401 WHEN locked.id IS NULL AND told.id IS NULL THEN 404 WHEN NOT locked.may OR told.status = 409 THEN 409 END AS "$status",
       CASE WHEN NOT locked.may OR told.status = 409 THEN 'state' END AS "$field",
       CASE WHEN locked.is_gone THEN 'nothing is left of an upload that is over'
            WHEN NOT locked.may OR told.status = 409 THEN 'is none of failed, dead and cancelled, or another run stands for its unique key' END AS "$message",
       {{run}}
  FROM k
  LEFT JOIN locked ON locked.id = k.run_id
  LEFT JOIN other ON other.n = k.n
  LEFT JOIN told ON told.id = other.id
  LEFT JOIN LATERAL (
      SELECT c.id, c.job, c.trigger, c.state, c.attempt, c.max_attempts, c.scheduled_for, c.created_at, c.started_at, c.finished_at, c.done, c.total,
             nullif(c.result, '{}') AS result, c.error, NULL::jsonb AS progress, NULL::timestamptz AS due_at, NULL::text AS key, NULL::integer AS priority,
             NULL::jsonb AS args, true AS is_sql
        FROM changed c
       WHERE c.id = k.run_id
       UNION ALL
      SELECT e.id, e.job, e.trigger, CASE WHEN e.state = 'failed' THEN 'failed' ELSE 'queued' END, e.attempt,
             CASE WHEN e.state = 'failed' THEN e.max_attempts ELSE e.attempt + j.attempts END, e.scheduled_for, e.created_at, e.started_at, NULL, NULL, NULL,
             e.result, e.error, e.progress, now(), e.key, e.priority, e.args, false
        FROM millrace.every_run e
        JOIN millrace.job j ON j.name = e.job
       WHERE e.id = told.id AND NOT e.is_sql
  ) r ON true;

-- With all its attempts before it, and from where it came to.

-- part: again
state            = CASE WHEN r.state = 'failed' THEN r.state ELSE 'queued' END,
           max_attempts     = CASE WHEN r.state = 'failed' THEN r.max_attempts ELSE r.attempt + 5 END,
           cancel_requested = false,
           run_after        = now(),
           finished_at      = NULL

-- name: job_runs_retry
WITH action (word) AS (VALUES ('retry')), {{queued_in_bulk}};

-- name: job_runs_cancel
WITH action (word) AS (VALUES ('cancel')), {{queued_in_bulk}};

-- name: job_runs_delete
WITH action (word) AS (VALUES ('delete')), {{queued_in_bulk}};

-- Queues the run of `bulk` that does it (sql/queries/jobs.sql); by default to what was queued before now.

-- part: queued_in_bulk
k AS MATERIALIZED (
    SELECT k.*, coalesce(u.id, k.api_key) AS caller, j.name AS known, coalesce(k.before, now()) AS upto
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[])
           WITH ORDINALITY AS k (id, user_id, api_key, only_jobs, job, state, key, before, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
      LEFT JOIN millrace.job j ON j.name = k.job AND (k.only_jobs IS NULL OR j.name = ANY (k.only_jobs::text[]))
), made AS (
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, args)
    SELECT k.id, 'bulk', 'manual', false,
           jsonb_strip_nulls(jsonb_build_object('action', action.word, 'job', k.job, 'state', k.state, 'key', k.key, 'before', to_char(k.upto AT TIME ZONE 'UTC', {{instant}})))
      FROM k, action
     WHERE k.caller IS NOT NULL AND k.known IS NOT NULL AND k.job <> 'bulk'
    RETURNING *
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject_name, detail)
    SELECT k.id, CASE WHEN k.user_id IS NULL THEN 'key' ELSE 'user' END, k.caller, 'job_runs_' || action.word, 'job', k.job, made.args || jsonb_build_object('run', made.id)
      FROM action, made
      JOIN k ON k.id = made.id
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN k.known IS NULL THEN 404 WHEN k.job = 'bulk' THEN 409 END AS "$status",
       CASE WHEN k.known IS NULL OR k.job = 'bulk' THEN 'job' END AS "$field",
       CASE WHEN k.job = 'bulk' THEN 'does this itself, and is not done to' END AS "$message",
       {{sql_run}}
  FROM k
  LEFT JOIN made r ON r.id = k.id

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
       {{sql_run}}
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
