-- Statements of kinds of jobs: what each is, and how it is made, changed, paused and removed. Whoever changes one is in the audit, with
-- the names of the members that changed; secrets are in no answer and in no entry.

-- How a duration is told: in the largest unit that leaves no rest.

-- part: durations
LEFT JOIN LATERAL (
      SELECT array_agg(CASE WHEN d.ms % 86400000 = 0 THEN d.ms / 86400000 || 'd' WHEN d.ms % 3600000 = 0 THEN d.ms / 3600000 || 'h'
                            WHEN d.ms % 60000 = 0 THEN d.ms / 60000 || 'm' WHEN d.ms % 1000 = 0 THEN d.ms / 1000 || 's' ELSE d.ms || 'ms' END ORDER BY d.i) AS told
        FROM unnest(ARRAY[j.retry_first_ms, j.retry_most_ms, j.timeout_ms, j.unique_for_ms, j.keep_ms]) WITH ORDINALITY AS d (ms, i)
  ) d ON true

-- Counts end at ten thousand of a state, and throughput is added up from the tallies of minutes, so that a job with a million runs is
-- told as quickly as one with ten. The last 60 seconds are those of the minute that is under way, and of the one before by its share.
--
-- The newest runs of a job are asked for as job_run_search does: with `r.job = j.name` the order is that of the id alone, and where nearly
-- all runs are of one job the planner walks the primary key, past all of them for each job that has none.

-- part: figures
LEFT JOIN LATERAL (
      SELECT CASE WHEN j.work = 'sql'
                  THEN (SELECT count(*) FROM (SELECT FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL AND r.run_after <= now() AND r.state <> 'running' LIMIT 10000) x)
                  ELSE (SELECT count(*) FROM (SELECT FROM millrace.ready r WHERE r.job = j.name LIMIT 10000) x) END AS ready,
             CASE WHEN j.work = 'sql'
                  THEN (SELECT count(*) FROM (SELECT FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL AND r.run_after > now() AND r.state <> 'running' LIMIT 10000) x)
                  ELSE (SELECT count(*) FROM (SELECT FROM millrace.later r WHERE r.job = j.name LIMIT 10000) x) END AS later,
             CASE WHEN j.work = 'sql'
                  THEN (SELECT count(*) FROM (SELECT FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL AND r.state = 'running' LIMIT 10000) x)
                  ELSE (SELECT count(*) FROM (SELECT FROM millrace.lease r WHERE r.job = j.name LIMIT 10000) x) END AS running,
             CASE WHEN j.work = 'sql'
                  THEN (SELECT count(*) FROM (SELECT r.state FROM millrace.job_run r WHERE r.job = ANY (ARRAY[j.name]) ORDER BY r.job, r.id DESC LIMIT 10000) x WHERE x.state = 'dead')
                  ELSE (SELECT count(*) FROM (SELECT FROM millrace.stopped r WHERE r.job = j.name AND r.outcome = 'dead' LIMIT 10000) x) END AS dead,
             CASE WHEN j.work = 'sql'
                  THEN (SELECT r.run_after FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL AND r.state <> 'running' AND r.run_after <= now() ORDER BY r.job, r.run_after, r.id LIMIT 1)
                  ELSE (WITH RECURSIVE first AS (
                            (SELECT r.key, r.turn, r.id, 1 AS i FROM millrace.ready r WHERE r.job = j.name ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                             UNION ALL
                            SELECT next.key, next.turn, next.id, f.i + 1
                              FROM first f
                             CROSS JOIN LATERAL (SELECT r.key, r.turn, r.id FROM millrace.ready r WHERE r.job = j.name AND r.key > f.key ORDER BY r.job, r.key, r.turn, r.id LIMIT 1) next
                             WHERE f.i < 1000
                        ), seen AS (
                            (SELECT f.id FROM first f ORDER BY f.turn LIMIT 200)
                             UNION ALL
                            (SELECT r.id FROM millrace.ready r WHERE r.job = j.name ORDER BY r.job, r.id LIMIT 200) -- which priorities may stand before
                        )
                        SELECT min(r.due_at) FROM seen s JOIN millrace.run r ON r.id = s.id) END AS oldest_ready,
             CASE WHEN j.work = 'sql'
                  THEN (SELECT min(x.started_at) FROM (SELECT r.started_at FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL AND r.state = 'running' LIMIT 10000) x)
                  ELSE (SELECT min(x.started_at) FROM (SELECT r.started_at FROM millrace.lease r WHERE r.job = j.name LIMIT 10000) x) END AS oldest_running
       WHERE j.name IS NOT NULL
  ) f ON true
  LEFT JOIN LATERAL (
      SELECT array_agg(t.share ORDER BY t.what) AS minute, array_agg(t.hour ORDER BY t.what) AS hour
        FROM (SELECT v.what, sum(v.count)::bigint AS hour,
                     coalesce(round(sum(v.count * CASE WHEN y.minute = date_trunc('minute', now()) THEN 1
                                                       WHEN y.minute = date_trunc('minute', now()) - interval '1 minute' THEN 1 - extract(second FROM now()) / 60
                                                       ELSE 0 END)), 0)::bigint AS share
                FROM millrace.run_tally y
               CROSS JOIN LATERAL (VALUES (1, y.succeeded), (2, y.failed), (3, y.dead)) v (what, count)
               WHERE y.job = j.name AND y.minute > now() - interval '1 hour'
               GROUP BY v.what) t
  ) t ON true

-- part: job
j.name, j.work, j.origin, j.schedule, j.timezone, j.missed, CASE WHEN j.name IS NOT NULL THEN j.schedule IS NOT NULL END AS enabled, j.next_at AS "nextAt",
       j.paused_at AS "pausedAt", j.removed_at AS "removedAt", j.url, cardinality(j.secrets) AS secrets, j.args,
       CASE WHEN j.work <> 'sql' THEN j.attempts END AS "retry.attempts", CASE WHEN j.work <> 'sql' THEN d.told[1] END AS "retry.first",
       CASE WHEN j.work <> 'sql' THEN d.told[2] END AS "retry.most", CASE WHEN j.work <> 'sql' THEN d.told[3] END AS timeout, j.concurrency, j.per_key AS "perKey",
       CASE WHEN j.work <> 'sql' THEN j.priority END AS priority, j.unique_by AS "unique.by", d.told[4] AS "unique.for", d.told[5] AS keep,
       f.ready AS "depth.ready", f.later AS "depth.later", f.running AS "depth.running", f.dead AS "depth.dead", f.oldest_ready AS "oldestReadyAt",
       f.oldest_running AS "oldestRunningAt", coalesce(t.minute[1], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastMinute.succeeded",
       coalesce(t.minute[2], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastMinute.failed", coalesce(t.minute[3], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastMinute.dead",
       coalesce(t.hour[1], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastHour.succeeded", coalesce(t.hour[2], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastHour.failed",
       coalesce(t.hour[3], CASE WHEN j.name IS NOT NULL THEN 0 END) AS "lastHour.dead", last.run AS "lastRun"

-- part: last_run
LEFT JOIN LATERAL (
      SELECT json_strip_nulls(json_build_object(
                 'id', r.id, 'job', r.job, 'trigger', r.trigger, 'state', r.state, 'attempt', r.attempt,
                 'maxAttempts', r.max_attempts,
                 'scheduledFor', to_char(r.scheduled_for AT TIME ZONE 'UTC', {{instant}}),
                 'createdAt', to_char(r.created_at AT TIME ZONE 'UTC', {{instant}}),
                 'startedAt', to_char(r.started_at AT TIME ZONE 'UTC', {{instant}}),
                 'finishedAt', to_char(r.finished_at AT TIME ZONE 'UTC', {{instant}}),
                 'progress', json_build_object('done', coalesce(r.done, {{done}}, 0), 'total', coalesce(r.total, {{total}})), 'error', r.error,
                 'waitsFor', {{waits_for}},
                 'dueAt', CASE WHEN NOT r.is_sql THEN to_char(r.due_at AT TIME ZONE 'UTC', {{instant}}) END, 'key', nullif(r.key, ''), 'priority', r.priority)) AS run
        FROM (SELECT x.id FROM ((SELECT r.id FROM millrace.job_run r WHERE r.job = ANY (ARRAY[j.name]) ORDER BY r.job, r.id DESC LIMIT 1)
                                 UNION ALL
                                (SELECT r.id FROM millrace.run r
                                  WHERE (r.job, r.id) <= (j.name, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                                    AND (r.job, r.id) >= (j.name, '00000000-0000-0000-0000-000000000000')
                                  ORDER BY r.job DESC, r.id DESC
                                  LIMIT 1)) x
               ORDER BY x.id DESC LIMIT 1) newest
        JOIN millrace.every_run r ON r.id = newest.id) last ON true

-- One that was removed is told for as long as something of it waits.

-- part: is_there
(j.removed_at IS NULL OR EXISTS (SELECT FROM millrace.ready r WHERE r.job = j.name) OR EXISTS (SELECT FROM millrace.later r WHERE r.job = j.name)
        OR EXISTS (SELECT FROM millrace.lease r WHERE r.job = j.name) OR EXISTS (SELECT FROM millrace.job_run r WHERE r.job = j.name AND r.finished_at IS NULL))

-- name: job_list
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 END AS "$status", {{job}}
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS k (user_id, api_key, only_jobs, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.job j ON NOT ({{is_nobody}}) AND (k.only_jobs IS NULL OR j.name = ANY (k.only_jobs::text[])) AND {{is_there}}
  {{durations}}
  {{figures}}
  {{last_run}}
 ORDER BY k.n, j.name;

-- name: job_get
SELECT k.n, CASE WHEN {{is_nobody}} THEN 401 WHEN j.name IS NULL THEN 404 END AS "$status", {{job}}
  FROM unnest($1::uuid[], $2::text[], $3::uuid[]) WITH ORDINALITY AS k (user_id, job, api_key, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN millrace.job j ON j.name = k.job AND {{is_there}}
  {{durations}}
  {{figures}}
  {{last_run}};

-- What only several members together can get wrong, of a kind as it would be: `w`.

-- part: contradictions
SELECT w.n, p.field, p.code, p.message
      FROM w
     CROSS JOIN LATERAL (VALUES
           ('url', 'required', 'is required where work is push', w.work = 'push' AND w.url IS NULL),
           ('url', 'mismatch', 'is for jobs of work push', w.work = 'pull' AND w.url IS NOT NULL),
           ('secret', 'mismatch', 'cannot stand beside secrets', w.has_both),
           ('secrets', 'required', 'are required where work is push: one at least', w.work = 'push' AND w.secrets IS NULL AND NOT w.has_both),
           ('secrets', 'mismatch', 'are for jobs of work push', w.work = 'pull' AND w.secrets IS NOT NULL),
           ('retry.most', 'range', 'must not be less than retry.first', w.retry_most_ms < w.retry_first_ms),
           ('perKey', 'range', 'must not be more than concurrency', w.per_key > w.concurrency),
           ('unique.by', 'required', 'is required where unique.for is given', w.unique_by IS NULL AND w.unique_for_ms IS NOT NULL),
           ('unique.by', 'unknown', 'must name arguments of the job', w.args IS NOT NULL AND EXISTS (SELECT FROM unnest(w.unique_by) b WHERE NOT w.args ? b)),
           ('args', 'mismatch', 'must each have a default instead of required where cron is given: a tick has no arguments',
            w.schedule IS NOT NULL AND EXISTS (SELECT FROM jsonb_each(w.args) a WHERE a.value -> 'required' = 'true')),
           ('timezone', 'mismatch', 'is for jobs that have a cron expression', w.timezone IS NOT NULL AND w.schedule IS NULL),
           ('missed', 'mismatch', 'is for jobs that have a cron expression', w.missed IS NOT NULL AND w.schedule IS NULL)) p (field, code, message, is_wrong)
     WHERE p.is_wrong

-- What differs between the kind that is there and the one that is to be, by the names that clients know. NULL: nothing.

-- part: differences
SELECT w.n, jsonb_agg(c.name ORDER BY c.i) AS names
      FROM w
      LEFT JOIN held j ON j.name = w.name
     CROSS JOIN LATERAL (VALUES
           (1, 'work', w.work IS DISTINCT FROM j.work), (2, 'url', w.url IS DISTINCT FROM j.url), (3, 'secrets', w.secrets IS DISTINCT FROM j.secrets),
           (4, 'args', w.args IS DISTINCT FROM j.args), (5, 'retry.attempts', w.attempts IS DISTINCT FROM j.attempts),
           (6, 'retry.first', w.retry_first_ms IS DISTINCT FROM j.retry_first_ms), (7, 'retry.most', w.retry_most_ms IS DISTINCT FROM j.retry_most_ms),
           (8, 'timeout', w.timeout_ms IS DISTINCT FROM j.timeout_ms), (9, 'concurrency', w.concurrency IS DISTINCT FROM j.concurrency),
           (10, 'perKey', w.per_key IS DISTINCT FROM j.per_key), (11, 'priority', w.priority IS DISTINCT FROM j.priority),
           (12, 'unique', (w.unique_by, w.unique_for_ms) IS DISTINCT FROM (j.unique_by, j.unique_for_ms)), (13, 'cron', w.schedule IS DISTINCT FROM j.schedule),
           (14, 'timezone', w.timezone IS DISTINCT FROM j.timezone), (15, 'missed', w.missed IS DISTINCT FROM j.missed),
           (16, 'keep', w.keep_ms IS DISTINCT FROM j.keep_ms)) c (i, name, differs)
     WHERE c.differs
     GROUP BY w.n

-- A schedule that is another than before counts from now on.

-- part: as_wanted
work = w.work, origin = 'managed', manual = false, exclusive = false, url = w.url, secrets = w.secrets, args = w.args, attempts = w.attempts,
           retry_first_ms = w.retry_first_ms, retry_most_ms = w.retry_most_ms, timeout_ms = w.timeout_ms, concurrency = w.concurrency, per_key = w.per_key,
           priority = w.priority, unique_by = w.unique_by, unique_for_ms = w.unique_for_ms, schedule = w.schedule, timezone = w.timezone, missed = w.missed,
           keep_ms = w.keep_ms, declared = NULL, removed_at = NULL, changed_at = now(),
           ticked_at = CASE WHEN w.schedule IS NULL THEN NULL WHEN (j.schedule, j.timezone) IS DISTINCT FROM (w.schedule, w.timezone) THEN now() ELSE j.ticked_at END,
           next_at   = CASE WHEN (j.schedule, j.timezone) IS NOT DISTINCT FROM (w.schedule, w.timezone) THEN j.next_at END

-- Why a kind is not for clients to change; NULL where it is. One of push or pull that is no longer in the folder is nobody's.

-- part: declared
CASE WHEN held.removed_at IS NOT NULL AND held.work <> 'sql' THEN NULL
            WHEN held.origin = 'engine' THEN 'is one of Millrace''s own jobs'
            WHEN held.origin = 'folder' THEN 'is declared by the application, which says what it is' END

-- Who hears that a kind is another: the schedulers. It is a prompt; they look each second all the same.

-- part: prompted
pg_notify('millrace_jobs', '')::text

-- part: by
CASE WHEN k.user_id IS NULL THEN 'key' ELSE 'user' END

-- The kind as the statement leaves it, which reads the one that it found: `changed` has no figures, and a job keeps its own.

-- part: told_job
LEFT JOIN changed j ON j.name = k.job
  {{durations}}
  {{figures}}
  {{last_run}}

-- name: job_put
WITH k AS MATERIALIZED (
    SELECT k.*, coalesce(u.id, k.api_key) AS caller
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[],
                  $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::bigint[], $19::text[], $20::text[], $21::text[], $22::bigint[])
           WITH ORDINALITY AS k (job, user_id, api_key, audit_id, work, url, secret, secrets, args, attempts, retry_first, retry_most, timeout, concurrency, per_key,
                                 priority, unique_by, unique_for, cron, timezone, missed, keep, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), held AS MATERIALIZED (
    SELECT j.* FROM millrace.job j JOIN k ON j.name = k.job AND k.caller IS NOT NULL ORDER BY j.name FOR NO KEY UPDATE OF j
), w AS MATERIALIZED (
    SELECT k.n, k.job AS name, k.work, k.url,
           coalesce(k.secrets::text[], CASE WHEN k.secret IS NOT NULL THEN ARRAY[k.secret] WHEN k.work = 'push' AND held.origin = 'managed' THEN held.secrets END) AS secrets,
           k.secret IS NOT NULL AND k.secrets IS NOT NULL AS has_both, k.args::jsonb AS args, k.attempts::integer AS attempts, k.retry_first AS retry_first_ms,
           k.retry_most AS retry_most_ms, k.timeout AS timeout_ms, k.concurrency::integer AS concurrency, k.per_key::integer AS per_key,
           k.priority::integer AS priority, k.unique_by::text[] AS unique_by, k.unique_for AS unique_for_ms, k.cron AS schedule, k.timezone, k.missed, k.keep AS keep_ms
      FROM k
      LEFT JOIN held ON held.name = k.job
     WHERE k.caller IS NOT NULL AND {{declared}} IS NULL
), wrong AS MATERIALIZED (
    {{contradictions}}
), differs AS MATERIALIZED (
    {{differences}}
), made AS (
    INSERT INTO millrace.job (name, work, origin, manual, exclusive, url, secrets, args, attempts, retry_first_ms, retry_most_ms, timeout_ms, concurrency, per_key, priority,
                              unique_by, unique_for_ms, schedule, timezone, missed, keep_ms, changed_at, ticked_at)
    SELECT w.name, w.work, 'managed', false, false, w.url, w.secrets, w.args, w.attempts, w.retry_first_ms, w.retry_most_ms, w.timeout_ms, w.concurrency, w.per_key, w.priority,
           w.unique_by, w.unique_for_ms, w.schedule, w.timezone, w.missed, w.keep_ms, now(), CASE WHEN w.schedule IS NOT NULL THEN now() END
      FROM w
     WHERE w.n NOT IN (SELECT x.n FROM wrong x) AND w.name NOT IN (SELECT h.name FROM held h)
     ORDER BY w.name
        ON CONFLICT DO NOTHING
    RETURNING *, {{prompted}} AS told
), replaced AS (
    UPDATE millrace.job j SET {{as_wanted}} FROM w JOIN held ON held.name = w.name WHERE j.name = w.name AND w.n NOT IN (SELECT x.n FROM wrong x)
    RETURNING j.*, {{prompted}} AS told
), changed AS (
    SELECT * FROM made UNION ALL SELECT * FROM replaced
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject_name, detail)
    SELECT k.audit_id, {{by}}, k.caller, 'job_put', 'job', k.job, jsonb_build_object('changed', coalesce(d.names, '[]'), 'made', made.name IS NOT NULL OR held.removed_at IS NOT NULL)
      FROM k
      JOIN changed ON changed.name = k.job
      LEFT JOIN made ON made.name = k.job
      LEFT JOIN held ON held.name = k.job
      LEFT JOIN differs d ON d.n = k.n
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN held.name IS NOT NULL AND {{declared}} IS NOT NULL THEN 409 WHEN x.n IS NOT NULL THEN 400 END AS "$status",
       CASE WHEN {{declared}} IS NOT NULL THEN 'job' ELSE x.field END AS "$field", x.code AS "$code", coalesce({{declared}}, x.message) AS "$message",
       {{job}}
  FROM k
  LEFT JOIN held ON held.name = k.job
  LEFT JOIN wrong x ON x.n = k.n
  {{told_job}}
 WHERE k.caller IS NULL OR j.name IS NOT NULL OR x.n IS NOT NULL OR {{declared}} IS NOT NULL
 ORDER BY k.n, x.field;

-- name: job_update
WITH k AS MATERIALIZED (
    SELECT k.*, coalesce(u.id, k.api_key) AS caller
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::bigint[], $11::bigint[], $12::bigint[],
                  $13::bigint[], $14::bigint[], $15::boolean[], $16::bigint[], $17::boolean[], $18::bigint[], $19::text[], $20::boolean[], $21::bigint[], $22::boolean[],
                  $23::text[], $24::boolean[], $25::text[], $26::boolean[], $27::text[], $28::boolean[], $29::bigint[], $30::boolean[])
           WITH ORDINALITY AS k (job, user_id, api_key, audit_id, url, secret, secrets, args, has_args, attempts, retry_first, retry_most, timeout, concurrency, has_concurrency,
                                 per_key, has_per_key, priority, unique_by, has_unique_by, unique_for, has_unique_for, cron, has_cron, timezone, has_timezone, missed,
                                 has_missed, keep, has_keep, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), held AS MATERIALIZED (
    SELECT j.* FROM millrace.job j JOIN k ON j.name = k.job AND k.caller IS NOT NULL WHERE j.removed_at IS NULL OR j.work = 'sql' ORDER BY j.name FOR NO KEY UPDATE OF j
), w AS MATERIALIZED (
    SELECT k.n, j.name, j.work, coalesce(k.url, j.url) AS url, coalesce(k.secrets::text[], CASE WHEN k.secret IS NOT NULL THEN ARRAY[k.secret] END, j.secrets) AS secrets,
           k.secret IS NOT NULL AND k.secrets IS NOT NULL AS has_both, CASE WHEN k.has_args THEN k.args::jsonb ELSE j.args END AS args,
           coalesce(k.attempts::integer, j.attempts) AS attempts, coalesce(k.retry_first, j.retry_first_ms) AS retry_first_ms,
           coalesce(k.retry_most, j.retry_most_ms) AS retry_most_ms, coalesce(k.timeout, j.timeout_ms) AS timeout_ms,
           CASE WHEN k.has_concurrency THEN k.concurrency::integer ELSE j.concurrency END AS concurrency,
           CASE WHEN k.has_per_key THEN k.per_key::integer ELSE j.per_key END AS per_key, coalesce(k.priority::integer, j.priority) AS priority,
           CASE WHEN k.has_unique_by THEN k.unique_by::text[] ELSE j.unique_by END AS unique_by,
           CASE WHEN k.has_unique_for THEN k.unique_for ELSE j.unique_for_ms END AS unique_for_ms, CASE WHEN k.has_cron THEN k.cron ELSE j.schedule END AS schedule,
           CASE WHEN k.has_timezone THEN k.timezone WHEN k.has_cron AND k.cron IS NULL THEN NULL ELSE j.timezone END AS timezone,
           CASE WHEN k.has_missed THEN k.missed WHEN k.has_cron AND k.cron IS NULL THEN NULL ELSE j.missed END AS missed,
           CASE WHEN k.has_keep THEN k.keep ELSE j.keep_ms END AS keep_ms
      FROM k
      JOIN held j ON j.name = k.job
     WHERE j.origin = 'managed'
), wrong AS MATERIALIZED (
    {{contradictions}}
), differs AS MATERIALIZED (
    {{differences}}
), changed AS (
    UPDATE millrace.job j SET {{as_wanted}} FROM w WHERE j.name = w.name AND w.n NOT IN (SELECT x.n FROM wrong x)
    RETURNING j.*, {{prompted}} AS told
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject_name, detail)
    SELECT k.audit_id, {{by}}, k.caller, 'job_update', 'job', k.job, jsonb_build_object('changed', d.names)
      FROM k
      JOIN changed ON changed.name = k.job
      JOIN differs d ON d.n = k.n
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN held.name IS NULL THEN 404 WHEN {{declared}} IS NOT NULL THEN 409 WHEN x.n IS NOT NULL THEN 400 END AS "$status",
       CASE WHEN {{declared}} IS NOT NULL THEN 'job' ELSE x.field END AS "$field", x.code AS "$code", coalesce({{declared}}, x.message) AS "$message",
       {{job}}
  FROM k
  LEFT JOIN held ON held.name = k.job
  LEFT JOIN wrong x ON x.n = k.n
  {{told_job}}
 ORDER BY k.n, x.field;

-- name: job_delete
-- The row stays: what waits is worked on by what it says, and PUT brings it back.
WITH k AS MATERIALIZED (
    SELECT k.*, coalesce(u.id, k.api_key) AS caller
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY AS k (job, user_id, api_key, audit_id, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), held AS MATERIALIZED (
    SELECT j.* FROM millrace.job j JOIN k ON j.name = k.job AND k.caller IS NOT NULL WHERE j.removed_at IS NULL OR j.work = 'sql' ORDER BY j.name FOR NO KEY UPDATE OF j
), gone AS (
    UPDATE millrace.job j SET removed_at = now(), changed_at = now(), schedule = NULL, timezone = NULL, missed = NULL, ticked_at = NULL, next_at = NULL
      FROM held
     WHERE j.name = held.name AND held.origin = 'managed'
    RETURNING j.name, {{prompted}} AS told
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject_name)
    SELECT k.audit_id, {{by}}, k.caller, 'job_delete', 'job', k.job FROM k JOIN gone ON gone.name = k.job
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN held.name IS NULL THEN 404 WHEN {{declared}} IS NOT NULL THEN 409 END AS "$status",
       CASE WHEN {{declared}} IS NOT NULL THEN 'job' END AS "$field", {{declared}} AS "$message"
  FROM k
  LEFT JOIN held ON held.name = k.job;

-- name: job_pause
WITH action (word) AS (VALUES ('pause')), {{paused_or_resumed}};

-- name: job_resume
WITH action (word) AS (VALUES ('resume')), {{paused_or_resumed}};

-- Ticks count from when the job was paused, so that those that came meanwhile are missed ones. Who pauses twice changes nothing.

-- part: paused_or_resumed
k AS MATERIALIZED (
    SELECT k.*, coalesce(u.id, k.api_key) AS caller
      FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY AS k (job, user_id, api_key, audit_id, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), held AS MATERIALIZED (
    SELECT j.* FROM millrace.job j JOIN k ON j.name = k.job AND k.caller IS NOT NULL ORDER BY j.name FOR NO KEY UPDATE OF j
), changed AS (
    UPDATE millrace.job j SET paused_at = CASE WHEN action.word = 'pause' THEN coalesce(j.paused_at, now()) END, changed_at = now()
      FROM held, action
     WHERE j.name = held.name
    RETURNING j.*, {{prompted}} AS told, CASE WHEN action.word = 'resume' AND j.work <> 'sql' THEN millrace.tell_ready(j.name)::text END AS ready
), noted AS (
    INSERT INTO millrace.audit (id, by, caller, operation, subject_type, subject_name)
    SELECT k.audit_id, {{by}}, k.caller, 'job_' || action.word, 'job', k.job
      FROM k
     CROSS JOIN action
      JOIN held ON held.name = k.job AND (held.paused_at IS NULL) = (action.word = 'pause')
)
SELECT k.n, CASE WHEN k.caller IS NULL THEN 401 WHEN j.name IS NULL THEN 404 END AS "$status", {{job}}
  FROM k
  {{told_job}}
