-- runs with: 7
-- The job platform of migration 15, quicker, and without its races (docs/decisions/0065-queue-speed.md). Names and shapes of its functions
-- stay.

-- ---- Enqueue ----
--
-- The next two are put into the statements that call them, for which they have no settings of their own: the callers pin the path.

-- The id of the run that was queued at an instant, in 4096ths of a millisecond: UUID version 7 by RFC 9562, 6.2, method 3. The rest are 62
-- bits of `chance`. Runs that are queued together have them from one random number and their places: random bits for each would take
-- longer than to write it to a table.
CREATE FUNCTION millrace.run_id(tick bigint, chance bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(($1 >> 12 << 16) | 28672 | ($1 & 4095)), 16, '0') || to_hex(($2 & 4611686018427387903) | '-9223372036854775808'::bigint))::uuid
$$;

-- Whether nothing can be wrong with a run, and its job wants no more than that it is kept: what most are. NULL where there is no such job.
CREATE FUNCTION millrace.is_plain_run(j millrace.job, args jsonb, run_at timestamptz, priority integer, key text, unique_key text)
    RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT ($1).removed_at IS NULL AND ($1).work <> 'sql' AND ($1).args IS NULL AND jsonb_typeof($2) = 'object' AND pg_column_size($2) <= 1048576
           AND isfinite(coalesce($3, now())) AND coalesce($4, 0) BETWEEN -100 AND 100 AND length(coalesce($5, '')) <= 255
           AND length(coalesce($6, 'x')) BETWEEN 1 AND 255
$$;

-- Queues runs, an element of the arrays each, and answers each: with its id and what is known of it, or with a row for each thing that
-- is wrong with it. A run of trigger 'cron' is a tick: `run_at` is its time, and there is one run of it. Elements of one number in
-- `wholes` are queued together: nothing is queued, or answered, of those that are as they should be where another is not.
--
-- Nearly all runs are plain: of a job without rules for arguments, without a key of their own. For them there is one look at the jobs
-- and one statement; what is looked at for the others costs these nothing. No step compares elements with each other, so a run of a
-- thousand costs what a run of ten does.
CREATE FUNCTION millrace.queue_and_tell(ns integer[], jobs text[], args jsonb[], run_ats timestamptz[], priorities integer[], keys text[],
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
                       THEN 'args:' || encode(sha256(convert_to((SELECT jsonb_agg(millrace.filled_args(j.args, coalesce(k.args, '{}')) -> u.arg ORDER BY u.i)
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

CREATE OR REPLACE FUNCTION millrace.queue_runs(ns integer[], jobs text[], args jsonb[], run_ats timestamptz[], priorities integer[], keys text[],
                                               unique_keys text[], traceparents text[], triggers text[])
    RETURNS TABLE (n integer, id uuid, duplicate boolean, status integer, field text, message text)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.n, q.id, q.duplicate, q.status, q.field, q.message FROM millrace.queue_and_tell($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL) q
$$;

-- From SQL, as it was. A plain run is put where it belongs at once: to begin and to end the statements for many takes longer than that.
CREATE OR REPLACE FUNCTION millrace.enqueue(job text, args jsonb DEFAULT '{}', run_at timestamptz DEFAULT now(), priority integer DEFAULT NULL,
                                            key text DEFAULT NULL, unique_key text DEFAULT NULL)
    RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    about   jsonb       := coalesce($2, '{}');
    its_key text        := coalesce($5, '');
    due     timestamptz := greatest($3, now());
    turn    timestamptz;
    id      uuid;
    kind    record;
    made    record;
BEGIN
    SELECT j.attempts, coalesce($4, j.priority) AS points
      INTO kind
      FROM millrace.job j
     WHERE j.name = $1 AND j.unique_by IS NULL AND $6 IS NULL AND millrace.is_plain_run(j, about, $3, $4, $5, $6);
    IF FOUND THEN
        id := millrace.run_id((extract(epoch FROM clock_timestamp()) * 4096000)::bigint, uuid_hash_extended(gen_random_uuid(), 0));
        turn := due - kind.points * interval '1 minute';
        INSERT INTO millrace.run (id, job, key, priority, args, trigger, due_at, turn, max_attempts)
        VALUES (id, $1, its_key, kind.points, about, 'user', due, turn, kind.attempts);
        IF due <= now() THEN
            INSERT INTO millrace.ready (job, key, turn, id) VALUES ($1, its_key, turn, id);
        ELSE
            INSERT INTO millrace.later (at, id, job, key, turn) VALUES (due, id, $1, its_key, turn);
        END IF;
        IF due < now() + interval '1 second' THEN
            PERFORM millrace.tell_ready($1);
        END IF;
        RETURN id;
    END IF;
    SELECT q.id, q.status, q.field, q.message
      INTO made
      FROM millrace.queue_and_tell(ARRAY[1], ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], ARRAY[$5], ARRAY[$6], NULL, NULL, NULL) q
     LIMIT 1;
    IF made.status IS NOT NULL THEN
        PERFORM millrace.refuse_run($1, made.status, made.field, made.message);
    END IF;
    RETURN made.id;
END
$$;

CREATE OR REPLACE FUNCTION millrace.enqueue_many(job text, args jsonb[], run_at timestamptz DEFAULT now(), priority integer DEFAULT NULL, key text DEFAULT NULL,
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
      FROM millrace.queue_and_tell(ARRAY(SELECT generate_series(1, many)), array_fill($1, ARRAY[many]), $2, array_fill($3, ARRAY[many]),
                                   array_fill($4, ARRAY[many]), array_fill($5, ARRAY[many]), array_fill($6, ARRAY[many]), NULL, NULL, NULL) q;
    IF wrong IS NOT NULL THEN
        PERFORM millrace.refuse_run($1, (wrong ->> 'status')::integer, wrong ->> 'field', wrong ->> 'message');
    END IF;
    RETURN QUERY SELECT unnest(ids);
END
$$;

-- ---- Claims ----

-- As it was, but that a claim of NULL runs is one of none.
CREATE OR REPLACE FUNCTION millrace.claim_runs(job text, most integer, lease_ms bigint, worker text, after_key text)
    RETURNS TABLE (id uuid, claim bigint, attempt integer, max_attempts integer, key text, args jsonb, created_at timestamptz, due_at timestamptz,
                   scheduled_for timestamptz, traceparent text, until timestamptz)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    kind    record;
    row     record;
    room    bigint      := coalesce($2, 0); -- LIMIT NULL would be all there is
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
                (SELECT r.key, r.turn, r.id FROM millrace.ready r WHERE marks IS NULL AND r.job = $1 AND r.key > behind ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                 UNION ALL
                SELECT n.key, n.turn, n.id
                  FROM ahead a
                 CROSS JOIN LATERAL (SELECT r.key, r.turn, r.id FROM millrace.ready r WHERE r.job = $1 AND r.key > a.key ORDER BY r.job, r.key, r.turn, r.id LIMIT 1) n
            ), around AS (
                (SELECT r.key, r.turn, r.id FROM millrace.ready r WHERE marks IS NULL AND r.job = $1 AND r.key <= behind ORDER BY r.job, r.key, r.turn, r.id LIMIT 1)
                 UNION ALL
                SELECT n.key, n.turn, n.id
                  FROM around a
                 CROSS JOIN LATERAL (SELECT r.key, r.turn, r.id FROM millrace.ready r WHERE r.job = $1 AND r.key > a.key AND r.key <= behind
                                      ORDER BY r.job, r.key, r.turn, r.id LIMIT 1) n
            ), marked AS (
                SELECT m.key, (m.value ->> 0)::timestamptz AS turn, (m.value ->> 1)::uuid AS id
                  FROM jsonb_each(marks) m
                 ORDER BY m.key COLLATE "C" <= behind, m.key COLLATE "C"
            ), keys AS MATERIALIZED (
                SELECT w.key, w.turn, w.id, f.free, row_number() OVER () AS place
                  FROM (SELECT a.key, a.turn, a.id FROM ahead a -- the first that is there: what is dead before it is read once
                         UNION ALL
                        SELECT a.key, a.turn, a.id FROM around a
                         UNION ALL
                        SELECT m.key, m.turn, m.id FROM marked m) w
                 CROSS JOIN LATERAL (SELECT CASE WHEN kind.per_key IS NULL THEN room
                                                 ELSE kind.per_key - (SELECT count(*) FROM millrace.lease l WHERE l.job = $1 AND l.key = w.key) END AS free) f
                 WHERE f.free > 0
                 LIMIT room
            ), picked AS MATERIALIZED (
                SELECT p.ctid, p.id, p.turn, k.key, k.place, p.rank
                  FROM keys k
                 CROSS JOIN LATERAL (SELECT s.ctid, s.id, s.turn, row_number() OVER () AS rank
                                       FROM (SELECT r.ctid, r.id, r.turn
                                               FROM millrace.ready r
                                              WHERE r.job = $1 AND r.key = k.key AND (r.turn, r.id) >= (k.turn, k.id)
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

-- ---- Dead and cancelled runs ----

-- The runs that are dead or cancelled, for lists and for what is done to many at once. Indexes of `run` over dead_at and cancelled_at did this:
-- with them an update that ends a run so, or queues it again, was none of a heap-only tuple, and wrote into each index of the table.
CREATE TABLE millrace.stopped (
    job     text NOT NULL,
    outcome text NOT NULL,
    id      uuid NOT NULL,
    PRIMARY KEY (job, outcome, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

INSERT INTO millrace.stopped (job, outcome, id) SELECT r.job, 'dead', r.id FROM millrace.run r WHERE r.dead_at IS NOT NULL;
INSERT INTO millrace.stopped (job, outcome, id) SELECT r.job, 'cancelled', r.id FROM millrace.run r WHERE r.cancelled_at IS NOT NULL;
DROP INDEX millrace.run_dead, millrace.run_cancelled;

-- The functions below write it together with `run`, many rows at once, and say so by a setting while they do. This is for whoever else changes a
-- run: a call of a function of migration 15 that waited for this one to commit, clean-up, an administrator.
CREATE FUNCTION millrace.keep_stopped() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM millrace.stopped s WHERE s.job = OLD.job AND s.outcome = OLD.outcome AND s.id = OLD.id;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO millrace.stopped (job, outcome, id)
        SELECT NEW.job, NEW.outcome, NEW.id WHERE NEW.outcome IN ('dead', 'cancelled') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_stopped AFTER UPDATE ON millrace.run
    FOR EACH ROW WHEN (coalesce(OLD.outcome, 'succeeded') <> coalesce(NEW.outcome, 'succeeded')
                       AND current_setting('millrace.keeps_stopped', true) IS DISTINCT FROM 'yes') EXECUTE FUNCTION millrace.keep_stopped();
CREATE TRIGGER leave_stopped AFTER DELETE ON millrace.run
    FOR EACH ROW WHEN (OLD.outcome IN ('dead', 'cancelled') AND current_setting('millrace.keeps_stopped', true) IS DISTINCT FROM 'yes')
    EXECUTE FUNCTION millrace.keep_stopped();

-- ---- Outcomes ----

-- As it was, but for a race: of two that told the same outcome of a run at the same instant the second waited for the lock of the lease,
-- found it gone, and read the run as it was before: 409. Now a statement of its own waits for the locks, and the one behind it sees what
-- was committed meanwhile. Of nothing there is no answer, and NULL is no outcome.
CREATE OR REPLACE FUNCTION millrace.settle_runs(ids uuid[], claims bigint[], outcomes text[], results jsonb[], errors text[], retry_after_ms bigint[],
                                     lease_ms bigint[], progress jsonb[])
    RETURNS TABLE (n integer, status integer, state text, message text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    rounds bigint := coalesce((SELECT max(c.c) FROM (SELECT count(*) AS c FROM unnest($1) i GROUP BY i) c), 0);
BEGIN
    PERFORM FROM (SELECT k.id, k.claim FROM unnest($1, $2) AS k (id, claim) ORDER BY k.id) k
       CROSS JOIN LATERAL (SELECT FROM millrace.lease l WHERE l.id = k.id AND l.claim = k.claim LIMIT 1 FOR UPDATE) l;
    PERFORM set_config('millrace.keeps_stopped', 'yes', true);
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
              FROM told t
             CROSS JOIN LATERAL (SELECT l.* FROM millrace.lease l WHERE l.id = t.id AND l.claim = t.claim LIMIT 1) l
              LEFT JOIN millrace.job j ON j.name = l.job
             WHERE t.outcome IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired')
             ORDER BY t.id -- in which rows are locked
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
        ), stopped AS (
            INSERT INTO millrace.stopped (job, outcome, id) SELECT c.job, c.outcome, c.id FROM changed c WHERE c.outcome IN ('dead', 'cancelled') ON CONFLICT DO NOTHING
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
               CASE WHEN (t.outcome IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired')) IS NOT TRUE THEN 400 WHEN r.id IS NULL THEN 404
                    WHEN r.claim = t.claim AND r.told = t.outcome THEN 200 ELSE 409 END,
               CASE WHEN r.outcome IS NOT NULL THEN r.outcome
                    WHEN l.id IS NOT NULL THEN CASE WHEN r.cancel_requested THEN 'cancelling' ELSE 'running' END
                    WHEN r.failed THEN 'failed' WHEN r.id IS NOT NULL THEN 'queued' END,
               CASE WHEN (t.outcome IN ('succeeded', 'failed', 'snoozed', 'working', 'released', 'expired')) IS NOT TRUE THEN 'is no outcome'
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
    PERFORM set_config('millrace.keeps_stopped', '', true);
END
$$;

-- ---- Control ----
--
-- Joins by hash are off in these functions, so that a plan for few reads an index for each of many. What is compared with an array is
-- compared with all of it, a thousand times in a call of a thousand: such a comparison is written NOT IN (SELECT unnest(…)), or in the
-- answer IN (SELECT unnest(…)), for which the server makes a table of hashes.

-- Cancels runs: at once where they wait; those in hand are asked to end. `failed`: only those that wait after a failure, or only others. Returns
-- those for which that is new. Each run is looked up once, and changed where it was found: behind its lock it stays there.
CREATE FUNCTION millrace.stop_runs(ids uuid[], failed boolean) RETURNS SETOF uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    places tid[];
    live   uuid[];
    jobs   text[];
    keys   text[];
    turns  timestamptz[];
    done   uuid[];
BEGIN
    -- Behind these locks a run comes back from no worker; it may still go to one, or from later to ready, once each.
    SELECT array_agg(r.ctid), array_agg(r.id), array_agg(r.job), array_agg(r.key), array_agg(r.turn)
      INTO places, live, jobs, keys, turns
      FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
     CROSS JOIN LATERAL (SELECT r.ctid, r.id, r.job, r.key, r.turn
                           FROM millrace.run r
                          WHERE r.id = i.i AND r.outcome IS NULL AND ($2 IS NULL OR r.failed = $2)
                          LIMIT 1
                            FOR NO KEY UPDATE) r;
    PERFORM set_config('millrace.keeps_stopped', 'yes', true);
    FOR pass IN 1..3 LOOP
        EXIT WHEN live IS NULL;
        WITH live AS MATERIALIZED (
            SELECT l.* FROM unnest(places, live, jobs, keys, turns) AS l (place, id, job, key, turn)
        ), waiting AS (
            DELETE FROM millrace.later w USING live l WHERE w.id = l.id RETURNING l.place
        ), first AS (
            DELETE FROM millrace.ready y USING live l WHERE y.job = l.job AND y.key = l.key AND y.turn = l.turn AND y.id = l.id RETURNING l.place
        ), ended AS (
            UPDATE millrace.run r
               SET outcome = 'cancelled', cancel_requested = true, finished_at = now(), cancelled_at = now()
              FROM (SELECT w.place FROM waiting w UNION ALL SELECT f.place FROM first f) g
             WHERE r.ctid = g.place
            RETURNING r.id, r.job, r.unique_key
        ), stopped AS (
            INSERT INTO millrace.stopped (job, outcome, id) SELECT e.job, 'cancelled', e.id FROM ended e ON CONFLICT DO NOTHING
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
        RETURN QUERY SELECT unnest(done);
        SELECT array_agg(l.place), array_agg(l.id), array_agg(l.job), array_agg(l.key), array_agg(l.turn)
          INTO places, live, jobs, keys, turns
          FROM unnest(places, live, jobs, keys, turns) AS l (place, id, job, key, turn)
         WHERE l.id NOT IN (SELECT unnest(done));
        EXIT WHEN NOT EXISTS (SELECT FROM unnest(live) i WHERE NOT EXISTS (SELECT FROM millrace.lease l WHERE l.id = i));
    END LOOP;
    PERFORM set_config('millrace.keeps_stopped', '', true);
    RETURN QUERY UPDATE millrace.run r SET cancel_requested = true FROM unnest(places) p WHERE r.ctid = p AND NOT r.cancel_requested RETURNING r.id;
END
$$;

CREATE OR REPLACE FUNCTION millrace.cancel_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM millrace.stop_runs($1, NULL);
    RETURN QUERY
    SELECT k.n::integer,
           CASE WHEN r.id IS NULL THEN 404 WHEN r.outcome IS NULL THEN 200 WHEN r.outcome = 'cancelled' AND r.finished_at = now() THEN 200 ELSE 409 END,
           coalesce(r.outcome, CASE WHEN r.id IS NOT NULL THEN 'cancelling' END)
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.run r ON r.id = k.id;
END
$$;

-- Runs that are dead or cancelled wait again, with all their attempts; one that waits for its next attempt has it now. Returns those.
CREATE FUNCTION millrace.requeue_runs(ids uuid[]) RETURNS SETOF uuid
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
            IF coalesce(millrace.take_unique(item.job, item.unique_key, item.id, now() + item.unique_for_ms * interval '1 millisecond', '{}'), item.id) <> item.id THEN
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

-- As it was: what is not to be retried is 409, also where another run stands for its unique key.
CREATE OR REPLACE FUNCTION millrace.retry_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    waiting uuid[] := ARRAY(SELECT q FROM millrace.requeue_runs($1) q);
BEGIN
    RETURN QUERY
    SELECT k.n::integer, CASE WHEN r.id IS NULL THEN 404 WHEN r.id IN (SELECT unnest(waiting)) THEN 200 ELSE 409 END, r.state
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.every_run r ON r.id = k.id AND NOT r.is_sql;
END
$$;

CREATE OR REPLACE FUNCTION millrace.delete_runs(ids uuid[]) RETURNS TABLE (n integer, status integer, state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    waiting uuid[];
    places  tid[];
    gone    uuid[];
BEGIN
    waiting := ARRAY(SELECT r.id FROM unnest($1) i JOIN millrace.run r ON r.id = i
                      WHERE r.outcome IS NULL AND NOT EXISTS (SELECT FROM millrace.lease l WHERE l.id = r.id));
    IF waiting <> '{}' THEN
        PERFORM millrace.cancel_runs(waiting);
    END IF;
    places := ARRAY(SELECT r.ctid
                      FROM (SELECT DISTINCT i FROM unnest($1) i ORDER BY i) i
                     CROSS JOIN LATERAL (SELECT r.ctid FROM millrace.run r WHERE r.id = i.i AND r.outcome IS NOT NULL LIMIT 1 FOR UPDATE) r);
    PERFORM set_config('millrace.keeps_stopped', 'yes', true);
    WITH deleted AS (
        DELETE FROM millrace.run r USING unnest(places) p WHERE r.ctid = p RETURNING r.id, r.job, r.outcome, r.unique_key
    ), listed AS (
        DELETE FROM millrace.stopped s USING deleted d WHERE d.outcome <> 'succeeded' AND s.job = d.job AND s.outcome = d.outcome AND s.id = d.id
    ), attempts AS (
        DELETE FROM millrace.run_attempt a USING deleted d WHERE a.run_id = d.id
    ), freed AS (
        DELETE FROM millrace.run_unique u USING deleted d WHERE d.unique_key IS NOT NULL AND u.job = d.job AND u.unique_key = d.unique_key AND u.run_id = d.id
    )
    SELECT coalesce(array_agg(d.id), '{}') INTO gone FROM deleted d;
    PERFORM set_config('millrace.keeps_stopped', '', true);
    RETURN QUERY
    SELECT k.n::integer, CASE WHEN k.id IN (SELECT unnest(gone)) THEN 200 WHEN r.id IS NULL THEN 404 ELSE 409 END, r.state
      FROM unnest($1) WITH ORDINALITY AS k (id, n)
      LEFT JOIN millrace.every_run r ON r.id = k.id AND NOT r.is_sql;
END
$$;
