-- runs with: 7
-- A run that is posted alone (docs/decisions/0076-fewer-steps.md).

-- Nobody holds a schedule: no scheduler is there, or it rests. A function, so that a statement that does not ask does not get ready to.
CREATE FUNCTION millrace.is_unattended() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM millrace.job j CROSS JOIN LATERAL jsonb_each_text(j.holders) h WHERE h.value::timestamptz > now());
END
$$;

-- What POST /v1/jobs/{job}/runs answers: the columns of the statement job_run_create, in its order.
CREATE TYPE millrace.run_answer AS (
    n             integer, -- the message
    status        integer,
    field         text,
    code          text,
    message       text,
    id            uuid,
    job           text,
    trigger       text,
    state         text,
    attempt       integer,
    max_attempts  integer,
    scheduled_for timestamptz,
    created_at    timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    done          bigint,
    total         bigint,
    result        jsonb,
    error         text,
    waits_for     text,
    due_at        timestamptz,
    key           text,
    priority      integer,
    args          jsonb,
    duplicate     boolean
);

-- Queues and answers the messages `ns`, places in the arrays, of a batch of job_run_create: those that are not plain, or are nobody's. None where
-- `ns` is NULL.
CREATE FUNCTION millrace.queue_others(ns integer[], users uuid[], jobs text[], traceparents text[], api_keys uuid[], args text[], priorities bigint[],
                                      keys text[])
    RETURNS SETOF millrace.run_answer
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH k AS MATERIALIZED (
        SELECT array_agg(k.n::integer) AS ns, array_agg(k.args::jsonb) AS args, array_agg(k.priority::integer) AS priorities, array_agg(k.key) AS keys,
               array_agg(k.traceparent) AS traceparents, array_agg('manual'::text) AS triggers,
               array_agg(CASE WHEN k.api_key IS NOT NULL OR (SELECT true FROM millrace.app_user u WHERE u.id = k.user_id) THEN k.job END) AS jobs
          FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY AS k (user_id, job, traceparent, api_key, args, priority, key, n)
         WHERE k.n = ANY ($1)
    ), q AS MATERIALIZED (
        SELECT q.*
          FROM k
         CROSS JOIN LATERAL millrace.queue_and_tell(k.ns, k.jobs, k.args, NULL, k.priorities, k.keys, NULL, k.traceparents, k.triggers, NULL) q
    )
    -- One that another message of the batch, or a transaction that was waited for, has just queued is not seen here: of it the id is known.
    SELECT q.n, CASE WHEN q.job IS NULL THEN 401 WHEN q.status = 404 THEN 404 WHEN q.status = 400 THEN 400 WHEN q.status IS NOT NULL THEN 409 END,
           CASE WHEN q.status <> 404 THEN q.field END,
           CASE WHEN q.message = 'is required' THEN 'required' WHEN q.message = 'is not an argument of the job' THEN 'unknown'
                WHEN q.status = 400 THEN 'rule' END,
           CASE WHEN q.status <> 404 THEN q.message END,
           q.id, q.job, coalesce(r.trigger, 'manual'), coalesce(r.state, 'queued'), coalesce(r.attempt, 0), coalesce(r.max_attempts, q.max_attempts),
           r.scheduled_for, coalesce(r.created_at, now()), r.started_at, r.finished_at,
           CASE WHEN jsonb_typeof(r.progress -> 'done') = 'number' THEN least(greatest((r.progress ->> 'done')::numeric, 0), 9e18)::bigint ELSE 0 END,
           CASE WHEN jsonb_typeof(r.progress -> 'total') = 'number' THEN least(greatest((r.progress ->> 'total')::numeric, 0), 9e18)::bigint END,
           r.result, r.error, CASE WHEN q.work <> 'pull' AND coalesce(r.state, 'queued') = 'queued' AND millrace.is_unattended() THEN 'scheduler' END,
           coalesce(r.due_at, CASE WHEN NOT q.duplicate THEN q.due_at END), nullif(coalesce(r.key, CASE WHEN NOT q.duplicate THEN q.key END), ''),
           coalesce(r.priority, CASE WHEN NOT q.duplicate THEN q.priority END), r.args, nullif(q.duplicate, false)
      FROM q
      LEFT JOIN LATERAL (SELECT r.* FROM millrace.every_run r WHERE q.duplicate AND r.id = q.id AND NOT r.is_sql) r ON true
     ORDER BY q.n, q.field;
END
$$;

-- PostgreSQL reads a CHECK anew for every statement that inserts or updates rows, which took as long as a run. Functions of the engine write the
-- column; for whoever else changes it, the trigger refuses what is no outcome.
ALTER TABLE millrace.run DROP CONSTRAINT run_outcome;

CREATE OR REPLACE FUNCTION millrace.keep_stopped() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.outcome NOT IN ('succeeded', 'dead', 'cancelled') THEN
        RAISE check_violation USING MESSAGE = format('"%s" is no outcome of a run', NEW.outcome), TABLE = 'run', COLUMN = 'outcome';
    END IF;
    DELETE FROM millrace.stopped s WHERE s.job = OLD.job AND s.outcome = OLD.outcome AND s.id = OLD.id;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO millrace.stopped (job, outcome, id)
        SELECT NEW.job, NEW.outcome, NEW.id WHERE NEW.outcome IN ('dead', 'cancelled') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
