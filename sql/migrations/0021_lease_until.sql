-- runs with: 7
-- Leases by when they run out, without their id: as the second column of an index it was a way to find a run's lease that seemed to cost no more
-- than the primary key where statistics say that there are none. They say so whenever few runs are in hand, and while a transaction stays open
-- that index holds each lease of the last minutes. An outcome read all of it, and a list of waiting runs once for each.
DROP INDEX millrace.lease_until;
CREATE INDEX lease_until ON millrace.lease (until);

-- A lease that ran out is handed out again at once: the lease itself was the pause. In the order of the index alone: a sort would lock, and so keep
-- from others, every run whose lease ran out, and not the few that are asked for. The instant is a variable, for which the index is searched.
CREATE OR REPLACE FUNCTION millrace.sweep_runs(most integer) RETURNS TABLE (promoted integer, expired integer, next_ms bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    ids    uuid[];
    claims bigint[];
    moment timestamptz := clock_timestamp();
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
             WHERE l.until <= moment
             ORDER BY l.until
             LIMIT $1
               FOR UPDATE OF l SKIP LOCKED) e;
    expired := coalesce(cardinality(ids), 0);
    IF expired > 0 THEN
        PERFORM millrace.settle_runs(ids, claims, array_fill('expired'::text, ARRAY[expired]), NULL, array_fill('the lease ran out'::text, ARRAY[expired]),
                                     array_fill(0::bigint, ARRAY[expired]), NULL, NULL);
    END IF;

    next_ms := ceil(extract(epoch FROM least((SELECT l.at FROM millrace.later l ORDER BY l.at, l.id LIMIT 1),
                                             (SELECT l.until FROM millrace.lease l ORDER BY l.until LIMIT 1)) - clock_timestamp()) * 1000);
    IF next_ms < 0 THEN
        next_ms := 0;
    END IF;
    RETURN NEXT;
END
$$;
