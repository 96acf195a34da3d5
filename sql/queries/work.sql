-- Runs in the hands of workers: claims, outcomes, and what is looked for while clients wait. The functions are those of migration 15.

-- part: gone
SELECT k.n
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (user_id, n)
 WHERE k.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM millrace.app_user u WHERE u.id = k.user_id)

-- name: run_claim__gone
{{gone}};

-- name: run_claim__take
-- The claims of a job in their order: what each may take at most, for how long, and who it is for. Of a job that has nothing to claim for
-- good there is one row, which says why.
SELECT c.n,
       CASE WHEN j.name IS NULL THEN 404 WHEN j.work <> 'pull' THEN 409 END AS "$status",
       CASE WHEN j.work <> 'pull' THEN 'The runs of this job are not for workers to claim.' END AS "$message",
       c.id, c.claim, nullif(c.key, '') AS key, c.attempt, c.max_attempts AS "maxAttempts", c.args,
       c.created_at AS "createdAt", c.due_at AS "dueAt", c.scheduled_for AS "scheduledFor", c.traceparent, c.until AS "leaseUntil"
  FROM (SELECT $1::text AS name) asked
  LEFT JOIN millrace.job j ON j.name = asked.name
 CROSS JOIN LATERAL millrace.claim_for(CASE WHEN j.work = 'pull' THEN j.name END, $2::bigint[], $3::bigint[], $4::text[], $5::text) c
UNION ALL
SELECT 0, CASE WHEN j.name IS NULL THEN 404 ELSE 409 END, CASE WHEN j.name IS NOT NULL THEN 'The runs of this job are not for workers to claim.' END,
       NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM (SELECT $1::text AS name) asked
  LEFT JOIN millrace.job j ON j.name = asked.name
 WHERE j.work IS DISTINCT FROM 'pull';

-- name: run_release__settle
SELECT s.n
  FROM millrace.settle_runs($1::uuid[], $2::bigint[], array_fill('released'::text, ARRAY[cardinality($1::uuid[])]),
                            NULL, NULL, NULL, NULL, NULL) s
 WHERE s.status = 200;

-- name: run_outcomes__gone
{{gone}};

-- name: run_outcomes__settle
-- To a key that is narrowed to other jobs a run is one that is not there.
SELECT s.n, s.status, s.state, s.message
  FROM millrace.settle_runs(
           ARRAY(SELECT CASE WHEN k.only_jobs IS NULL
                               OR EXISTS (SELECT FROM millrace.run r WHERE r.id = k.id AND r.job = ANY (k.only_jobs::text[])) THEN k.id
                             ELSE '00000000-0000-0000-0000-000000000000' END
                   FROM unnest($1::uuid[], $9::text[]) WITH ORDINALITY AS k (id, only_jobs, n)
                  ORDER BY k.n),
           $2::bigint[], $3::text[], $4::text[]::jsonb[], $5::text[], $6::bigint[], $7::bigint[], $8::text[]::jsonb[]) s
 ORDER BY s.n;

-- name: run_watch__look
-- Jobs that have something to claim, and how much, a thousand at most; and which of the runs have come to their end, or are gone.
SELECT j.name AS job, c.runs, NULL::uuid AS ended
  FROM unnest($1::text[]) AS w (job)
  JOIN millrace.job j ON j.name = w.job AND j.work = 'pull' AND j.paused_at IS NULL
 CROSS JOIN LATERAL (SELECT count(*) AS runs FROM (SELECT FROM millrace.ready r WHERE r.job = j.name LIMIT 1000) r) c
 WHERE c.runs > 0
UNION ALL
SELECT NULL, NULL, w.id
  FROM unnest($2::uuid[]) AS w (id)
 WHERE NOT EXISTS (SELECT FROM millrace.run r WHERE r.id = w.id AND r.outcome IS NULL)
   AND NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.id = w.id AND r.state NOT IN ('succeeded', 'dead', 'cancelled'));

-- name: run_watch__sweep
SELECT s.promoted, s.expired, s.next_ms FROM millrace.sweep_runs(($1::bigint[])[1]::integer) s;
