-- What push asks of the database (jobs/push.c). Runs are claimed and settled by the functions of migration 15.

-- name: push__look
-- Jobs with runs that can be claimed now, as they are at this moment. One that was removed from its folder is worked on.
SELECT j.name, j.url, array_to_string(j.secrets, ' ') AS secrets, j.timeout_ms, num_nonnulls(j.concurrency, j.per_key)::bigint AS limits
  FROM millrace.job j
 WHERE j.work = 'push'
   AND j.paused_at IS NULL
   AND EXISTS (SELECT FROM millrace.ready r WHERE r.job = j.name)
 ORDER BY j.name;

-- name: push__claim
-- Limits are counted under a lock for each job: all processes take these in the order of names.
SELECT k.job, c.id, c.claim, c.attempt::bigint AS attempt, c.key, c.args::text AS args, c.created_at, c.traceparent
  FROM (SELECT u.job, u.most, u.after_key
          FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u (job, most, after_key)
         ORDER BY u.job
        OFFSET 0) k
 CROSS JOIN LATERAL millrace.claim_runs(k.job, k.most::integer, ($4::bigint[])[1], ($5::text[])[1], k.after_key) c;

-- name: push__settle
-- Every attempt is kept that was one; one that was told before stands there already.
WITH told AS (
    SELECT k.n, k.id, k.outcome, k.error, k.attempt, k.at, k.took_ms, k.status, k.answer
      FROM unnest($1::uuid[], $3::text[], $5::text[], $7::bigint[], $8::timestamptz[], $9::bigint[], $10::bigint[], $11::text[]) WITH ORDINALITY
           AS k (id, outcome, error, attempt, at, took_ms, status, answer, n)
), settled AS MATERIALIZED (
    SELECT s.n, s.status, s.state
      FROM millrace.settle_runs($1::uuid[], $2::bigint[], $3::text[], $4::text[]::jsonb[], $5::text[], $6::bigint[], NULL, NULL) s
), kept AS (
    INSERT INTO millrace.run_attempt (run_id, attempt, at, took_ms, status, answer, error, worker)
    SELECT t.id, t.attempt::integer, t.at, t.took_ms, t.status::integer, t.answer, t.error, ($12::text[])[1]
      FROM told t
      JOIN settled s ON s.n = t.n
     WHERE s.status = 200 AND t.outcome <> 'released'
        ON CONFLICT DO NOTHING
)
SELECT s.n::bigint AS n, s.status::bigint AS status, s.state FROM settled s;

-- name: push__beat
SELECT s.n::bigint AS n, s.status::bigint AS status, s.state
  FROM millrace.settle_runs($1::uuid[], $2::bigint[], $3::text[], NULL, NULL, NULL, $4::bigint[], NULL) s;

-- name: push__disown
-- Claims that were committed while the connection broke: nobody knows of them.
WITH stray AS (
    SELECT array_agg(l.id) AS ids, array_agg(l.claim) AS claims, array_agg('released'::text) AS outcomes
      FROM millrace.lease l
     WHERE l.worker = ($1::text[])[1] AND l.id <> ALL ($2::uuid[])
    HAVING count(*) > 0
)
SELECT count(*) AS n FROM stray t CROSS JOIN LATERAL millrace.settle_runs(t.ids, t.claims, t.outcomes, NULL, NULL, NULL, NULL, NULL) s;

-- name: push__pause
-- The receiver answered 410. Not when the job has had another URL since. It is in the audit as if somebody had done it.
WITH paused AS (
    UPDATE millrace.job j
       SET paused_at = now(), changed_at = now()
      FROM (SELECT DISTINCT u.job, u.url FROM unnest($1::text[], $2::text[]) AS u (job, url)) u
     WHERE j.name = u.job AND j.url = u.url AND j.paused_at IS NULL AND j.work = 'push'
    RETURNING j.name
), noted AS (
    INSERT INTO millrace.audit (id, by, operation, subject_type, subject_name, detail)
    SELECT millrace.uuid_v7(), 'system', 'job_pause', 'job', p.name, '{"reason": "the receiver answered 410"}' FROM paused p
)
SELECT p.name FROM paused p;

-- name: push__sweep
SELECT s.promoted::bigint AS promoted, s.next_ms FROM millrace.sweep_runs(1000) s;
