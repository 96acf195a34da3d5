-- What folders declare of their jobs, and which folder's declaration stands (docs/decisions/0061-kinds.md). Both in one transaction,
-- behind a lock: two processes that start at once are told apart.

-- part: is_held
EXISTS (SELECT FROM jsonb_each_text(d.holders) h WHERE h.value::timestamptz > now())

-- name: declaration__hold
-- Says that this process serves that folder, and for how long that is believed. Whether its declaration stands: of the folders that
-- processes serve it is the one that was first seen last. What nobody has served for long is forgotten, and new when it comes back.
WITH k AS (
    SELECT k.digest, k.holder, now() + interval '60 seconds' AS until FROM unnest($1::text[], $2::text[]) AS k (digest, holder)
), forgotten AS (
    DELETE FROM millrace.declaration d USING k WHERE d.digest <> k.digest AND d.seen_at < now() - interval '90 days' AND NOT {{is_held}}
), mine AS (
    INSERT INTO millrace.declaration AS d (digest, holders)
    SELECT k.digest, jsonb_build_object(k.holder, k.until) FROM k
        ON CONFLICT (digest) DO UPDATE
       SET holders = coalesce((SELECT jsonb_object_agg(h.key, h.value) FROM jsonb_each_text(d.holders) h WHERE h.value::timestamptz > now()), '{}')
                     || excluded.holders
    RETURNING d.digest, d.seen_at
)
SELECT NOT EXISTS (SELECT FROM millrace.declaration d WHERE d.digest <> mine.digest AND d.seen_at > mine.seen_at AND {{is_held}}) AS stands
  FROM mine;

-- name: declaration__let_go
UPDATE millrace.declaration d
   SET holders = d.holders - k.holder
  FROM unnest($1::text[], $2::text[]) AS k (digest, holder)
 WHERE d.digest = k.digest AND d.holders ? k.holder;

-- name: declaration__write
-- Makes the rows of jobs what the folder says, and says which were changed. When jobs of statements run is the schedulers' to write, who
-- hold it (decision 0037); a schedule that is new, or another than before, counts from now on. What another folder, or an older one,
-- declared is removed: what waits is worked on, nothing is queued any more. An element without columns is known, and not written.
WITH k AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS k (name, origin, columns)
), wanted AS (
    SELECT k.name, k.origin, c.work, c.exclusive, c.manual, c.args, c.url, c.secrets, coalesce(c.attempts, 10) AS attempts,
           coalesce(c.retry_first_ms, 2000) AS retry_first_ms, coalesce(c.retry_most_ms, 3600000) AS retry_most_ms,
           coalesce(c.timeout_ms, 30000) AS timeout_ms, c.concurrency, c.per_key, coalesce(c.priority, 0) AS priority, c.unique_by,
           c.unique_for_ms, c.missed, c.keep_ms, c.declared,
           CASE WHEN c.work = 'sql' THEN j.schedule ELSE c.schedule END AS schedule,
           CASE WHEN c.work = 'sql' THEN j.timezone ELSE c.timezone END AS timezone
      FROM k
     CROSS JOIN LATERAL jsonb_populate_record(NULL::millrace.job, k.columns::jsonb) c
      LEFT JOIN millrace.job j ON j.name = k.name
     WHERE k.columns IS NOT NULL
), written AS (
    INSERT INTO millrace.job AS j (name, origin, work, exclusive, manual, args, url, secrets, attempts, retry_first_ms, retry_most_ms, timeout_ms,
                                   concurrency, per_key, priority, unique_by, unique_for_ms, missed, keep_ms, declared, schedule, timezone,
                                   ticked_at, changed_at)
    SELECT w.name, w.origin, w.work, w.exclusive, w.manual, w.args, w.url, w.secrets, w.attempts, w.retry_first_ms, w.retry_most_ms, w.timeout_ms,
           w.concurrency, w.per_key, w.priority, w.unique_by, w.unique_for_ms, w.missed, w.keep_ms, w.declared, w.schedule, w.timezone,
           CASE WHEN w.schedule IS NOT NULL THEN now() END, now()
      FROM wanted w
     ORDER BY w.name
        ON CONFLICT (name) DO UPDATE
       SET origin = excluded.origin, work = excluded.work, exclusive = excluded.exclusive, manual = excluded.manual, args = excluded.args,
           url = excluded.url, secrets = excluded.secrets, attempts = excluded.attempts, retry_first_ms = excluded.retry_first_ms,
           retry_most_ms = excluded.retry_most_ms, timeout_ms = excluded.timeout_ms, concurrency = excluded.concurrency,
           per_key = excluded.per_key, priority = excluded.priority, unique_by = excluded.unique_by, unique_for_ms = excluded.unique_for_ms,
           missed = excluded.missed, keep_ms = excluded.keep_ms, declared = excluded.declared,
           schedule = excluded.schedule, timezone = excluded.timezone, removed_at = NULL, changed_at = now(),
           ticked_at = CASE WHEN (j.schedule, j.timezone) IS NOT DISTINCT FROM (excluded.schedule, excluded.timezone) THEN j.ticked_at
                            ELSE excluded.ticked_at END,
           next_at = CASE WHEN (j.schedule, j.timezone) IS NOT DISTINCT FROM (excluded.schedule, excluded.timezone) THEN j.next_at END
     WHERE (j.origin, j.work, j.exclusive, j.manual, j.args, j.url, j.secrets, j.attempts, j.retry_first_ms, j.retry_most_ms, j.timeout_ms,
            j.concurrency, j.per_key, j.priority, j.unique_by, j.unique_for_ms, j.missed, j.keep_ms, j.declared, j.schedule, j.timezone)
           IS DISTINCT FROM
           (excluded.origin, excluded.work, excluded.exclusive, excluded.manual, excluded.args, excluded.url, excluded.secrets, excluded.attempts,
            excluded.retry_first_ms, excluded.retry_most_ms, excluded.timeout_ms, excluded.concurrency, excluded.per_key, excluded.priority,
            excluded.unique_by, excluded.unique_for_ms, excluded.missed, excluded.keep_ms, excluded.declared, excluded.schedule, excluded.timezone)
        OR j.removed_at IS NOT NULL
    RETURNING j.name
), removed AS (
    UPDATE millrace.job j
       SET removed_at = now(), changed_at = now()
     WHERE j.removed_at IS NULL AND j.origin <> 'managed' AND NOT EXISTS (SELECT FROM k WHERE k.name = j.name)
    RETURNING j.name
)
SELECT w.name, false AS removed FROM written w
 UNION ALL
SELECT r.name, true FROM removed r;
