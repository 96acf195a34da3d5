-- What job actors do with the runs of their job. Every write shows the number of the claim: a run that was rescued
-- meanwhile has another one, and nothing is changed.

-- What a claimed run becomes, and tells; which statement chose it makes no difference.

-- part: as_claimed
claim        = nextval('millrace.job_claim'),
       claimed_by   = k.worker,
       heartbeat_at = now(),
       started_at   = coalesce(r.started_at, now())
  FROM due, k
 WHERE r.id = due.id
RETURNING r.id, r.claim, r.attempt, r.owner, r.scheduled_for, r.args::text, r.traceparent,
          (extract(epoch FROM now() - r.run_after) * 1000)::bigint AS waited_ms

-- Nobody takes runs of a job that is paused. What is at work goes on.

-- part: is_paused
EXISTS (SELECT FROM millrace.job j WHERE j.name = k.job AND j.paused_at IS NOT NULL)

-- name: run_due__claim
-- Changes no column that an index looks at, but for the slot of a job that has one. Whether that is free is asked once: a million
-- runs may wait for it.
WITH k AS (
    SELECT k.*, (k.alone AND EXISTS (SELECT FROM millrace.job_run o WHERE o.slot = k.job)) OR {{is_paused}} AS taken
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) AS k (job, worker, most, alone)
), due AS (
    SELECT r.id
      FROM k
     CROSS JOIN LATERAL (SELECT r.id
                           FROM millrace.job_run r
                          WHERE NOT k.taken
                            AND r.job = k.job
                            AND r.finished_at IS NULL
                            AND r.state IN ('queued', 'failed')
                            AND r.run_after <= now()
                          ORDER BY r.run_after, r.id
                          LIMIT k.most
                            FOR NO KEY UPDATE SKIP LOCKED) r
)
UPDATE millrace.job_run r
   SET state        = 'running',
       attempt      = r.attempt + 1,
       slot         = CASE WHEN r.exclusive THEN r.job END,
       {{as_claimed}};

-- name: run_due__claim_in_turn
-- For a job that users start: the next is a run of the user who comes, by id, after the one who was served last. So whoever has
-- one run waits for one turn of each other user, however many runs those have. Runs of nobody come last.
WITH k AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k (job, worker, served)
), due AS (
    SELECT next.id
      FROM k
     CROSS JOIN LATERAL (
           SELECT * FROM (SELECT r.id FROM millrace.job_run r
                           WHERE r.job = k.job AND r.finished_at IS NULL AND r.owner > k.served
                             AND r.state IN ('queued', 'failed') AND r.run_after <= now()
                           ORDER BY r.owner, r.run_after, r.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) behind
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.job_run r
                           WHERE r.job = k.job AND r.finished_at IS NULL AND r.owner <= k.served
                             AND r.state IN ('queued', 'failed') AND r.run_after <= now()
                           ORDER BY r.owner, r.run_after, r.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) before
            UNION ALL
           SELECT * FROM (SELECT r.id FROM millrace.job_run r
                           WHERE r.job = k.job AND r.finished_at IS NULL AND r.owner IS NULL
                             AND r.state IN ('queued', 'failed') AND r.run_after <= now()
                           ORDER BY r.run_after, r.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) nobody
            LIMIT 1) next
     WHERE NOT {{is_paused}}
)
UPDATE millrace.job_run r
   SET state        = 'running',
       attempt      = r.attempt + 1,
       {{as_claimed}};

-- name: run_due__waits
-- Whether another run of the job could start.
SELECT EXISTS (SELECT FROM millrace.job_run r
                WHERE r.job = k.job AND r.finished_at IS NULL AND r.state IN ('queued', 'failed') AND r.run_after <= now()) AND NOT {{is_paused}} AS waits
  FROM unnest($1::text[]) AS k (job);

-- name: run_due__pass
-- Gives a run back in the middle, for others to have their turn. Among runs of users it waits as if it were new; otherwise it stays the
-- first of its job.
UPDATE millrace.job_run r
   SET state     = 'queued',
       slot      = NULL,
       attempt   = r.attempt - 1,
       run_after = CASE WHEN k.in_turn THEN now()
                        ELSE least(now(), (SELECT w.run_after - interval '1 microsecond'
                                             FROM millrace.job_run w
                                            WHERE w.job = r.job AND w.finished_at IS NULL AND w.state IN ('queued', 'failed')
                                            ORDER BY w.run_after, w.id
                                            LIMIT 1)) END
                   + k.later_ms * interval '1 millisecond'
  FROM unnest($1::uuid[], $2::bigint[], $3::boolean[], $4::bigint[]) AS k (id, claim, in_turn, later_ms)
 WHERE r.id = k.id AND r.claim = k.claim AND r.state = 'running'
RETURNING r.id, pg_notify('millrace_jobs', '')::text;

-- name: run_due__disown
-- A claim whose answer was lost with the connection was nobody's.
UPDATE millrace.job_run r
   SET state = 'queued', slot = NULL, attempt = r.attempt - 1
  FROM unnest($1::text[], $2::text[]) AS k (job, worker)
 WHERE r.job = k.job AND r.finished_at IS NULL AND r.state = 'running' AND r.claimed_by = k.worker
RETURNING r.id;

-- name: run_due__hold
SELECT r.phase, r.cursor, r.done, r.result::text, r.cancel_requested, coalesce((r.result #>> '{skipped,count}')::bigint, 0) AS skipped
  FROM unnest($1::uuid[], $2::bigint[]) AS k (id, claim)
  JOIN millrace.job_run r ON r.id = k.id AND r.claim = k.claim AND r.state = 'running'
   FOR NO KEY UPDATE OF r;

-- name: run_due__table
-- Whether it is a table, with rows of its own.
SELECT c.relkind FROM pg_class c WHERE c.oid = to_regclass(($1::text[])[1]) AND c.relkind IN ('r', 'p');

-- name: run_due__wait
UPDATE millrace.job_run r
   SET error = k.error
  FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS k (id, claim, error)
 WHERE r.id = k.id AND r.claim = k.claim AND r.state = 'running'
RETURNING r.id;

-- name: run_due__progress
-- The heart beats when the chunk commits: now() is when it began, which may be long ago. A unit that was skipped is counted in the
-- result, and named there as long as there are not a hundred.
UPDATE millrace.job_run r
   SET phase        = k.phase,
       cursor       = k.cursor,
       done         = r.done + k.rows,
       error        = NULL,
       heartbeat_at = clock_timestamp(),
       result       = r.result || k.result::jsonb
                      || CASE WHEN k.counter IS NULL THEN '{}'
                              ELSE jsonb_build_object(k.counter, coalesce((r.result ->> k.counter)::bigint, 0) + k.rows) END
                      || CASE WHEN k.skipped IS NULL THEN '{}'
                              ELSE jsonb_build_object('skipped', jsonb_build_object(
                                       'count', coalesce((r.result #>> '{skipped,count}')::bigint, 0) + 1,
                                       'units', coalesce(r.result #> '{skipped,units}', '[]')
                                                || CASE WHEN coalesce((r.result #>> '{skipped,count}')::bigint, 0) < 100
                                                        THEN k.skipped::jsonb ELSE '[]' END)) END
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[])
       AS k (id, claim, phase, cursor, rows, counter, result, skipped)
 WHERE r.id = k.id AND r.claim = k.claim AND r.state = 'running'
RETURNING r.id;

-- name: run_due__end
-- Answers with the state the run is in, also when an earlier try of this statement had taken effect; with none when it is
-- not ours any more. To give a run back ('queued') does not count as an attempt; a failure waits before the next, twice as
-- long each time, give or take 10 %.
--
-- That a run is running is compared with a column: the planner takes such runs for few, and with a constant would read them
-- all for every element.
WITH k AS (
    SELECT k.*, 'running' AS held
      FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS k (id, claim, state, error, n)
), changed AS (
    UPDATE millrace.job_run r
       SET state       = CASE WHEN k.state = 'failed' AND r.attempt >= r.max_attempts THEN 'dead' ELSE k.state END,
           slot        = NULL,
           attempt     = CASE WHEN k.state = 'queued' THEN r.attempt - 1 ELSE r.attempt END,
           run_after   = CASE WHEN k.state = 'failed'
                              THEN now() + least(power(2, r.attempt), 3600) * (0.9 + 0.2 * random()) * interval '1 second'
                              ELSE now() END,
           finished_at = CASE WHEN k.state IN ('succeeded', 'cancelled') OR (k.state = 'failed' AND r.attempt >= r.max_attempts)
                              THEN now() END,
           total       = CASE WHEN k.state = 'succeeded' THEN r.done ELSE r.total END,
           error       = k.error
      FROM k
     WHERE r.id = k.id AND r.claim = k.claim AND r.state = k.held
    RETURNING k.n, r.state, CASE WHEN k.state = 'queued' THEN pg_notify('millrace_jobs', '')::text END
)
SELECT n, state FROM changed
 UNION ALL
SELECT k.n, r.state
  FROM k
  JOIN millrace.job_run r ON r.id = k.id AND r.claim = k.claim AND r.state <> 'running'
 WHERE (SELECT count(*) FROM changed) < (SELECT count(*) FROM k);

-- ---- What the scheduler does ----
--
-- LIMIT 1 keeps a subquery for one row one: plans are made while the table is empty, when to read all of it looks cheap.
--
-- None of these waits for a lock of a row: while the scheduler waits, no tick of any job fires and no heart beats. Rows that
-- somebody else holds are passed over; a later round finds them.

-- How long a scheduler that says nothing more is taken to be there.

-- part: hold
jsonb_build_object(k.holder, now() + interval '60 seconds')

-- The other schedulers that are there.

-- part: others
SELECT h.key AS holder, h.value::timestamptz AS until
          FROM jsonb_each_text(held.holders) h
         WHERE h.key <> k.holder AND h.value::timestamptz > now()

-- part: held_with_others
coalesce((SELECT jsonb_object_agg(o.holder, o.until) FROM ({{others}}) o), '{}') || {{hold}}

-- part: last_other
LEFT JOIN LATERAL (SELECT o.holder, to_char(o.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS until
                      FROM ({{others}}) o ORDER BY o.until DESC LIMIT 1) last ON true

-- name: schedule__sync
-- A schedule that is new, or another than before, counts from now on; one that is the same goes on where it was. A mark ahead of
-- the database's clock was set by a process whose own clock was: it is set back, or ticks that are missed until then would not be
-- caught up. Without a row: somebody else holds it.
--
-- While another scheduler is there that has a different schedule for one of the jobs nothing is changed, and only these jobs are
-- answered, with its schedule, its name and until when it is there at least. Two that start at once are told apart by the lock of
-- the row: what `held` reads is the last version.
WITH k AS (
    SELECT *
      FROM unnest($1::text[], $2::boolean[], $3::boolean[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
           AS k (name, exclusive, manual, schedule, timezone, now, holder)
), held AS (
    SELECT j.name, j.schedule, j.timezone, j.holders, j.ticked_at,
           j.ticked_at > greatest(now(), k.now) + interval '10 seconds' AS ahead
      FROM millrace.job j
      JOIN k ON k.name = j.name
     ORDER BY j.name
       FOR NO KEY UPDATE OF j SKIP LOCKED
), refused AS (
    SELECT held.name, held.schedule, held.timezone, last.holder, last.until
      FROM held
      JOIN k ON k.name = held.name
      {{last_other}}
     WHERE last.holder IS NOT NULL AND (held.schedule, held.timezone) IS DISTINCT FROM (k.schedule, k.timezone)
), made AS (
    INSERT INTO millrace.job (name, exclusive, manual, schedule, timezone, ticked_at, holders)
    SELECT k.name, k.exclusive, k.manual, k.schedule, k.timezone, CASE WHEN k.schedule IS NOT NULL THEN k.now END, {{hold}}
      FROM k
     WHERE NOT EXISTS (SELECT FROM refused) AND NOT EXISTS (SELECT FROM millrace.job j WHERE j.name = k.name)
     ORDER BY k.name
        ON CONFLICT DO NOTHING
    RETURNING name, ticked_at
), changed AS (
    UPDATE millrace.job j
       SET exclusive = k.exclusive,
           manual    = k.manual,
           schedule  = k.schedule,
           timezone  = k.timezone,
           ticked_at = CASE WHEN k.schedule IS NULL THEN NULL
                            WHEN (j.schedule, j.timezone) IS DISTINCT FROM (k.schedule, k.timezone) THEN k.now
                            WHEN held.ahead THEN least(now(), k.now)
                            ELSE j.ticked_at END,
           next_at   = NULL,
           holders   = {{held_with_others}}
      FROM held
      JOIN k ON k.name = held.name
     WHERE j.name = held.name AND NOT EXISTS (SELECT FROM refused)
    RETURNING j.name, j.ticked_at, held.ahead
)
SELECT name, ticked_at, false AS ahead, now() AS clock, NULL AS schedule, NULL AS timezone, NULL AS holder, NULL AS until FROM made
 UNION ALL
SELECT name, ticked_at, coalesce(ahead, false), now(), NULL, NULL, NULL, NULL FROM changed
 UNION ALL
SELECT name, NULL, false, now(), schedule, timezone, holder, until FROM refused;

-- name: schedule__hold
-- Says that this scheduler is still there. Answers with the jobs whose schedule is not the one it wrote: somebody else has replaced
-- it, while this process was away.
WITH k AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (name, schedule, timezone, holder)
), held AS (
    SELECT j.name, j.schedule, j.timezone, j.holders
      FROM millrace.job j
      JOIN k ON k.name = j.name
     ORDER BY j.name
       FOR NO KEY UPDATE OF j SKIP LOCKED
), kept AS (
    UPDATE millrace.job j
       SET holders = {{held_with_others}}
      FROM held
      JOIN k ON k.name = held.name
     WHERE j.name = held.name AND (held.schedule, held.timezone) IS NOT DISTINCT FROM (k.schedule, k.timezone)
)
SELECT held.name, held.schedule, held.timezone, last.holder, last.until
  FROM held
  JOIN k ON k.name = held.name
  {{last_other}}
 WHERE (held.schedule, held.timezone) IS DISTINCT FROM (k.schedule, k.timezone);

-- name: schedule__let_go
-- This scheduler stops, or rests. For how long, in milliseconds, another one is taken to be there that says nothing more; 0: none is.
WITH k AS (
    SELECT * FROM unnest($1::text[]) AS k (holder)
), mine AS (
    SELECT j.name, j.holders FROM millrace.job j JOIN k ON j.holders ? k.holder ORDER BY j.name FOR NO KEY UPDATE OF j SKIP LOCKED
), left_behind AS (
    UPDATE millrace.job j SET holders = mine.holders - k.holder FROM mine, k WHERE j.name = mine.name
)
SELECT coalesce(max(extract(epoch FROM o.until - now()) * 1000), 0)::bigint AS others_ms
  FROM k
 CROSS JOIN millrace.job held
 CROSS JOIN LATERAL ({{others}}) o;

-- name: schedule__tick
-- A run for each tick that nobody has made one for; then the job's next one. An element without a tick only moves that. Of a job that
-- is paused nothing is made and the mark stays, so that its ticks were missed when it goes on.
WITH k AS (
    SELECT k.*, j.name AS known, j.exclusive, j.paused_at IS NOT NULL AS paused
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
           WITH ORDINALITY AS k (id, job, schedule, tick, seen_to, next_at, n)
      JOIN millrace.job j ON j.name = k.job
), made AS (
    INSERT INTO millrace.job_run (id, job, trigger, scheduled_for, exclusive)
    SELECT k.id, k.job, 'cron', k.tick, k.exclusive FROM k WHERE k.tick IS NOT NULL AND NOT k.paused ORDER BY k.job, k.tick
        ON CONFLICT (job, scheduled_for) WHERE scheduled_for IS NOT NULL DO NOTHING
    RETURNING job_run.id
), held AS (
    SELECT j.name FROM millrace.job j JOIN (SELECT DISTINCT k.job FROM k) d ON j.name = d.job ORDER BY j.name FOR NO KEY UPDATE OF j SKIP LOCKED
), moved AS (
    UPDATE millrace.job j
       SET ticked_at = CASE WHEN last.paused THEN j.ticked_at ELSE greatest(j.ticked_at, last.seen_to) END, next_at = last.next_at
      FROM held
      JOIN (SELECT DISTINCT ON (k.job) k.* FROM k ORDER BY k.job, k.n DESC) last ON last.job = held.name
     WHERE j.name = held.name AND j.schedule = last.schedule
)
SELECT k.n, made.id IS NOT NULL AS made, k.paused FROM k LEFT JOIN made ON made.id = k.id;

-- name: schedule__paused
-- Whether a job is paused, for schedules that were when a tick of theirs came.
SELECT {{is_paused}} AS paused FROM unnest($1::text[]) AS k (job);

-- name: schedule__kinds
-- Kinds of push and pull that have a schedule; where they say no zone, or no rule for missed ticks, they have the process's.
SELECT j.name, j.schedule, coalesce(j.timezone, k.timezone) AS timezone, coalesce(j.missed, k.missed) AS missed, j.ticked_at, j.next_at,
       j.paused_at IS NOT NULL AS paused
  FROM unnest($1::text[], $2::text[]) AS k (timezone, missed)
  JOIN millrace.job j ON j.work <> 'sql' AND j.schedule IS NOT NULL AND j.removed_at IS NULL
 ORDER BY j.name;

-- name: schedule__queue_ticks
-- A run for each tick of a kind of push or pull that nobody has queued one for; then its next one. An element without a tick only moves
-- that. Nothing is done for one that was paused, removed or given another schedule meanwhile. Each tick is answered: whether it was made
-- here, or why it is refused.
WITH k AS (
    SELECT k.*
      FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
           WITH ORDINALITY AS k (job, schedule, tick, seen_to, next_at, n)
      JOIN millrace.job j ON j.name = k.job AND j.schedule = k.schedule AND j.work <> 'sql' AND j.paused_at IS NULL AND j.removed_at IS NULL
), asked AS (
    SELECT array_agg(k.n::integer ORDER BY k.n) AS ns, array_agg(k.job ORDER BY k.n) AS jobs, array_agg(k.tick ORDER BY k.n) AS ticks,
           count(*)::integer AS many
      FROM k
     WHERE k.tick IS NOT NULL
    HAVING count(*) > 0
), queued AS MATERIALIZED (
    SELECT q.n, q.id, q.duplicate, q.status, q.message
      FROM asked a
     CROSS JOIN LATERAL millrace.queue_runs(a.ns, a.jobs, array_fill('{}'::jsonb, ARRAY[a.many]), a.ticks, array_fill(NULL::integer, ARRAY[a.many]),
                                            array_fill(NULL::text, ARRAY[a.many]), array_fill(NULL::text, ARRAY[a.many]),
                                            array_fill(NULL::text, ARRAY[a.many]), array_fill('cron'::text, ARRAY[a.many])) q
), held AS (
    SELECT j.name FROM millrace.job j JOIN (SELECT DISTINCT k.job FROM k) d ON j.name = d.job ORDER BY j.name FOR NO KEY UPDATE OF j SKIP LOCKED
), moved AS (
    UPDATE millrace.job j
       SET ticked_at = greatest(j.ticked_at, last.seen_to), next_at = last.next_at
      FROM held
      JOIN (SELECT DISTINCT ON (k.job) k.* FROM k ORDER BY k.job, k.n DESC) last ON last.job = held.name
     WHERE j.name = held.name AND j.schedule = last.schedule
)
SELECT q.n, q.id IS NOT NULL AND NOT q.duplicate AS made, q.status, q.message FROM queued q;

-- name: schedule__sweep
SELECT s.promoted, s.expired, s.next_ms FROM millrace.sweep_runs(($1::bigint[])[1]::integer) s;

-- name: schedule__outgrown
-- What gives tables new statistics that have ten times the rows that theirs say, of the engine and of the application. Of one column, with
-- few pages: how many rows there are is what matters, and autovacuum goes on to count the changes for which it analyzes all columns. A table
-- that autovacuum is at, of which PostgreSQL would warn, has its statistics from that. In the order of chance, so that one which cannot be
-- analyzed keeps no other waiting.
SELECT format('DO %L', format('BEGIN SET LOCAL default_statistics_target = 10; SET LOCAL client_min_messages = error; ANALYZE (SKIP_LOCKED) %I.%I (%I); END',
                              n.nspname, c.relname, a.attname))
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum LIMIT 1) a
 WHERE c.relkind = 'r'
   AND n.nspname IN ('millrace', current_schema())
   AND c.reltuples >= 0
   AND pg_stat_get_live_tuples(c.oid) >= greatest(10 * c.reltuples, ($1::bigint[])[1])
   AND pg_has_role(c.relowner, 'USAGE')
 ORDER BY random()
 LIMIT 20;

-- name: schedule__due
-- For each job: for how long its oldest due run has waited, whatever it waits for; whether a run could start now; whether there is
-- any that is not finished. One row is looked at, however many wait for the one that is at work.
SELECT k.n,
       (SELECT (extract(epoch FROM now() - r.run_after) * 1000)::bigint
          FROM millrace.job_run r
         WHERE r.job = k.job AND r.finished_at IS NULL AND r.state IN ('queued', 'failed') AND r.run_after <= now()
         ORDER BY r.run_after, r.id
         LIMIT 1) AS waited_ms,
       NOT (k.alone AND EXISTS (SELECT FROM millrace.job_run o WHERE o.slot = k.job)) AND NOT {{is_paused}} AS may_start,
       (SELECT true FROM millrace.job_run r WHERE r.job = k.job AND r.finished_at IS NULL LIMIT 1) IS NOT NULL AS has_unfinished
  FROM unnest($1::text[], $2::boolean[]) WITH ORDINALITY AS k (job, alone, n);

-- name: schedule__waiting
-- For each job: how many due runs wait, ten thousand at most, so that a backlog does not make looking at it dear.
SELECT k.n,
       (SELECT count(*)
          FROM (SELECT
                  FROM millrace.job_run r
                 WHERE r.job = k.job AND r.finished_at IS NULL AND r.state IN ('queued', 'failed') AND r.run_after <= now()
                 LIMIT 10000) AS due) AS waiting
  FROM unnest($1::text[]) WITH ORDINALITY AS k (job, n);

-- name: schedule__queues
-- For each job of push and pull: how many of its runs stand where, ten thousand at most of each; for how long the oldest has waited that
-- is ready, as far as the first two hundred and the first of two hundred keys tell; whether it is paused; and what came of attempts,
-- from `since` on: in minutes that nobody adds to any more, and in those behind.
WITH k AS (
    SELECT s.since, greatest(s.since, date_trunc('minute', now()) - interval '2 minutes') AS edge
      FROM unnest($1::timestamptz[]) AS k (since)
     CROSS JOIN LATERAL (SELECT coalesce(k.since, date_trunc('minute', now())) AS since) s
), counted AS (
    SELECT j.name, j.removed_at, j.paused_at IS NOT NULL AS paused,
           (SELECT count(*) FROM (SELECT FROM millrace.ready r WHERE r.job = j.name LIMIT 10000) x) AS ready,
           (SELECT count(*) FROM (SELECT FROM millrace.later r WHERE r.job = j.name LIMIT 10000) x) AS later,
           (SELECT count(*) FROM (SELECT FROM millrace.lease r WHERE r.job = j.name LIMIT 10000) x) AS leased,
           (SELECT count(*) FROM (SELECT FROM millrace.stopped r WHERE r.job = j.name AND r.outcome = 'dead' LIMIT 10000) x) AS dead
      FROM millrace.job j
     WHERE j.work <> 'sql'
)
SELECT c.name, c.ready, c.later, c.leased, c.dead, o.oldest_ms, c.paused, k.edge, t.succeeded, t.failed, t.dead, t.cancelled,
       t.young_succeeded, t.young_failed, t.young_dead, t.young_cancelled
  FROM k
  LEFT JOIN counted c ON c.removed_at IS NULL OR c.ready + c.later + c.leased > 0
  LEFT JOIN LATERAL (
      WITH RECURSIVE first AS (
          (SELECT r.key, r.id, 1 AS i FROM millrace.ready r WHERE r.job = c.name ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
           UNION ALL
          SELECT next.key, next.id, f.i + 1
            FROM first f
           CROSS JOIN LATERAL (SELECT r.key, r.id FROM millrace.ready r WHERE r.job = c.name AND r.key > f.key ORDER BY r.job, r.key, r.turn, r.id LIMIT 1) next
           WHERE f.i < 200
      ), seen AS (
          SELECT f.id FROM first f
           UNION ALL
          (SELECT r.id FROM millrace.ready r WHERE r.job = c.name ORDER BY r.job, r.id LIMIT 200)
      )
      SELECT (extract(epoch FROM now() - min(r.due_at)) * 1000)::bigint AS oldest_ms FROM seen s JOIN millrace.run r ON r.id = s.id) o ON c.ready > 0
  LEFT JOIN LATERAL (
      SELECT (sum(y.succeeded) FILTER (WHERE y.minute < k.edge))::bigint AS succeeded, (sum(y.failed) FILTER (WHERE y.minute < k.edge))::bigint AS failed,
             (sum(y.dead) FILTER (WHERE y.minute < k.edge))::bigint AS dead, (sum(y.cancelled) FILTER (WHERE y.minute < k.edge))::bigint AS cancelled,
             (sum(y.succeeded) FILTER (WHERE y.minute >= k.edge))::bigint AS young_succeeded, (sum(y.failed) FILTER (WHERE y.minute >= k.edge))::bigint AS young_failed,
             (sum(y.dead) FILTER (WHERE y.minute >= k.edge))::bigint AS young_dead, (sum(y.cancelled) FILTER (WHERE y.minute >= k.edge))::bigint AS young_cancelled
        FROM millrace.run_tally y
       WHERE y.job = c.name AND y.minute >= k.since) t ON true
 ORDER BY c.name;

-- name: schedule__beat
-- The row of a run is held while a chunk is at work; then nobody rescues it either, and the chunk's end beats the heart. A run that
-- has its job's slot is found by that: a million may wait behind it.
WITH meant AS MATERIALIZED (
    SELECT k.job, k.claim, (SELECT r.id FROM millrace.job_run r WHERE r.slot = k.job AND r.claim = k.claim) AS id
      FROM unnest($1::text[], $2::bigint[]) AS k (job, claim)
), found AS (
    SELECT coalesce(m.id, other.id) AS id
      FROM meant m
      LEFT JOIN LATERAL (SELECT r.id
                           FROM millrace.job_run r
                          WHERE m.id IS NULL AND r.job = m.job AND r.finished_at IS NULL AND r.state = 'running' AND r.claim = m.claim
                          LIMIT 1) other ON true
), mine AS (
    SELECT r.id
      FROM (SELECT found.id FROM found ORDER BY found.id) f
     CROSS JOIN LATERAL (SELECT r.id FROM millrace.job_run r WHERE r.id = f.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) r
)
UPDATE millrace.job_run r SET heartbeat_at = now() FROM mine WHERE r.id = mine.id RETURNING r.id;

-- name: schedule__rescue
-- Runs whose owner has said nothing for too long, so that they were due before that. A chunk that is being committed right
-- now is no silence. Where a run has the job's slot no other is at work, and those that wait are not looked through.
WITH k AS (
    SELECT now() - k.silent_ms * interval '1 millisecond' AS since FROM unnest($1::bigint[]) AS k (silent_ms)
), holders AS (
    SELECT r.id, r.job FROM millrace.job_run r WHERE r.slot IS NOT NULL
), others AS MATERIALIZED (
    SELECT j.name FROM millrace.job j WHERE NOT (j.exclusive AND EXISTS (SELECT FROM holders h WHERE h.job = j.name))
), at_work AS (
    SELECT h.id FROM holders h
     UNION ALL
    SELECT r.id
      FROM k
     CROSS JOIN others o
     CROSS JOIN LATERAL (SELECT r.id
                           FROM millrace.job_run r
                          WHERE r.job = o.name AND r.finished_at IS NULL AND r.run_after < k.since AND r.state = 'running' AND r.slot IS NULL
                          LIMIT 10000) r
), silent AS (
    SELECT r.id
      FROM k
     CROSS JOIN (SELECT at_work.id FROM at_work ORDER BY at_work.id LIMIT 10000) w
     CROSS JOIN LATERAL (SELECT r.id
                           FROM millrace.job_run r
                          WHERE r.id = w.id AND r.state = 'running' AND r.run_after < k.since AND r.heartbeat_at < k.since
                          LIMIT 1
                            FOR NO KEY UPDATE SKIP LOCKED) r
)
UPDATE millrace.job_run r
   SET state       = CASE WHEN r.cancel_requested THEN 'cancelled' WHEN r.attempt >= r.max_attempts THEN 'dead' ELSE 'queued' END,
       slot        = NULL,
       claim       = NULL,
       run_after   = now(),
       finished_at = CASE WHEN r.cancel_requested OR r.attempt >= r.max_attempts THEN now() END,
       error       = 'its process went silent'
  FROM silent
 WHERE r.id = silent.id
RETURNING r.job, r.id, r.attempt, r.state, (extract(epoch FROM now() - r.started_at) * 1000)::bigint AS ran_ms, r.claimed_by;

-- name: schedule__broken_upload
-- The next upload behind `after` that no run was made of and that nobody has been heard of for so long; it is held. Also up to where
-- uploads were looked at; nothing: to the end. Some 64 parts are one upload, so that these are walked from one to the next.
WITH RECURSIVE k AS (
    SELECT k.after, now() - k.silent_ms * interval '1 millisecond' AS since FROM unnest($1::uuid[], $2::bigint[]) AS k (after, silent_ms)
), walk AS (
    SELECT (SELECT p.run_id FROM millrace.import_part p WHERE p.run_id > k.after ORDER BY p.run_id LIMIT 1) AS run_id, 1 AS n FROM k
     UNION ALL
    SELECT (SELECT p.run_id FROM millrace.import_part p WHERE p.run_id > w.run_id ORDER BY p.run_id LIMIT 1), w.n + 1
      FROM walk w
     WHERE w.run_id IS NOT NULL AND w.n < 2000
), broken AS (
    SELECT p.run_id
      FROM walk w
     CROSS JOIN k
     CROSS JOIN LATERAL (SELECT p.run_id
                           FROM millrace.import_part p
                          WHERE p.run_id = w.run_id AND p.part = 0 AND p.created_at < k.since
                            AND NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.id = w.run_id)
                            AND NOT EXISTS (SELECT FROM millrace.import_part q WHERE q.run_id = w.run_id AND q.created_at >= k.since)
                          LIMIT 1
                            FOR UPDATE SKIP LOCKED) p
     LIMIT 1
)
SELECT (SELECT b.run_id FROM broken b) AS broken,
       (SELECT w.run_id FROM walk w ORDER BY w.n DESC LIMIT 1) AS walked_to,
       (SELECT w.run_id FROM walk w WHERE w.n = 1) IS NOT NULL AS has_any;

-- name: schedule__drop_upload
-- In the same transaction, but on a snapshot of its own: a run that was made of it before it was held is seen.
WITH k AS (
    SELECT * FROM unnest($1::uuid[]) AS k (run_id)
), gone AS (
    DELETE FROM millrace.import_part p USING k WHERE p.run_id = k.run_id AND NOT EXISTS (SELECT FROM millrace.job_run r WHERE r.id = k.run_id) RETURNING p.part
)
SELECT count(*) AS parts FROM gone;
