-- runs with: 7
-- What using the queue found. Each function is as it was, but for what its comment says.

-- A run of `bulk` changes runs of any job, and its entry in the audit is written by the operations that ask for it: nothing else starts one.
-- Whoever was granted millrace.enqueue, or had a key of scope `jobs:enqueue`, could.
CREATE OR REPLACE FUNCTION millrace.run_problems(j millrace.job, args jsonb, run_at timestamptz, priority integer, key text, unique_key text)
    RETURNS TABLE (status integer, field text, message text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF ($1).name IS NULL THEN
        RETURN QUERY SELECT 404, 'job', 'there is no such job';
        RETURN;
    END IF;
    IF ($1).removed_at IS NOT NULL THEN
        RETURN QUERY SELECT 409, 'job', 'was removed: nothing is queued for it any more';
        RETURN;
    END IF;
    IF ($1).name = 'bulk' AND ($1).work = 'sql' THEN
        RETURN QUERY SELECT 409, 'job', 'is started by POST /v1/job-runs/retry, /cancel and /delete, not by hand';
        RETURN;
    END IF;
    IF ($1).work = 'sql' AND NOT ($1).manual THEN
        RETURN QUERY SELECT 409, 'job', 'is started by an upload, not by hand';
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 400, p.field, p.message
      FROM (SELECT 'args', 'must be an object' WHERE jsonb_typeof($2) <> 'object'
             UNION ALL
            SELECT 'args', 'must have at most 1 MiB' WHERE pg_column_size($2) > 1048576
             UNION ALL
            SELECT 'runAt', 'must be a point in time before the year 10000' WHERE NOT isfinite($3) OR $3 >= '10000-01-01 00:00:00+00'
             UNION ALL
            SELECT 'priority', 'must be from -100 to 100' WHERE ($1).work <> 'sql' AND $4 NOT BETWEEN -100 AND 100
             UNION ALL
            SELECT 'key', 'must be at most 255 characters long' WHERE ($1).work <> 'sql' AND length($5) > 255
             UNION ALL
            SELECT 'uniqueKey', 'must be 1 to 255 characters long' WHERE ($1).work <> 'sql' AND length($6) NOT BETWEEN 1 AND 255
             UNION ALL
            SELECT 'priority', 'is for jobs of work push and pull' WHERE ($1).work = 'sql' AND $4 IS NOT NULL
             UNION ALL
            SELECT 'key', 'is for jobs of work push and pull' WHERE ($1).work = 'sql' AND $5 IS NOT NULL
             UNION ALL
            SELECT 'uniqueKey', 'is for jobs of work push and pull' WHERE ($1).work = 'sql' AND $6 IS NOT NULL) p (field, message);
    IF ($1).args IS NOT NULL AND jsonb_typeof($2) = 'object' THEN
        RETURN QUERY SELECT 400, p.field, p.message FROM millrace.args_problems(($1).args, $2) p;
    END IF;
END
$$;

-- Of two runs with one unique key that are queued again in one call the first has the key, and the second stays as it is. The first is not
-- alive before the end of the call, so that its key was taken for one that nobody needs.
CREATE OR REPLACE FUNCTION millrace.requeue_runs(ids uuid[]) RETURNS SETOF uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    places     tid[];
    over       uuid[];
    jobs       text[];
    outcomes   text[];
    has_unique boolean;
    lost       uuid[] := '{}'; -- another run stands for their unique key
    item       record;
BEGIN
    SELECT array_agg(r.ctid), array_agg(r.id), array_agg(r.job), array_agg(r.outcome), bool_or(r.unique_key IS NOT NULL)
      INTO places, over, jobs, outcomes, has_unique
      FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
     CROSS JOIN LATERAL (SELECT r.ctid, r.id, r.job, r.outcome, r.unique_key
                           FROM millrace.run r
                          WHERE r.id = i.i AND r.outcome IN ('dead', 'cancelled')
                          LIMIT 1
                            FOR NO KEY UPDATE) r;
    IF has_unique THEN
        FOR item IN
            SELECT r.id, r.job, r.unique_key, j.unique_for_ms
              FROM unnest(over) i
              JOIN millrace.run r ON r.id = i
              LEFT JOIN millrace.job j ON j.name = r.job
             WHERE r.unique_key IS NOT NULL
             ORDER BY r.job, r.unique_key
        LOOP
            IF coalesce(millrace.take_unique(item.job, item.unique_key, item.id, now() + item.unique_for_ms * interval '1 millisecond', over), item.id) <> item.id THEN
                lost := lost || item.id;
            END IF;
        END LOOP;
    END IF;
    PERFORM set_config('millrace.keeps_stopped', 'yes', true);
    RETURN QUERY
    WITH kind AS MATERIALIZED (
        SELECT jsonb_object_agg(j.name, j.attempts) AS attempts FROM (SELECT DISTINCT o FROM unnest(jobs) o) o JOIN millrace.job j ON j.name = o.o
    ), o AS MATERIALIZED (
        SELECT o.* FROM unnest(places, over, jobs, outcomes) AS o (place, id, job, outcome) WHERE o.id NOT IN (SELECT unnest(lost))
    ), again AS (
        UPDATE millrace.run r
           SET outcome = NULL, finished_at = NULL, dead_at = NULL, cancelled_at = NULL, cancel_requested = false, failed = false, claim = NULL, told = NULL,
               max_attempts = r.attempt + coalesce(((SELECT k.attempts FROM kind k) -> r.job)::integer, 1),
               due_at = now(), turn = now() - r.priority * interval '1 minute'
          FROM o
         WHERE r.ctid = o.place -- where it was found: behind its lock it stays there
        RETURNING r.job, r.key, r.turn, r.id
    ), listed AS (
        DELETE FROM millrace.stopped s USING o WHERE s.job = o.job AND s.outcome = o.outcome AND s.id = o.id
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT a.job, a.key, a.turn, a.id FROM again a RETURNING ready.job, ready.id
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
    )
    SELECT r.id FROM readied r WHERE (SELECT count(*) FROM told) >= 0;
    PERFORM set_config('millrace.keeps_stopped', '', true);
    IF cardinality(over) = cardinality($1) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH sooner AS (
        DELETE FROM millrace.later l
         USING unnest($1) i
          JOIN millrace.run r ON r.id = i AND r.failed
         WHERE l.id = i
        RETURNING l.job, l.key, l.turn, l.id
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT s.job, s.key, s.turn, s.id FROM sooner s RETURNING ready.job, ready.id
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
    )
    SELECT r.id FROM readied r WHERE (SELECT count(*) FROM told) >= 0;
END
$$;

-- A lease that ran out is handed out again at once: the lease itself was the pause.
CREATE OR REPLACE FUNCTION millrace.sweep_runs(most integer) RETURNS TABLE (promoted integer, expired integer, next_ms bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    ids    uuid[];
    claims bigint[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT l.id FROM millrace.later l WHERE l.at <= now() ORDER BY l.at, l.id LIMIT $1 FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM millrace.later l USING due d WHERE l.id = d.id RETURNING l.job, l.key, l.turn, l.id
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT g.job, g.key, g.turn, g.id FROM gone g RETURNING ready.job
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
    )
    SELECT (SELECT count(*) FROM readied) + 0 * (SELECT count(*) FROM told) INTO promoted;

    SELECT array_agg(e.id), array_agg(e.claim)
      INTO ids, claims
      FROM (SELECT l.id, l.claim
              FROM millrace.lease l
             CROSS JOIN LATERAL (SELECT FROM millrace.run r WHERE r.id = l.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) r
             WHERE l.until <= clock_timestamp()
             ORDER BY l.until, l.id
             LIMIT $1
               FOR UPDATE OF l SKIP LOCKED) e;
    expired := coalesce(cardinality(ids), 0);
    IF expired > 0 THEN
        PERFORM millrace.settle_runs(ids, claims, array_fill('expired'::text, ARRAY[expired]), NULL, array_fill('the lease ran out'::text, ARRAY[expired]),
                                     array_fill(0::bigint, ARRAY[expired]), NULL, NULL);
    END IF;

    next_ms := ceil(extract(epoch FROM least((SELECT l.at FROM millrace.later l ORDER BY l.at, l.id LIMIT 1),
                                             (SELECT l.until FROM millrace.lease l ORDER BY l.until, l.id LIMIT 1)) - clock_timestamp()) * 1000);
    IF next_ms < 0 THEN
        next_ms := 0;
    END IF;
    RETURN NEXT;
END
$$;

-- Values that mean the same, as `unique` compares them: 12.50 of a column of SQL is 12.5, an instant has more than one spelling, and a UUID
-- two. Its callers pin the path.
CREATE FUNCTION millrace.alike(value jsonb, type text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN jsonb_typeof($1) = 'number' THEN to_jsonb(trim_scale(($1 #>> '{}')::numeric))
                WHEN $2 = 'uuid' THEN to_jsonb(lower($1 #>> '{}'))
                WHEN $2 = 'timestamp' THEN to_jsonb(trim_scale(extract(epoch FROM ($1 #>> '{}')::timestamptz)))
                ELSE $1 END
$$;

CREATE OR REPLACE FUNCTION millrace.queue_and_tell(ns integer[], jobs text[], args jsonb[], run_ats timestamptz[], priorities integer[], keys text[],
                                        unique_keys text[], traceparents text[], triggers text[], wholes integer[])
    RETURNS TABLE (n integer, id uuid, duplicate boolean, status integer, field text, message text, job text, work text, max_attempts integer,
                   due_at timestamptz, key text, priority integer, whole integer)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    base    bigint := (extract(epoch FROM clock_timestamp()) * 4096000)::bigint;
    chance  bigint := uuid_hash_extended(gen_random_uuid(), 0);
    ids     uuid[];
    uniques text[];
    found   uuid[];
    refused integer[] := '{}'; -- wholes
    has     record;
    item    record;
BEGIN
    SELECT bool_or(j.unique_by IS NOT NULL) IS TRUE AS unique, bool_or(j.work = 'sql') IS TRUE AS sql
      INTO has
      FROM millrace.job j
     WHERE j.name = ANY ($2);
    IF has.unique OR has.sql OR cardinality(array_remove($7, NULL)) > 0 OR 'cron' = ANY ($9) THEN
        ids := ARRAY(SELECT millrace.run_id(base + o, hashint8extended(o, chance)) FROM generate_series(1, cardinality($1)) o ORDER BY o);
        found := array_fill(NULL::uuid, ARRAY[coalesce(cardinality($1), 0)]);
        uniques := array_fill(NULL::text, ARRAY[coalesce(cardinality($1), 0)]);
        refused := ARRAY(SELECT DISTINCT k.whole
                           FROM unnest($2, $3, $4, $5, $6, $7, $10) AS k (job, args, run_at, priority, key, unique_key, whole)
                           LEFT JOIN millrace.job j ON j.name = k.job
                          WHERE k.whole IS NOT NULL AND EXISTS (SELECT FROM millrace.run_problems(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key)));
        FOR item IN
            SELECT k.o, j.name AS job, k.run_at, k.trigger = 'cron' AS is_tick,
                   coalesce(k.unique_key, CASE WHEN j.unique_by IS NOT NULL
                       THEN 'args:' || encode(sha256(convert_to((SELECT jsonb_agg(millrace.alike(millrace.filled_args(j.args, coalesce(k.args, '{}')) -> u.arg, j.args -> u.arg ->> 'type') ORDER BY u.i)
                                                                   FROM unnest(j.unique_by) WITH ORDINALITY AS u (arg, i))::text, 'UTF8')), 'hex') END) AS unique_key,
                   greatest(k.run_at, now()) + j.unique_for_ms * interval '1 millisecond' AS until
              FROM unnest($2, $3, $4, $5, $6, $7, $9, $10) WITH ORDINALITY AS k (job, args, run_at, priority, key, unique_key, trigger, whole, o)
              JOIN millrace.job j ON j.name = k.job
             WHERE j.work <> 'sql' AND (k.whole = ANY (refused)) IS NOT TRUE AND (k.unique_key IS NOT NULL OR j.unique_by IS NOT NULL OR k.trigger = 'cron')
               AND NOT EXISTS (SELECT FROM millrace.run_problems(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key))
             ORDER BY j.name, 5, k.o
        LOOP
            IF item.is_tick THEN
                PERFORM pg_advisory_xact_lock(hashtext('millrace.tick'), hashtext(item.job || item.run_at));
                found[item.o] := (SELECT r.id FROM millrace.run r WHERE r.job = item.job AND r.scheduled_for = item.run_at);
                FOR i IN 1..item.o - 1 LOOP -- the same tick twice in one call
                    IF $2[i] = item.job AND $4[i] = item.run_at AND $9[i] = 'cron' AND found[item.o] IS NULL THEN
                        found[item.o] := ids[i];
                    END IF;
                END LOOP;
            END IF;
            IF found[item.o] IS NULL AND item.unique_key IS NOT NULL THEN
                found[item.o] := millrace.take_unique(item.job, item.unique_key, ids[item.o], item.until, ids);
                uniques[item.o] := item.unique_key;
            END IF;
        END LOOP;
    END IF;
    IF has.sql THEN -- by a statement of its own: its trigger notifies, whether there are rows or not
        INSERT INTO millrace.job_run (id, job, trigger, run_after, exclusive, args, traceparent)
        SELECT k.id, j.name, CASE WHEN k.trigger IN ('cron', 'manual') THEN k.trigger ELSE 'user' END, greatest(k.run_at, now()), j.exclusive,
               CASE WHEN j.args IS NULL THEN coalesce(k.args, '{}') ELSE millrace.filled_args(j.args, coalesce(k.args, '{}')) END, k.traceparent
          FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, ids) AS k (job, args, run_at, priority, key, unique_key, traceparent, trigger, whole, id)
          JOIN millrace.job j ON j.name = k.job
         WHERE j.work = 'sql' AND (k.whole = ANY (refused)) IS NOT TRUE
           AND NOT EXISTS (SELECT FROM millrace.run_problems(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key));
    END IF;

    RETURN QUERY
    WITH k AS MATERIALIZED (
        SELECT k.o, k.n, k.job, coalesce(k.args, '{}') AS args, k.run_at, k.priority, k.key, k.unique_key, k.traceparent, coalesce(k.trigger, 'user') AS trigger,
               k.whole, k.found, k.has_key,
               coalesce(k.id, millrace.run_id(base + k.o, hashint8extended(k.o, chance))) AS id,
               j.work, j.args AS rules, j.attempts, coalesce(k.priority, j.priority) AS points, greatest(k.run_at, now()) AS due,
               millrace.is_plain_run(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key) AS is_plain
          FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ids, found, uniques)
               WITH ORDINALITY AS k (n, job, args, run_at, priority, key, unique_key, traceparent, trigger, whole, id, found, has_key, o)
          LEFT JOIN millrace.job j ON j.name = k.job
    ), problem AS MATERIALIZED (
        SELECT k.o, k.n, k.whole, k.job, k.work, p.status, p.field, p.message
          FROM k
          LEFT JOIN millrace.job j ON j.name = k.job
         CROSS JOIN LATERAL millrace.run_problems(j, k.args, k.run_at, k.priority, k.key, k.unique_key) p
         WHERE k.is_plain IS NOT TRUE
    ), good AS NOT MATERIALIZED (
        SELECT k.*
          FROM k
         WHERE (k.is_plain OR k.o NOT IN (SELECT p.o FROM problem p))
           AND (k.whole IS NULL OR k.whole NOT IN (SELECT p.whole FROM problem p WHERE p.whole IS NOT NULL))
    ), fresh AS NOT MATERIALIZED (
        SELECT g.*, g.due - g.points * interval '1 minute' AS turn FROM good g WHERE g.found IS NULL AND g.work <> 'sql'
    ), made AS (
        INSERT INTO millrace.run (id, job, key, unique_key, priority, args, trigger, scheduled_for, due_at, turn, max_attempts, traceparent)
        SELECT f.id, f.job, coalesce(f.key, ''), f.has_key, f.points, CASE WHEN f.rules IS NULL THEN f.args ELSE millrace.filled_args(f.rules, f.args) END,
               f.trigger, CASE WHEN f.trigger = 'cron' THEN f.run_at END, f.due, f.turn, f.attempts, f.traceparent
          FROM fresh f
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT f.job, coalesce(f.key, ''), f.turn, f.id FROM fresh f WHERE f.due <= now()
    ), delayed AS (
        INSERT INTO millrace.later (at, id, job, key, turn) SELECT f.due, f.id, f.job, coalesce(f.key, ''), f.turn FROM fresh f WHERE f.due > now()
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(f.job)) FROM fresh f WHERE f.due < now() + interval '1 second' HAVING count(*) > 0
    )
    SELECT g.n, coalesce(g.found, g.id), g.found IS NOT NULL, NULL::integer, NULL::text, NULL::text, g.job, g.work,
           CASE WHEN g.work = 'sql' THEN 5 ELSE g.attempts END, CASE WHEN g.work <> 'sql' THEN g.due END, g.key, CASE WHEN g.work <> 'sql' THEN g.points END, g.whole
      FROM good g
     WHERE (SELECT count(*) FROM told) >= 0
     UNION ALL
    SELECT p.n, NULL, false, p.status, p.field, p.message, p.job, p.work, NULL, NULL, NULL, NULL, p.whole FROM problem p;
END
$$;

-- A year of five digits is none in JSON.
CREATE OR REPLACE FUNCTION millrace.is_plain_run(j millrace.job, args jsonb, run_at timestamptz, priority integer, key text, unique_key text)
    RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT ($1).removed_at IS NULL AND ($1).work <> 'sql' AND ($1).args IS NULL AND jsonb_typeof($2) = 'object' AND pg_column_size($2) <= 1048576
           AND isfinite(coalesce($3, now())) AND coalesce($3, now()) < '10000-01-01 00:00:00+00' AND coalesce($4, 0) BETWEEN -100 AND 100 AND length(coalesce($5, '')) <= 255
           AND length(coalesce($6, 'x')) BETWEEN 1 AND 255
$$;
