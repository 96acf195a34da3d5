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
            SELECT 'runAt', 'must be a point in time' WHERE NOT isfinite($3)
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
