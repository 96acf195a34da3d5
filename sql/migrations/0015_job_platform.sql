-- runs with: 7
-- Work that any program queues and any program does (docs/decisions/0057-job-platform.md). Runs of jobs of `work: sql` stay in job_run,
-- on which the release before works; runs of `push` and `pull` live here, in tables that stay quick with millions of them:
--
--   run      what is kept of a run, finished or not
--   ready    the runs that can be claimed now, in the order of claims
--   later    those that wait for a time: delayed, snoozed, before a retry
--   lease    those in hand
--
-- A run that is not finished stands in exactly one of ready, later and lease. Whoever wants one run, or a list, of both stores reads
-- the view every_run.

-- ---- Kinds ----

ALTER TABLE millrace.job
    ADD COLUMN work           text        NOT NULL DEFAULT 'sql' CONSTRAINT job_work CHECK (work IN ('sql', 'push', 'pull')),
    ADD COLUMN origin         text        NOT NULL DEFAULT 'engine' CONSTRAINT job_origin CHECK (origin IN ('engine', 'folder', 'managed')),
    ADD COLUMN args           jsonb,                          -- a rule for each argument; NULL: any object will do
    ADD COLUMN url            text,
    ADD COLUMN secrets        text[],                         -- never in an answer, a log line or the audit
    ADD COLUMN attempts       integer     NOT NULL DEFAULT 10,
    ADD COLUMN retry_first_ms bigint      NOT NULL DEFAULT 2000,
    ADD COLUMN retry_most_ms  bigint      NOT NULL DEFAULT 3600000,
    ADD COLUMN timeout_ms     bigint      NOT NULL DEFAULT 30000, -- push: of a call; pull: the lease where a claim names none
    ADD COLUMN concurrency    integer,                        -- at once, in all processes; NULL: as many as are claimed
    ADD COLUMN per_key        integer,                        -- at once of one key
    ADD COLUMN priority       integer     NOT NULL DEFAULT 0,
    ADD COLUMN unique_by      text[],                         -- arguments that make a run the same as another
    ADD COLUMN unique_for_ms  bigint,                         -- NULL: while the other is not finished
    ADD COLUMN missed         text,
    ADD COLUMN keep_ms        bigint,                         -- NULL: JOB_RUN_RETENTION
    ADD COLUMN paused_at      timestamptz,                    -- no run is claimed
    ADD COLUMN removed_at     timestamptz,                    -- nothing is queued any more; what waits is worked on
    ADD COLUMN declared       jsonb,                          -- what the folder says of it
    ADD COLUMN changed_at     timestamptz;

-- Whom an entry is about that has no id: a job has a name.
ALTER TABLE millrace.audit ALTER COLUMN subject DROP NOT NULL, ADD COLUMN subject_name text;

-- ---- Runs ----

-- A claim writes nothing here, an outcome writes once. It changes no column that an index looks at unless the run dies or is
-- cancelled, so that it is a heap-only (HOT) update, for which a page has room.
--
-- No foreign key to the job: each enqueue would lock the job's row. Runs of a job that is gone are deleted by clean-up.
CREATE TABLE millrace.run (
    id               uuid        PRIMARY KEY, -- version 7
    job              text        NOT NULL,
    key              text        COLLATE "C" NOT NULL DEFAULT '', -- whose turn it is: a tenant, say
    unique_key       text        COLLATE "C",
    priority         integer     NOT NULL DEFAULT 0,
    args             jsonb       NOT NULL DEFAULT '{}',
    trigger          text        NOT NULL DEFAULT 'user',
    scheduled_for    timestamptz,             -- the tick that it is of
    created_at       timestamptz NOT NULL DEFAULT now(),
    due_at           timestamptz NOT NULL DEFAULT now(),
    turn             timestamptz NOT NULL DEFAULT now(), -- as it stands in ready or later
    attempt          integer     NOT NULL DEFAULT 0,     -- how many are over
    max_attempts     integer     NOT NULL DEFAULT 10,
    claim            bigint,                  -- the last one that is over,
    told             text,                    -- and how it ended
    failed           boolean     NOT NULL DEFAULT false, -- it waits after a failure
    cancel_requested boolean     NOT NULL DEFAULT false,
    outcome          text        CONSTRAINT run_outcome CHECK (outcome IN ('succeeded', 'dead', 'cancelled')), -- NULL: not finished
    started_at       timestamptz,             -- the first attempt
    finished_at      timestamptz,
    dead_at          timestamptz,
    cancelled_at     timestamptz,
    result           jsonb,
    error            text,
    progress         jsonb,
    traceparent      text,
    created_by       text        DEFAULT session_user
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX run_of_job ON millrace.run (job, id);
CREATE INDEX run_of_key ON millrace.run (job, key, id) WHERE key <> '';
-- A tick happens once, however many schedulers run.
CREATE UNIQUE INDEX run_tick ON millrace.run (job, scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE INDEX run_dead ON millrace.run (job, id) WHERE dead_at IS NOT NULL;
CREATE INDEX run_cancelled ON millrace.run (job, id) WHERE cancelled_at IS NOT NULL;

-- Keys take turns; among those of one key the least `turn` comes first: when it is due, less a minute for each point of priority. So
-- what waits rises past what is more urgent and younger.
CREATE TABLE millrace.ready (
    job  text        NOT NULL,
    key  text        COLLATE "C" NOT NULL,
    turn timestamptz NOT NULL,
    id   uuid        NOT NULL,
    PRIMARY KEY (job, key, turn, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 5000);

CREATE INDEX ready_of_job ON millrace.ready (job, id);

CREATE TABLE millrace.later (
    at   timestamptz NOT NULL,
    id   uuid        PRIMARY KEY,
    job  text        NOT NULL,
    key  text        COLLATE "C" NOT NULL,
    turn timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX later_at ON millrace.later (at, id);
CREATE INDEX later_of_job ON millrace.later (job, id);

-- `until` is the database's time: a worker's clock says nothing.
CREATE TABLE millrace.lease (
    id         uuid        PRIMARY KEY,
    job        text        NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    claim      bigint      NOT NULL,
    attempt    integer     NOT NULL,
    worker     text,
    until      timestamptz NOT NULL,
    started_at timestamptz NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX lease_of_job ON millrace.lease (job, key);
CREATE INDEX lease_until ON millrace.lease (until, id);

-- Rises with every claim; whoever tells an outcome shows it.
CREATE SEQUENCE millrace.run_claim CACHE 1;

-- Which run stands for a key. `until`: also when that run is finished.
CREATE TABLE millrace.run_unique (
    job        text NOT NULL,
    unique_key text COLLATE "C" NOT NULL,
    run_id     uuid NOT NULL,
    until      timestamptz,
    PRIMARY KEY (job, unique_key)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Of push every attempt, written by whoever makes the call; of pull those that failed. A lease that ran out is one of either.
CREATE TABLE millrace.run_attempt (
    run_id  uuid        NOT NULL,
    attempt integer     NOT NULL,
    at      timestamptz NOT NULL,
    took_ms bigint,
    status  integer,                -- of the answer
    answer  text,                   -- the first 2 KiB of it
    error   text,
    worker  text,
    PRIMARY KEY (run_id, attempt, at)
);

-- What came of attempts, by the minute in which they ended. A backend writes a row of its own, so that none waits for another.
CREATE TABLE millrace.run_tally (
    job       text        NOT NULL,
    minute    timestamptz NOT NULL,
    backend   integer     NOT NULL,
    succeeded bigint      NOT NULL DEFAULT 0,
    failed    bigint      NOT NULL DEFAULT 0, -- attempts, the last ones of dead runs among them
    dead      bigint      NOT NULL DEFAULT 0,
    cancelled bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (job, minute, backend)
) WITH (fillfactor = 50);

CREATE INDEX run_tally_minute ON millrace.run_tally (minute, job, backend);

-- ---- Both stores ----

-- For runs by their id. A list finds ids in the tables first, along their indexes, and reads the view for those of its page: the server
-- does not see through the union that both sides have the order, and would sort all there is.
--
-- Each store is one table in it and no join: only so is a run that another table names found by its index.
CREATE VIEW millrace.every_run AS
SELECT r.id, r.job, r.trigger, r.state, r.scheduled_for, r.run_after AS due_at, r.attempt, r.max_attempts, r.created_at, r.started_at,
       r.finished_at, r.done, r.total, nullif(r.result, '{}') AS result, r.error, r.args, r.owner, r.traceparent, r.cancel_requested,
       NULL::text COLLATE "C" AS key, NULL::text COLLATE "C" AS unique_key, NULL::integer AS priority, NULL::jsonb AS progress,
       r.claimed_by AS worker, NULL::timestamptz AS until, NULL::text AS created_by, true AS is_sql
  FROM millrace.job_run r
 UNION ALL
SELECT r.id, r.job, r.trigger,
       CASE WHEN r.outcome IS NOT NULL THEN r.outcome
            WHEN EXISTS (SELECT FROM millrace.lease l WHERE l.id = r.id) THEN CASE WHEN r.cancel_requested THEN 'cancelling' ELSE 'running' END
            WHEN r.failed THEN 'failed' ELSE 'queued' END,
       r.scheduled_for, r.due_at, CASE WHEN r.outcome IS NULL THEN coalesce((SELECT l.attempt FROM millrace.lease l WHERE l.id = r.id), r.attempt) ELSE r.attempt END,
       r.max_attempts, r.created_at,
       CASE WHEN r.started_at IS NULL AND r.outcome IS NULL THEN (SELECT l.started_at FROM millrace.lease l WHERE l.id = r.id) ELSE r.started_at END,
       r.finished_at, NULL, NULL, r.result, r.error, r.args, NULL, r.traceparent, r.cancel_requested, r.key, r.unique_key, r.priority, r.progress,
       CASE WHEN r.outcome IS NULL THEN (SELECT l.worker FROM millrace.lease l WHERE l.id = r.id) END,
       CASE WHEN r.outcome IS NULL THEN (SELECT l.until FROM millrace.lease l WHERE l.id = r.id) END, r.created_by, false
  FROM millrace.run r;

-- ---- Prompts ----

-- The last interval in which somebody was woken. Not of the transaction: others see at once that a wake is under way.
CREATE SEQUENCE millrace.wake MINVALUE 0 START 0 CACHE 1;

-- Tells channel millrace_ready of a job whose runs became ready, at most once in 10 ms for all jobs. So whoever listens looks at every
-- job, and again shortly after, for transactions that were later than the one that woke it; and each second all the same.
--
-- A NOTIFY takes a lock of the whole database from before its commit is written until after: transactions that notify commit one by
-- one. So while one that will is under way the others leave it at that, for 100 ms at most: it may stay open for an hour.
CREATE FUNCTION millrace.tell_ready(job text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bucket bigint := (extract(epoch FROM clock_timestamp()) * 100)::bigint;
    since  bigint := bucket - (SELECT w.last_value FROM millrace.wake w);
BEGIN
    IF since = 0 OR since BETWEEN -1000 AND -1 THEN -- further ahead: the clock was set back
        RETURN;
    END IF;
    IF pg_try_advisory_xact_lock(hashtext('millrace.wake'), 0) OR since NOT BETWEEN 0 AND 9 THEN
        PERFORM setval('millrace.wake', bucket), pg_notify('millrace_ready', $1);
    END IF;
END
$$;

-- ---- Enqueue ----

-- What is wrong with arguments, by the rules of the job: {"orderId": {"type": "uuid", "required": true}, …}. `length` is of a text:
-- [from, to], or at most a number. A null is as good as nothing.
CREATE FUNCTION millrace.args_problems(rules jsonb, args jsonb) RETURNS TABLE (field text, message text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    name  text;
    rule  jsonb;
    value jsonb;
    plain text;
    kind  text;
    least numeric;
    most  numeric;
BEGIN
    FOR name IN SELECT k FROM jsonb_object_keys($2) k WHERE NOT $1 ? k ORDER BY k LOOP
        RETURN QUERY SELECT 'args.' || name, 'is not an argument of the job';
    END LOOP;
    FOR name, rule IN SELECT r.key, r.value FROM jsonb_each($1) r LOOP
        field := 'args.' || name;
        value := nullif($2 -> name, 'null');
        IF value IS NULL THEN
            IF (rule -> 'required')::boolean AND NOT rule ? 'default' THEN
                message := 'is required';
                RETURN NEXT;
            END IF;
            CONTINUE;
        END IF;
        kind := jsonb_typeof(value);
        plain := value #>> '{}';
        message := CASE rule ->> 'type'
            WHEN 'uuid' THEN CASE WHEN kind <> 'string' OR plain !~ '^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$' THEN 'must be a UUID' END
            WHEN 'text' THEN CASE WHEN kind <> 'string' THEN 'must be a text' END
            WHEN 'boolean' THEN CASE WHEN kind <> 'boolean' THEN 'must be a boolean' END
            WHEN 'number' THEN CASE WHEN kind <> 'number' THEN 'must be a number' END
            WHEN 'integer' THEN CASE WHEN kind <> 'number' OR trunc(plain::numeric) <> plain::numeric
                                          OR plain::numeric NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN 'must be an integer' END
            WHEN 'timestamp' THEN CASE WHEN kind <> 'string' OR NOT millrace.is_instant(plain, true) THEN 'must be a timestamp such as 2026-01-31T12:00:00Z' END
            WHEN 'date' THEN CASE WHEN kind <> 'string' OR NOT millrace.is_instant(plain, false) THEN 'must be a date such as 2026-01-31' END
        END;
        IF message IS NOT NULL THEN
            RETURN NEXT;
            CONTINUE;
        END IF;
        CASE
        WHEN kind = 'number' THEN
            least := (rule ->> 'min')::numeric;
            most  := (rule ->> 'max')::numeric;
            IF plain::numeric < least OR plain::numeric > most THEN
                message := CASE WHEN most IS NULL THEN 'must be at least ' || least WHEN least IS NULL THEN 'must be at most ' || most
                                ELSE format('must be from %s to %s', least, most) END;
                RETURN NEXT;
            END IF;
        WHEN kind = 'string' AND rule ->> 'type' IN ('timestamp', 'date') THEN
            IF plain::timestamptz < (rule ->> 'min')::timestamptz OR plain::timestamptz > (rule ->> 'max')::timestamptz THEN
                message := CASE WHEN NOT rule ? 'max' THEN 'must be at least ' || (rule ->> 'min') WHEN NOT rule ? 'min' THEN 'must be at most ' || (rule ->> 'max')
                                ELSE format('must be from %s to %s', rule ->> 'min', rule ->> 'max') END;
                RETURN NEXT;
            END IF;
        WHEN kind = 'string' AND rule ? 'length' THEN
            least := CASE WHEN jsonb_typeof(rule -> 'length') = 'array' THEN (rule #>> '{length,0}')::numeric ELSE 0 END;
            most  := CASE WHEN jsonb_typeof(rule -> 'length') = 'array' THEN (rule #>> '{length,1}')::numeric ELSE (rule ->> 'length')::numeric END;
            IF length(plain) < least OR length(plain) > most THEN
                message := format('must be %s to %s characters long, is %s', least, most, length(plain));
                RETURN NEXT;
            END IF;
        ELSE
        END CASE;
    END LOOP;
END
$$;

-- Whether a text is an RFC 3339 timestamp, or its date alone, that there is in the calendar.
CREATE FUNCTION millrace.is_instant(it text, with_time boolean) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = ISO AS $$
BEGIN
    IF NOT with_time THEN
        RETURN it ~ '^\d{4}-\d\d-\d\d$' AND it::date IS NOT NULL;
    END IF;
    RETURN it ~ '^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$' AND it::timestamptz IS NOT NULL;
EXCEPTION WHEN data_exception THEN
    RETURN false;
END
$$;

-- What is wrong with a run that somebody wants to queue; `j` is NULL where there is no such job.
CREATE FUNCTION millrace.run_problems(j millrace.job, args jsonb, run_at timestamptz, priority integer, key text, unique_key text)
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

-- Arguments as the run gets them: with the defaults of those that were left out.
CREATE FUNCTION millrace.filled_args(rules jsonb, args jsonb) RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT jsonb_object_agg(r.key, r.value -> 'default') FROM jsonb_each(rules) r WHERE r.value ? 'default'), '{}')
           || coalesce((SELECT jsonb_object_agg(a.key, a.value) FROM jsonb_each(args) a WHERE a.value <> 'null'), '{}')
$$;

-- Makes `id` the run that stands for the key, or answers with the one that does. Whoever else wants the same key waits until this
-- transaction is over. A row of a run that is not finished is not locked: its outcome need not wait for somebody's transaction.
CREATE FUNCTION millrace.take_unique(job text, unique_key text, id uuid, until timestamptz, mine uuid[]) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other    uuid;
    is_stale boolean;
BEGIN
    FOR i IN 1..100 LOOP
        INSERT INTO millrace.run_unique VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN NULL;
        END IF;
        SELECT u.run_id, u.run_id <> ALL ($5) AND coalesce(u.until <= now(), true)
                         AND NOT EXISTS (SELECT FROM millrace.run r WHERE r.id = u.run_id AND r.outcome IS NULL)
          INTO other, is_stale
          FROM millrace.run_unique u
         WHERE u.job = $1 AND u.unique_key = $2;
        CONTINUE WHEN NOT FOUND; -- it has just finished
        IF NOT is_stale THEN
            RETURN other;
        END IF;
        UPDATE millrace.run_unique u SET run_id = $3, until = $4 WHERE u.job = $1 AND u.unique_key = $2 AND u.run_id = other;
        IF FOUND THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'the unique key changes hands too fast';
END
$$;

-- Queues runs, an element of the arrays each, and answers each: with its id, or with a row for each thing that is wrong with it.
-- A run of trigger 'cron' is a tick: `run_at` is its time, and there is one run of it.
CREATE FUNCTION millrace.queue_runs(ns integer[], jobs text[], args jsonb[], run_ats timestamptz[], priorities integer[], keys text[],
                                    unique_keys text[], traceparents text[], triggers text[])
    RETURNS TABLE (n integer, id uuid, duplicate boolean, status integer, field text, message text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    base  bigint := (extract(epoch FROM clock_timestamp()) * 4096000)::bigint; -- RFC 9562, 6.2, method 3: 12 bits of a millisecond
    ids   uuid[];
    found uuid[];
    has   record;
    item  record;
BEGIN
    SELECT coalesce(bool_or(j.unique_by IS NOT NULL), false) AS unique, coalesce(bool_or(j.work = 'sql'), false) AS sql
      INTO has
      FROM millrace.job j
     WHERE j.name = ANY ($2) AND (j.unique_by IS NOT NULL OR j.work = 'sql');
    IF has.unique OR has.sql OR cardinality(array_remove($7, NULL)) > 0 OR 'cron' = ANY ($9) THEN
        ids := ARRAY(SELECT (left(h.h, 12) || '7' || right(h.h, 3) || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid
                       FROM generate_series(1, cardinality($1)) o
                      CROSS JOIN LATERAL (SELECT lpad(to_hex(base + o), 15, '0') AS h) h
                      ORDER BY o);
        found := array_fill(NULL::uuid, ARRAY[cardinality($1)]);
        FOR item IN
            SELECT k.o, j.name AS job, k.run_at, k.trigger = 'cron' AS is_tick,
                   coalesce(k.unique_key, CASE WHEN j.unique_by IS NOT NULL
                       THEN 'args:' || encode(sha256(convert_to((SELECT jsonb_agg(millrace.filled_args(j.args, coalesce(k.args, '{}')) -> u.arg ORDER BY u.i)
                                                                   FROM unnest(j.unique_by) WITH ORDINALITY AS u (arg, i))::text, 'UTF8')), 'hex') END) AS unique_key,
                   greatest(k.run_at, now()) + j.unique_for_ms * interval '1 millisecond' AS until
              FROM unnest($2, $3, $4, $5, $6, $7, $9) WITH ORDINALITY AS k (job, args, run_at, priority, key, unique_key, trigger, o)
              JOIN millrace.job j ON j.name = k.job
             WHERE j.work <> 'sql' AND NOT EXISTS (SELECT FROM millrace.run_problems(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key))
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
            END IF;
        END LOOP;
    END IF;
    IF has.sql THEN -- by a statement of its own: its trigger notifies, whether there are rows or not
        INSERT INTO millrace.job_run (id, job, trigger, run_after, exclusive, args, traceparent)
        SELECT k.id, j.name, CASE WHEN k.trigger IN ('cron', 'manual') THEN k.trigger ELSE 'user' END, greatest(k.run_at, now()), j.exclusive,
               CASE WHEN j.args IS NULL THEN coalesce(k.args, '{}') ELSE millrace.filled_args(j.args, coalesce(k.args, '{}')) END, k.traceparent
          FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, ids) AS k (job, args, run_at, priority, key, unique_key, traceparent, trigger, id)
          JOIN millrace.job j ON j.name = k.job
         WHERE j.work = 'sql' AND NOT EXISTS (SELECT FROM millrace.run_problems(j, coalesce(k.args, '{}'), k.run_at, k.priority, k.key, k.unique_key));
    END IF;

    RETURN QUERY
    WITH k AS MATERIALIZED (
        SELECT k.o, k.n, coalesce(k.args, '{}') AS args, k.run_at, k.priority, k.key, k.unique_key, k.traceparent, coalesce(k.trigger, 'user') AS trigger, k.found,
               coalesce(k.id, (left(h.h, 12) || '7' || right(h.h, 3) || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid) AS id,
               j, j.work, j.args AS rules, j.unique_by, j.attempts, j.name AS job, coalesce(k.priority, j.priority) AS points,
               greatest(k.run_at, now()) AS due,
               j.removed_at IS NULL AND j.work <> 'sql' AND j.args IS NULL AND jsonb_typeof(coalesce(k.args, '{}')) = 'object'
                   AND coalesce(pg_column_size(k.args), 0) <= 1048576 AND isfinite(coalesce(k.run_at, now()))
                   AND coalesce(k.priority, 0) BETWEEN -100 AND 100 AND length(coalesce(k.key, '')) <= 255
                   AND length(coalesce(k.unique_key, 'x')) BETWEEN 1 AND 255 AS is_plain
          FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, ids, found)
               WITH ORDINALITY AS k (n, job, args, run_at, priority, key, unique_key, traceparent, trigger, id, found, o)
         CROSS JOIN LATERAL (SELECT lpad(to_hex(base + k.o), 15, '0') AS h) h
          LEFT JOIN millrace.job j ON j.name = k.job
    ), problem AS MATERIALIZED (
        SELECT k.o, k.n, p.status, p.field, p.message
          FROM k
         CROSS JOIN LATERAL (SELECT p.* FROM millrace.run_problems(k.j, k.args, k.run_at, k.priority, k.key, k.unique_key) p WHERE k.is_plain IS NOT TRUE) p
    ), good AS MATERIALIZED (
        SELECT k.* FROM k WHERE k.found IS NULL AND (k.is_plain OR k.o NOT IN (SELECT p.o FROM problem p))
    ), made AS (
        INSERT INTO millrace.run (id, job, key, unique_key, priority, args, trigger, scheduled_for, due_at, turn, max_attempts, traceparent)
        SELECT g.id, g.job, coalesce(g.key, ''),
               coalesce(g.unique_key, CASE WHEN g.unique_by IS NOT NULL
                   THEN (SELECT u.unique_key FROM millrace.run_unique u WHERE u.job = g.job AND u.run_id = g.id
                            AND u.unique_key = 'args:' || encode(sha256(convert_to((SELECT jsonb_agg(millrace.filled_args(g.rules, g.args) -> b.arg ORDER BY b.i)
                                                                                      FROM unnest(g.unique_by) WITH ORDINALITY AS b (arg, i))::text, 'UTF8')), 'hex')) END),
               g.points, CASE WHEN g.rules IS NULL THEN g.args ELSE millrace.filled_args(g.rules, g.args) END, g.trigger,
               CASE WHEN g.trigger = 'cron' THEN g.run_at END, g.due, g.due - g.points * interval '1 minute', g.attempts, g.traceparent
          FROM good g
         WHERE g.work <> 'sql'
        RETURNING run.id, run.job, run.key, run.turn, run.due_at
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id) SELECT m.job, m.key, m.turn, m.id FROM made m WHERE m.due_at <= now()
    ), delayed AS (
        INSERT INTO millrace.later (at, id, job, key, turn) SELECT m.due_at, m.id, m.job, m.key, m.turn FROM made m WHERE m.due_at > now()
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(g.job)) FROM good g WHERE g.work <> 'sql' AND g.due < now() + interval '1 second' HAVING count(*) > 0
    )
    SELECT k.n, coalesce(k.found, k.id), k.found IS NOT NULL, NULL::integer, NULL::text, NULL::text
      FROM k
     WHERE (SELECT count(*) FROM told) >= 0 AND (k.is_plain OR k.o NOT IN (SELECT p.o FROM problem p))
     UNION ALL
    SELECT p.n, NULL, false, p.status, p.field, p.message FROM problem p;
END
$$;

-- Raises what is wrong with a run that somebody wants to queue.
CREATE FUNCTION millrace.refuse_run(job text, status integer, field text, message text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = CASE $2 WHEN 404 THEN 'undefined_object' WHEN 409 THEN 'object_not_in_prerequisite_state' ELSE 'invalid_parameter_value' END,
        MESSAGE = CASE WHEN $3 = 'job' THEN format('job "%s": %s', $1, $4) ELSE format('job "%s": %s %s', $1, $3, $4) END,
        COLUMN = $3;
END
$$;

-- The run is in the caller's transaction, and gone with it. Whoever shall use it is granted EXECUTE, and USAGE on the schema:
--
--   GRANT USAGE ON SCHEMA millrace TO shop;
--   GRANT EXECUTE ON FUNCTION millrace.enqueue, millrace.enqueue_many TO shop;
CREATE FUNCTION millrace.enqueue(job text, args jsonb DEFAULT '{}', run_at timestamptz DEFAULT now(), priority integer DEFAULT NULL, key text DEFAULT NULL,
                                 unique_key text DEFAULT NULL)
    RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made record;
BEGIN
    SELECT q.id, q.status, q.field, q.message
      INTO made
      FROM millrace.queue_runs(ARRAY[1], ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6], NULL, NULL) q
     LIMIT 1;
    IF made.status IS NOT NULL THEN
        PERFORM millrace.refuse_run($1, made.status, made.field, made.message);
    END IF;
    RETURN made.id;
END
$$;

-- All of them, in their order, or none.
CREATE FUNCTION millrace.enqueue_many(job text, args jsonb[], run_at timestamptz DEFAULT now(), priority integer DEFAULT NULL, key text DEFAULT NULL,
                                      unique_key text DEFAULT NULL)
    RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    many   integer := coalesce(cardinality($2), 0);
    ids    uuid[];
    wrong  jsonb;
BEGIN
    IF many = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(q.id ORDER BY q.n), (array_agg(to_jsonb(q) ORDER BY q.n) FILTER (WHERE q.status IS NOT NULL))[1]
      INTO ids, wrong
      FROM millrace.queue_runs(ARRAY(SELECT generate_series(1, many)), array_fill($1, ARRAY[many]), $2, array_fill($3, ARRAY[many]),
                               array_fill($4, ARRAY[many]), array_fill($5, ARRAY[many]), array_fill($6, ARRAY[many]), NULL, NULL) q;
    IF wrong IS NOT NULL THEN
        PERFORM millrace.refuse_run($1, (wrong ->> 'status')::integer, wrong ->> 'field', wrong ->> 'message');
    END IF;
    RETURN QUERY SELECT unnest(ids);
END
$$;

REVOKE EXECUTE ON FUNCTION millrace.enqueue, millrace.enqueue_many FROM PUBLIC;

-- ---- Claims ----

-- The next runs of a job for a worker: keys in turn, beginning behind `after_key`, which is the key of the last run that the caller
-- was given; of each key those whose turn it is. Nothing of a job that is paused.
--
-- Limits are exact: whoever counts holds a lock that the claims of that job take in turn, taken by a statement before the one that
-- counts, so that this sees what the claim before has committed. Under REPEATABLE READ it would not.
--
-- While some transaction stays open, entries of claimed runs cannot be removed from the index, and each claim would read past all of
-- them: 10 ms after 20 s at 2,000 runs a second. So a session that has had to read past many notes how far it came in each key, and goes
-- on from there. What became ready behind such a mark is found by a look at everything, each second, or when that has become slow, so
-- that it takes a twentieth of the time. How many entries were read the server counts (track_counts); where keys are more than a claim
-- can take, each has its share of the dead entries, and nothing is noted.
CREATE FUNCTION millrace.claim_runs(job text, most integer, lease_ms bigint, worker text, after_key text)
    RETURNS TABLE (id uuid, claim bigint, attempt integer, max_attempts integer, key text, args jsonb, created_at timestamptz, due_at timestamptz,
                   scheduled_for timestamptz, traceparent text, until timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    kind    record;
    row     record;
    room    bigint      := $2;
    got     bigint;
    behind  text        := coalesce($5, '');
    number  bigint;
    its_end timestamptz;
    began   timestamptz := clock_timestamp();
    noted   text        := 'millrace.marks_' || md5($1);
    known   jsonb       := nullif(current_setting(noted, true), '')::jsonb; -- {"next": when to look at everything, "keys": {key: [turn, id]}}
    marks   jsonb       := CASE WHEN (known ->> 'next')::timestamptz > began THEN known -> 'keys' END;
    reads   bigint;
    looks   boolean     := marks IS NULL; -- at everything
    notes   boolean     := marks IS NOT NULL;
    calm    boolean     := false;
    came_to jsonb       := '{}';
BEGIN
    SELECT j.paused_at, j.concurrency, j.per_key, j.timeout_ms INTO kind FROM millrace.job j WHERE j.name = $1 AND j.work <> 'sql';
    IF NOT FOUND OR kind.paused_at IS NOT NULL THEN
        RETURN;
    END IF;
    IF kind.concurrency IS NOT NULL OR kind.per_key IS NOT NULL THEN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE invalid_transaction_state USING MESSAGE = 'claims of a job with limits need READ COMMITTED';
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('millrace.claim'), hashtext($1));
        SELECT j.paused_at, j.concurrency, j.per_key, j.timeout_ms INTO kind FROM millrace.job j WHERE j.name = $1;
        IF kind.concurrency IS NOT NULL THEN
            room := least(room, kind.concurrency - (SELECT count(*) FROM millrace.lease l WHERE l.job = $1));
        END IF;
    END IF;
    its_end := clock_timestamp() + coalesce($3, kind.timeout_ms) * interval '1 millisecond';

    -- Again where keys that had enough did not get all, because others had less than their share.
    FOR pass IN 1..2 LOOP
        EXIT WHEN room <= 0;
        number := coalesce(number, nextval('millrace.run_claim'));
        reads := pg_stat_get_xact_tuples_returned('millrace.ready_pkey'::regclass);
        got := 0;
        FOR row IN
            WITH RECURSIVE ahead AS (
                (SELECT r.key FROM millrace.ready r WHERE marks IS NULL AND r.job = $1 AND r.key > behind ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                 UNION ALL
                SELECT (SELECT r.key FROM millrace.ready r WHERE r.job = $1 AND r.key > a.key ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                  FROM ahead a
                 WHERE a.key IS NOT NULL
            ), around AS (
                (SELECT r.key FROM millrace.ready r WHERE marks IS NULL AND r.job = $1 AND r.key <= behind ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                 UNION ALL
                SELECT (SELECT r.key FROM millrace.ready r WHERE r.job = $1 AND r.key > a.key AND r.key <= behind ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                  FROM around a
                 WHERE a.key IS NOT NULL
            ), marked AS (
                SELECT m.key, (m.value ->> 0)::timestamptz AS turn, (m.value ->> 1)::uuid AS id
                  FROM jsonb_each(marks) m
                 ORDER BY m.key COLLATE "C" <= behind, m.key COLLATE "C"
            ), keys AS MATERIALIZED (
                SELECT w.key, w.turn, w.id, f.free, row_number() OVER () AS place
                  FROM (SELECT a.key, '-infinity'::timestamptz AS turn, '00000000-0000-0000-0000-000000000000'::uuid AS id FROM ahead a
                         UNION ALL
                        SELECT a.key, '-infinity', '00000000-0000-0000-0000-000000000000' FROM around a
                         UNION ALL
                        SELECT m.key, m.turn, m.id FROM marked m) w
                 CROSS JOIN LATERAL (SELECT CASE WHEN kind.per_key IS NULL THEN room
                                                 ELSE kind.per_key - (SELECT count(*) FROM millrace.lease l WHERE l.job = $1 AND l.key = w.key) END AS free) f
                 WHERE w.key IS NOT NULL AND f.free > 0
                 LIMIT room
            ), picked AS MATERIALIZED (
                SELECT p.ctid, p.id, p.turn, k.key, k.place, p.rank
                  FROM keys k
                 CROSS JOIN LATERAL (SELECT s.ctid, s.id, s.turn, row_number() OVER () AS rank
                                       FROM (SELECT r.ctid, r.id, r.turn
                                               FROM millrace.ready r
                                              WHERE r.job = $1 AND r.key = k.key AND (r.turn, r.id) > (k.turn, k.id)
                                              ORDER BY r.job, r.key, r.turn, r.id
                                              LIMIT least(k.free, CASE WHEN pass = 1 THEN (room + (SELECT count(*) FROM keys) - 1) / (SELECT count(*) FROM keys) ELSE room END)
                                                FOR UPDATE SKIP LOCKED) s) p
                 ORDER BY p.rank, k.place
                 LIMIT room
            ), gone AS (
                DELETE FROM millrace.ready r USING picked p WHERE r.ctid = p.ctid
            ), chosen AS MATERIALIZED (
                SELECT p.rank, p.place, p.turn, r.id, r.attempt + 1 AS attempt, r.max_attempts, r.key, r.args, r.created_at, r.due_at, r.scheduled_for, r.traceparent
                  FROM picked p
                  JOIN millrace.run r ON r.id = p.id
            ), leased AS (
                INSERT INTO millrace.lease (id, job, key, claim, attempt, worker, until, started_at)
                SELECT c.id, $1, c.key, number, c.attempt, $4, its_end, clock_timestamp() FROM chosen c
            )
            SELECT c.*, (SELECT count(*) FROM keys) AS keys FROM chosen c ORDER BY c.rank, c.place
        LOOP
            IF got = 0 AND marks IS NULL THEN -- all of it was done for the first row
                reads := pg_stat_get_xact_tuples_returned('millrace.ready_pkey'::regclass) - reads;
                notes := reads > 1000 + 10 * (room + row.keys) AND row.keys < room;
                calm := NOT notes;
            END IF;
            IF notes THEN
                came_to := came_to || jsonb_build_object(row.key, jsonb_build_array(row.turn, row.id));
            END IF;
            id := row.id;
            claim := number;
            attempt := row.attempt;
            max_attempts := row.max_attempts;
            key := row.key;
            args := row.args;
            created_at := row.created_at;
            due_at := row.due_at;
            scheduled_for := row.scheduled_for;
            traceparent := row.traceparent;
            until := its_end;
            RETURN NEXT;
            got := got + 1;
        END LOOP;
        room := room - got;
        EXIT WHEN got = 0 OR room = 0;
        IF notes THEN
            marks := coalesce(known -> 'keys', '{}') || came_to;
        ELSE
            EXIT WHEN NOT EXISTS (SELECT FROM millrace.ready r WHERE r.job = $1);
        END IF;
    END LOOP;

    IF notes AND (looks OR came_to <> '{}') THEN
        PERFORM set_config(noted, jsonb_build_object('next', CASE WHEN NOT looks THEN known -> 'next'
                                                                  ELSE to_jsonb(clock_timestamp() + greatest((clock_timestamp() - began) * 20, interval '1 second')) END,
                                                     'keys', coalesce(known -> 'keys', '{}') || came_to)::text, false);
    ELSIF calm AND known IS NOT NULL THEN
        PERFORM set_config(noted, '', false);
    END IF;
END
$$;

-- ---- Outcomes ----

-- What became of claims: succeeded, failed, snoozed (later, and no attempt), released (as if it had not been claimed), working (the
-- lease goes on), and expired, which millrace.sweep_runs says. What was told under the last claim is answered as it was then; a
-- claim that is not the last is 409, and changes nothing.
--
-- Waits for nobody but who tells an outcome of the same run, and who cancels it.
CREATE FUNCTION millrace.settle_runs(ids uuid[], claims bigint[], outcomes text[], results jsonb[], errors text[], retry_after_ms bigint[],
                                     lease_ms bigint[], progress jsonb[])
    RETURNS TABLE (n integer, status integer, state text, message text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    rounds bigint := (SELECT max(c.c) FROM (SELECT count(*) AS c FROM unnest($1) i GROUP BY i) c);
BEGIN
    FOR this_round IN 1..rounds LOOP -- what is said twice of a run is said one after the other
        RETURN QUERY
        WITH told AS MATERIALIZED (
            SELECT k.*
              FROM (SELECT k.*, row_number() OVER (PARTITION BY k.id ORDER BY k.n) AS round
                      FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY AS k (id, claim, outcome, result, error, retry_after_ms, lease_ms, progress, n)) k
             WHERE k.round = this_round
        ), held AS MATERIALIZED (
            SELECT t.n, t.id, t.outcome, t.result, t.error, t.lease_ms, t.progress, l.job, l.key, l.claim, l.attempt, l.worker, l.started_at, j.work, j.timeout_ms,
                   CASE WHEN t.outcome IN ('failed', 'expired')
                        THEN coalesce(CASE WHEN t.retry_after_ms < 0 THEN 0 ELSE t.retry_after_ms END,
                                      least(coalesce(j.retry_first_ms, 2000) * power(2, least(l.attempt - 1, 40)), coalesce(j.retry_most_ms, 3600000))
                                      * (0.9 + 0.2 * random()))
                        WHEN t.outcome = 'snoozed' THEN greatest(coalesce(t.retry_after_ms, 0), 0)
                        ELSE 0 END * interval '1 millisecond' AS pause
              FROM (SELECT t.* FROM told t WHERE t.outcome IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired') ORDER BY t.id) t
             CROSS JOIN LATERAL (SELECT l.* FROM millrace.lease l WHERE l.id = t.id AND l.claim = t.claim LIMIT 1 FOR UPDATE) l
              LEFT JOIN millrace.job j ON j.name = l.job
        ), changed AS (
            UPDATE millrace.run r
               SET claim        = h.claim,
                   told         = h.outcome,
                   attempt      = CASE WHEN h.outcome IN ('succeeded', 'failed', 'expired') THEN h.attempt ELSE r.attempt END,
                   outcome      = CASE WHEN h.outcome = 'succeeded' THEN 'succeeded'
                                       WHEN r.cancel_requested THEN 'cancelled'
                                       WHEN h.outcome IN ('failed', 'expired') AND h.attempt >= r.max_attempts THEN 'dead' END,
                   finished_at  = CASE WHEN h.outcome = 'succeeded' OR r.cancel_requested
                                            OR h.outcome IN ('failed', 'expired') AND h.attempt >= r.max_attempts THEN now() END,
                   dead_at      = CASE WHEN NOT r.cancel_requested AND h.outcome IN ('failed', 'expired') AND h.attempt >= r.max_attempts THEN now() END,
                   cancelled_at = CASE WHEN r.cancel_requested AND h.outcome <> 'succeeded' THEN now() END,
                   failed       = CASE h.outcome WHEN 'failed' THEN true WHEN 'expired' THEN true WHEN 'released' THEN r.failed ELSE false END,
                   result       = CASE WHEN h.outcome = 'succeeded' THEN h.result ELSE r.result END,
                   error        = CASE WHEN h.outcome IN ('failed', 'expired') THEN left(h.error, 8192) WHEN h.outcome = 'succeeded' THEN NULL ELSE r.error END,
                   progress     = coalesce(h.progress, r.progress),
                   due_at       = CASE WHEN h.outcome IN ('failed', 'expired', 'snoozed') THEN now() + h.pause ELSE r.due_at END,
                   turn         = CASE WHEN h.outcome IN ('failed', 'expired', 'snoozed') THEN now() + h.pause - r.priority * interval '1 minute' ELSE r.turn END,
                   started_at   = coalesce(r.started_at, h.started_at)
              FROM held h
             WHERE r.id = h.id AND h.outcome <> 'working'
            RETURNING h.n, h.outcome AS told, h.worker, h.work, h.started_at, h.attempt AS number,
                      r.id, r.job, r.key, r.unique_key, r.turn, r.due_at, r.outcome, r.failed, r.error
        ), progressed AS (
            UPDATE millrace.run r SET progress = h.progress FROM held h WHERE r.id = h.id AND h.outcome = 'working' AND h.progress IS NOT NULL
        ), extended AS (
            UPDATE millrace.lease l
               SET until = clock_timestamp() + coalesce(h.lease_ms, h.timeout_ms, 30000) * interval '1 millisecond'
              FROM held h
             WHERE l.id = h.id AND h.outcome = 'working'
        ), gone AS (
            DELETE FROM millrace.lease l USING held h WHERE l.id = h.id AND h.outcome <> 'working'
        ), delayed AS (
            INSERT INTO millrace.later (at, id, job, key, turn) SELECT c.due_at, c.id, c.job, c.key, c.turn FROM changed c WHERE c.outcome IS NULL AND c.due_at > now()
        ), readied AS (
            INSERT INTO millrace.ready (job, key, turn, id) SELECT c.job, c.key, c.turn, c.id FROM changed c WHERE c.outcome IS NULL AND c.due_at <= now()
            RETURNING ready.job
        ), freed AS (
            DELETE FROM millrace.run_unique u
             USING changed c
             WHERE c.unique_key IS NOT NULL AND c.outcome IS NOT NULL
               AND u.job = c.job AND u.unique_key = c.unique_key AND u.run_id = c.id AND coalesce(u.until <= now(), true)
        ), noted AS (
            INSERT INTO millrace.run_attempt (run_id, attempt, at, took_ms, error, worker)
            SELECT c.id, c.number, c.started_at, (extract(epoch FROM clock_timestamp() - c.started_at) * 1000)::bigint, left(c.error, 2048), c.worker
              FROM changed c
             WHERE c.told = 'expired' OR (c.told = 'failed' AND c.work = 'pull')
                ON CONFLICT DO NOTHING
        ), tallied AS (
            INSERT INTO millrace.run_tally AS y (job, minute, backend, succeeded, failed, dead, cancelled)
            SELECT c.job, date_trunc('minute', now()), pg_backend_pid(), count(*) FILTER (WHERE c.outcome = 'succeeded'),
                   count(*) FILTER (WHERE c.told IN ('failed', 'expired')), count(*) FILTER (WHERE c.outcome = 'dead'),
                   count(*) FILTER (WHERE c.outcome = 'cancelled')
              FROM changed c
             GROUP BY c.job
             ORDER BY c.job
                ON CONFLICT (job, minute, backend) DO UPDATE
               SET succeeded = y.succeeded + excluded.succeeded, failed = y.failed + excluded.failed, dead = y.dead + excluded.dead,
                   cancelled = y.cancelled + excluded.cancelled
        ), woken AS MATERIALIZED (
            SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
        )
        SELECT c.n::integer, 200, coalesce(c.outcome, CASE WHEN c.failed THEN 'failed' ELSE 'queued' END), NULL::text
          FROM changed c
         WHERE (SELECT count(*) FROM woken) >= 0
         UNION ALL
        SELECT h.n::integer, 200, CASE WHEN r.cancel_requested THEN 'cancelling' ELSE 'running' END, NULL
          FROM held h
          JOIN millrace.run r ON r.id = h.id
         WHERE h.outcome = 'working'
         UNION ALL
        SELECT t.n::integer,
               CASE WHEN t.outcome NOT IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired') THEN 400 WHEN r.id IS NULL THEN 404
                    WHEN r.claim = t.claim AND r.told = t.outcome THEN 200 ELSE 409 END,
               CASE WHEN r.outcome IS NOT NULL THEN r.outcome
                    WHEN l.id IS NOT NULL THEN CASE WHEN r.cancel_requested THEN 'cancelling' ELSE 'running' END
                    WHEN r.failed THEN 'failed' WHEN r.id IS NOT NULL THEN 'queued' END,
               CASE WHEN t.outcome NOT IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired') THEN 'is no outcome'
                    WHEN r.id IS NULL THEN 'there is no such run'
                    WHEN r.claim = t.claim AND r.told = t.outcome THEN NULL
                    WHEN r.claim = t.claim AND r.told = 'expired' THEN 'the lease ran out'
                    WHEN r.claim = t.claim THEN format('the claim ended as %s already', r.told)
                    ELSE 'the claim is not the last one of the run' END
          FROM told t
          LEFT JOIN millrace.run r ON r.id = t.id
          LEFT JOIN millrace.lease l ON l.id = t.id
         WHERE t.n NOT IN (SELECT h.n FROM held h);
    END LOOP;
END
$$;

-- ---- What time does ----

-- Makes ready what is due, and ends claims whose lease ran out, as failed attempts; at most so many of each. `next_ms`: in how many
-- milliseconds there is more to do, NULL where nothing waits. Passes over what somebody else holds, so that many can do it at once.
CREATE FUNCTION millrace.sweep_runs(most integer) RETURNS TABLE (promoted integer, expired integer, next_ms bigint)
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
                                     NULL, NULL, NULL);
    END IF;

    next_ms := ceil(extract(epoch FROM least((SELECT l.at FROM millrace.later l ORDER BY l.at, l.id LIMIT 1),
                                             (SELECT l.until FROM millrace.lease l ORDER BY l.until, l.id LIMIT 1)) - clock_timestamp()) * 1000);
    IF next_ms < 0 THEN
        next_ms := 0;
    END IF;
    RETURN NEXT;
END
$$;

-- ---- Control ----

-- Cancels runs: at once where they wait; where they are in hand the worker hears of it (`working` answers cancelling) and whatever
-- it tells but success ends the run. What is finished is 409.
CREATE FUNCTION millrace.cancel_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    live uuid[];
    done uuid[];
BEGIN
    -- Behind these locks a run comes back from no worker; it may still go to one, or from later to ready, once each.
    live := ARRAY(SELECT r.id
                    FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
                   CROSS JOIN LATERAL (SELECT r.id FROM millrace.run r WHERE r.id = i.i AND r.outcome IS NULL LIMIT 1 FOR NO KEY UPDATE) r);
    FOR pass IN 1..3 LOOP
        WITH waiting AS (
            DELETE FROM millrace.later l USING unnest(live) i WHERE l.id = i RETURNING l.id
        ), first AS (
            DELETE FROM millrace.ready y
             USING unnest(live) i, millrace.run r
             WHERE r.id = i AND y.job = r.job AND y.key = r.key AND y.turn = r.turn AND y.id = r.id
            RETURNING y.id
        ), ended AS (
            UPDATE millrace.run r
               SET outcome = 'cancelled', cancel_requested = true, finished_at = now(), cancelled_at = now()
              FROM (SELECT w.id FROM waiting w UNION ALL SELECT f.id FROM first f) g
             WHERE r.id = g.id
            RETURNING r.id, r.job, r.unique_key
        ), freed AS (
            DELETE FROM millrace.run_unique u
             USING ended e
             WHERE e.unique_key IS NOT NULL AND u.job = e.job AND u.unique_key = e.unique_key AND u.run_id = e.id AND coalesce(u.until <= now(), true)
        ), tallied AS (
            INSERT INTO millrace.run_tally AS y (job, minute, backend, cancelled)
            SELECT e.job, date_trunc('minute', now()), pg_backend_pid(), count(*) FROM ended e GROUP BY e.job ORDER BY e.job
                ON CONFLICT (job, minute, backend) DO UPDATE SET cancelled = y.cancelled + excluded.cancelled
        )
        SELECT array_agg(e.id) INTO done FROM ended e;
        live := ARRAY(SELECT i FROM unnest(live) i WHERE i <> ALL (coalesce(done, '{}')));
        EXIT WHEN NOT EXISTS (SELECT FROM unnest(live) i WHERE NOT EXISTS (SELECT FROM millrace.lease l WHERE l.id = i));
    END LOOP;
    UPDATE millrace.run r SET cancel_requested = true FROM unnest(live) i WHERE r.id = i AND NOT r.cancel_requested;
    RETURN QUERY
    SELECT k.n::integer,
           CASE WHEN r.id IS NULL THEN 404 WHEN r.outcome IS NULL THEN 200 WHEN r.outcome = 'cancelled' AND r.finished_at = now() THEN 200 ELSE 409 END,
           coalesce(r.outcome, CASE WHEN r.id IS NOT NULL THEN 'cancelling' END)
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.run r ON r.id = k.id;
END
$$;

-- Runs that are dead or cancelled are queued again, with all their attempts; one that waits for its next attempt has it now. Others
-- are 409, also where another run stands for their unique key.
CREATE FUNCTION millrace.retry_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    over    uuid[];
    waiting uuid[];
    item    record;
BEGIN
    over := ARRAY(SELECT r.id
                    FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
                   CROSS JOIN LATERAL (SELECT r.id, r.outcome FROM millrace.run r WHERE r.id = i.i AND coalesce(r.outcome, '') <> 'succeeded' LIMIT 1 FOR NO KEY UPDATE) r
                   WHERE r.outcome IN ('dead', 'cancelled'));
    FOR item IN
        SELECT r.id, r.job, r.unique_key, j.unique_for_ms
          FROM unnest(over) i
          JOIN millrace.run r ON r.id = i
          LEFT JOIN millrace.job j ON j.name = r.job
         WHERE r.unique_key IS NOT NULL
         ORDER BY r.job, r.unique_key
    LOOP
        IF coalesce(millrace.take_unique(item.job, item.unique_key, item.id, now() + item.unique_for_ms * interval '1 millisecond', '{}'), item.id) <> item.id THEN
            over := array_remove(over, item.id);
        END IF;
    END LOOP;
    WITH again AS (
        UPDATE millrace.run r
           SET outcome = NULL, finished_at = NULL, dead_at = NULL, cancelled_at = NULL, cancel_requested = false, failed = false, claim = NULL, told = NULL,
               max_attempts = r.attempt + coalesce((SELECT j.attempts FROM millrace.job j WHERE j.name = r.job), 1),
               due_at = now(), turn = now() - r.priority * interval '1 minute'
          FROM unnest(over) i
         WHERE r.id = i
        RETURNING r.job, r.key, r.turn, r.id
    ), sooner AS (
        DELETE FROM millrace.later l
         USING unnest($1) i
          JOIN millrace.run r ON r.id = i AND r.failed
         WHERE l.id = i
        RETURNING l.job, l.key, l.turn, l.id
    ), readied AS (
        INSERT INTO millrace.ready (job, key, turn, id)
        SELECT a.job, a.key, a.turn, a.id FROM again a UNION ALL SELECT s.job, s.key, s.turn, s.id FROM sooner s
        RETURNING ready.job, ready.id
    ), told AS MATERIALIZED (
        SELECT millrace.tell_ready(min(r.job)) FROM readied r HAVING count(*) > 0
    )
    SELECT array_agg(r.id) INTO waiting FROM readied r WHERE (SELECT count(*) FROM told) >= 0;
    RETURN QUERY
    SELECT k.n::integer, CASE WHEN r.id IS NULL THEN 404 WHEN r.id = ANY (waiting) THEN 200 ELSE 409 END, r.state
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.every_run r ON r.id = k.id AND NOT r.is_sql;
END
$$;

-- Deletes runs that are finished, or wait; 409 where one is in hand.
CREATE FUNCTION millrace.delete_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    waiting uuid[];
    gone    uuid[];
BEGIN
    waiting := ARRAY(SELECT c.id FROM millrace.every_run c JOIN unnest($1) i ON c.id = i WHERE NOT c.is_sql AND c.state IN ('queued', 'failed'));
    PERFORM millrace.cancel_runs(waiting);
    WITH deleted AS (
        DELETE FROM millrace.run r
         USING (SELECT r.id FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
                 CROSS JOIN LATERAL (SELECT r.id FROM millrace.run r WHERE r.id = i.i AND r.outcome IS NOT NULL LIMIT 1 FOR UPDATE) r) d
         WHERE r.id = d.id
        RETURNING r.id, r.job, r.unique_key
    ), attempts AS (
        DELETE FROM millrace.run_attempt a USING deleted d WHERE a.run_id = d.id
    ), freed AS (
        DELETE FROM millrace.run_unique u USING deleted d WHERE d.unique_key IS NOT NULL AND u.job = d.job AND u.unique_key = d.unique_key AND u.run_id = d.id
    )
    SELECT coalesce(array_agg(d.id), '{}') INTO gone FROM deleted d;
    RETURN QUERY
    SELECT k.n::integer, CASE WHEN k.id = ANY (gone) THEN 200 WHEN r.id IS NULL THEN 404 ELSE 409 END, r.state
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.every_run r ON r.id = k.id AND NOT r.is_sql;
END
$$;

CREATE FUNCTION millrace.cancel_run(id uuid) RETURNS TABLE (status integer, state text) LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.status, c.state FROM millrace.cancel_runs(ARRAY[$1]) c
$$;

CREATE FUNCTION millrace.retry_run(id uuid) RETURNS TABLE (status integer, state text) LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.status, c.state FROM millrace.retry_runs(ARRAY[$1]) c
$$;

-- A key that was made on the command line was made by nobody that is known here.
ALTER TABLE millrace.api_key ALTER COLUMN created_by DROP NOT NULL;

-- ---- Claims of several workers ----

-- The claims of several workers of one job, one after the other, so that its keys take turns among all of them: what each may have at
-- most, for how long (NULL: as the job says), and who it is. Ends with the first that does not get all: there is no more.
CREATE FUNCTION millrace.claim_for(job text, most bigint[], lease_ms bigint[], worker text[], after_key text)
    RETURNS TABLE (n bigint, id uuid, claim bigint, attempt integer, max_attempts integer, key text, args jsonb, created_at timestamptz,
                   due_at timestamptz, scheduled_for timestamptz, traceparent text, until timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    behind text := $5;
    got    bigint;
    r      record;
BEGIN
    FOR i IN 1..coalesce(cardinality($2), 0) LOOP
        EXIT WHEN $1 IS NULL;
        got := 0;
        FOR r IN SELECT c.* FROM millrace.claim_runs($1, $2[i]::integer, $3[i], $4[i], behind) c LOOP
            got := got + 1;
            behind := r.key;
            RETURN QUERY SELECT i::bigint, r.id, r.claim, r.attempt, r.max_attempts, r.key, r.args, r.created_at, r.due_at, r.scheduled_for, r.traceparent, r.until;
        END LOOP;
        EXIT WHEN got < $2[i];
    END LOOP;
END
$$;

-- What is done to many runs at once is a run of its own. It is known before a scheduler was ever there, for an API may queue one.
INSERT INTO millrace.job (name, exclusive, manual) VALUES ('bulk', false, true) ON CONFLICT DO NOTHING;

-- ---- What folders declare ----

-- A folder that processes serve, by a digest of what it says of its jobs. Of those that are held, the one that was first seen last
-- stands: its declaration is what the rows of jobs say.
CREATE TABLE millrace.declaration (
    digest  text        PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    holders jsonb       NOT NULL DEFAULT '{}' -- processes that serve it, each with the instant until which it is taken to be there
);
