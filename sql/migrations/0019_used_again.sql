-- runs with: 7
-- What a second look at using the queue found. Each function is as it was, but for what its comment says.

-- Whether all of a text matches, as proto/pattern.h has it. A few expressions of POSIX are none of PostgreSQL's, such as a{300}: what they say
-- is then not looked at.
CREATE FUNCTION millrace.matches(plain text, pattern text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN $1 ~ ('^(' || $2 || ')$');
EXCEPTION WHEN invalid_regular_expression THEN
    RETURN true;
END
$$;

-- Arguments of jobs of statements have patterns as well.
CREATE OR REPLACE FUNCTION millrace.args_problems(rules jsonb, args jsonb) RETURNS TABLE (field text, message text)
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
        IF kind = 'string' AND rule ? 'pattern' AND NOT millrace.matches(plain, rule ->> 'pattern') THEN
            message := 'must match ' || (rule ->> 'pattern');
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

-- Numbers inside of a value are alike too: {"total": 12.50} is {"total": 12.5}. By an expression that takes texts as they are, and of the zeros
-- behind a point those that say nothing: a function that called itself would end at a depth that JSON does not.
CREATE OR REPLACE FUNCTION millrace.alike(value jsonb, type text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN jsonb_typeof($1) IN ('number', 'object', 'array')
                THEN regexp_replace($1::text, '("(?:[^"\\]|\\.)*")|(\.[0-9]*[1-9])0*|\.0+', '\1\2', 'g')::jsonb
                WHEN $2 = 'uuid' THEN to_jsonb(lower($1 #>> '{}'))
                WHEN $2 = 'timestamp' THEN to_jsonb(trim_scale(extract(epoch FROM ($1 #>> '{}')::timestamptz)))
                ELSE $1 END
$$;

-- Whether the attempt is kept is said by who tells of it, not by what work the job is by now: of a run that a worker had in hand when its job
-- became one of push, a failure left none; of a call of a job that became one of pull, two.
CREATE OR REPLACE FUNCTION millrace.settle_runs(ids uuid[], claims bigint[], outcomes text[], results jsonb[], errors text[], retry_after_ms bigint[],
                                     lease_ms bigint[], progress jsonb[])
    RETURNS TABLE (n integer, status integer, state text, message text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    by_worker boolean := $8 IS NOT NULL; -- whoever makes calls has no progress to tell, and keeps their attempts itself
    rounds    bigint := coalesce((SELECT max(c.c) FROM (SELECT count(*) AS c FROM unnest($1) i GROUP BY i) c), 0);
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
            SELECT t.n, t.id, t.outcome, t.result, t.error, t.lease_ms, t.progress, l.job, l.key, l.claim, l.attempt, l.worker, l.started_at, j.timeout_ms,
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
            RETURNING h.n, h.outcome AS told, h.worker, h.started_at, h.attempt AS number,
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
             WHERE c.told = 'expired' OR (c.told = 'failed' AND by_worker)
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
