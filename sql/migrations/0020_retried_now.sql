-- runs with: 7
-- As it was, but that a failed run whose next attempt is to be now is due now. It kept the time of its retry: within its key it stood behind
-- every run that was queued until then, and the job's oldest run seemed to wait since some time to come.
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
    -- Behind these locks a run comes from `later` to `ready` at most, and is then as early as it may be.
    places := ARRAY(SELECT r.ctid
                      FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
                     CROSS JOIN LATERAL (SELECT r.ctid FROM millrace.run r WHERE r.id = i.i AND r.outcome IS NULL AND r.failed LIMIT 1 FOR NO KEY UPDATE) r);
    RETURN QUERY
    WITH sooner AS (
        DELETE FROM millrace.later l USING unnest(places) p JOIN millrace.run r ON r.ctid = p WHERE l.id = r.id RETURNING p AS place
    ), again AS (
        UPDATE millrace.run r SET due_at = now(), turn = now() - r.priority * interval '1 minute' FROM sooner s WHERE r.ctid = s.place
        RETURNING r.job, r.key, r.turn, r.id
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT a.job, a.key, a.turn, a.id FROM again a RETURNING ready.job, ready.id
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
    )
    SELECT r.id FROM readied r WHERE (SELECT count(*) FROM told) >= 0;
END
$$;
