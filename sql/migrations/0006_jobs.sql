-- Jobs and their runs. A message between scheduler and job actor is a prompt; these rows are the truth.

CREATE TABLE job (
    name      text    PRIMARY KEY,
    exclusive boolean NOT NULL DEFAULT true,  -- one run of it at a time
    manual    boolean NOT NULL DEFAULT true,  -- an administrator may start it
    schedule  text,                           -- as the scheduler last read it; NULL: not scheduled
    timezone  text,
    ticked_at timestamptz,                    -- the last tick that was seen to, or when this schedule was first seen
    next_at   timestamptz
);

INSERT INTO job (name, exclusive, manual) VALUES
    ('cleanup', true, true), ('aggregate', true, true), ('report', true, true), ('maintenance', true, true),
    ('import', false, false);

-- Rises with every claim: whoever writes to a run shows the number it was given, so that the owner of a run that was
-- rescued meanwhile changes nothing.
CREATE SEQUENCE job_claim CACHE 1;

CREATE TABLE job_run (
    id               uuid        PRIMARY KEY,
    job              text        NOT NULL REFERENCES job ON DELETE CASCADE,
    trigger          text        NOT NULL CHECK (trigger IN ('cron', 'manual', 'user')),
    state            text        NOT NULL DEFAULT 'queued'
                                 CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'dead', 'cancelled')),
    scheduled_for    timestamptz,
    run_after        timestamptz NOT NULL DEFAULT now(),
    attempt          integer     NOT NULL DEFAULT 0,
    max_attempts     integer     NOT NULL DEFAULT 5,
    exclusive        boolean     NOT NULL DEFAULT true,
    cancel_requested boolean     NOT NULL DEFAULT false,
    claimed_by       text,
    claim            bigint,
    heartbeat_at     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    phase            integer     NOT NULL DEFAULT 0, -- which of the job's statements is at work,
    cursor           text,                           -- and where it goes on
    done             bigint      NOT NULL DEFAULT 0,
    total            bigint,
    result           jsonb       NOT NULL DEFAULT '{}',
    error            text,
    args             jsonb       NOT NULL DEFAULT '{}',
    owner            uuid        REFERENCES app_user ON DELETE CASCADE,
    traceparent      text
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- A tick happens once, however many schedulers run.
CREATE UNIQUE INDEX job_run_tick ON job_run (job, scheduled_for) WHERE scheduled_for IS NOT NULL;
-- One run of a job at a time, unless the job says otherwise.
CREATE UNIQUE INDEX job_run_alone ON job_run (job) WHERE state = 'running' AND exclusive;
CREATE INDEX job_run_due      ON job_run (job, run_after, id) WHERE state IN ('queued', 'failed');
CREATE INDEX job_run_running  ON job_run (claim) WHERE state = 'running';
CREATE INDEX job_run_finished ON job_run (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX job_run_of_job   ON job_run (job, id DESC);
CREATE INDEX job_run_of_owner ON job_run (owner) WHERE owner IS NOT NULL;

-- What an import was sent, in the order it came. The parts are there before the run is; those that no run wants are
-- cleaned up.
CREATE TABLE import_part (
    run_id     uuid        NOT NULL,
    part       bigint      NOT NULL,
    bytes      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, part)
);
ALTER TABLE import_part ALTER COLUMN bytes SET STORAGE EXTERNAL; -- compressing it would cost more than its few minutes of life

CREATE INDEX import_part_created ON import_part (created_at);

-- ---- When a task was completed ----

ALTER TABLE task ADD COLUMN completed_at timestamptz;
UPDATE task SET completed_at = updated_at WHERE is_complete;
CREATE INDEX task_completed ON task (completed_at, id) WHERE completed_at IS NOT NULL;

-- A task that was made complete was complete then; one that is moved in time takes its completion along.
CREATE FUNCTION note_task_completed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.completed_at := CASE WHEN NOT NEW.is_complete THEN NULL
                             WHEN TG_OP = 'INSERT' OR NEW.created_at <> OLD.created_at THEN NEW.created_at
                             ELSE now() END;
    RETURN NEW;
END
$$;

CREATE TRIGGER task_completed_at_first BEFORE INSERT ON task
    FOR EACH ROW WHEN (NEW.is_complete) EXECUTE FUNCTION note_task_completed();
CREATE TRIGGER task_completed_later BEFORE UPDATE ON task
    FOR EACH ROW WHEN (NEW.is_complete <> OLD.is_complete OR (NEW.is_complete AND NEW.created_at <> OLD.created_at))
    EXECUTE FUNCTION note_task_completed();

-- ---- Daily figures: statements append what they changed, the job `aggregate` folds it ----
--
-- Days are UTC's. `due` counts the tasks that fall due on a day, `in_time` those of them that are complete by then; what
-- is overdue is the difference, once the day is over. A task that is deleted leaves its days as they are, except that it
-- will not fall due any more.

CREATE TABLE task_stat (
    user_id   uuid   NOT NULL REFERENCES app_user ON DELETE CASCADE,
    day       date   NOT NULL,
    created   bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    due       bigint NOT NULL DEFAULT 0,
    in_time   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, day)
);

CREATE TABLE task_change (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   uuid   NOT NULL,
    day       date   NOT NULL,
    created   bigint NOT NULL,
    completed bigint NOT NULL,
    due       bigint NOT NULL,
    in_time   bigint NOT NULL
);

CREATE FUNCTION utc_day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (at AT TIME ZONE 'UTC')::date $$;

-- What a task counts for, and on which days.
CREATE FUNCTION task_days(created_at timestamptz, completed_at timestamptz, due_at timestamptz)
    RETURNS TABLE (day date, created integer, completed integer, due integer, in_time integer) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT *
      FROM (VALUES (utc_day(created_at), 1, 0, 0, 0),
                   (utc_day(completed_at), 0, 1, 0, 0),
                   (utc_day(due_at), 0, 0, 1, coalesce(completed_at <= due_at, false)::int)) AS c (day, created, completed, due, in_time)
     WHERE c.day IS NOT NULL AND isfinite(c.day)
$$;

INSERT INTO task_stat (user_id, day, created, completed, due, in_time)
SELECT t.user_id, c.day, sum(c.created), sum(c.completed), sum(c.due), sum(c.in_time)
  FROM task t
 CROSS JOIN LATERAL task_days(t.created_at, t.completed_at, t.due_at) c
 GROUP BY t.user_id, c.day;

CREATE OR REPLACE FUNCTION count_tasks_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_count (user_id, items) SELECT user_id, count(*) FROM changed GROUP BY user_id;
    INSERT INTO task_change (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, c.day, sum(c.created), sum(c.completed), sum(c.due), sum(c.in_time)
      FROM changed t
     CROSS JOIN LATERAL task_days(t.created_at, t.completed_at, t.due_at) c
     GROUP BY t.user_id, c.day;
    IF random() < 0.02 THEN
        PERFORM fold_task_count(user_id) FROM (SELECT DISTINCT user_id FROM changed) u;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION count_tasks_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_change (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, c.day, sum(t.sign * c.created), sum(t.sign * c.completed), sum(t.sign * c.due), sum(t.sign * c.in_time)
      FROM (SELECT -1 AS sign, b.user_id, b.created_at, b.completed_at, b.due_at FROM before b
            UNION ALL
            SELECT 1, a.user_id, a.created_at, a.completed_at, a.due_at FROM changed a) t
     CROSS JOIN LATERAL task_days(t.created_at, t.completed_at, t.due_at) c
     GROUP BY t.user_id, c.day
    HAVING sum(t.sign * c.created) <> 0 OR sum(t.sign * c.completed) <> 0 OR sum(t.sign * c.due) <> 0 OR sum(t.sign * c.in_time) <> 0;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION count_tasks_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_count (user_id, items)
    SELECT t.user_id, -count(*) FROM changed t JOIN app_user u ON u.id = t.user_id GROUP BY t.user_id;
    INSERT INTO task_change (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, utc_day(t.due_at), 0, 0, -count(*), -count(*) FILTER (WHERE t.completed_at <= t.due_at)
      FROM changed t
      JOIN app_user u ON u.id = t.user_id
     WHERE t.due_at > now() AND isfinite(t.due_at)
     GROUP BY t.user_id, utc_day(t.due_at);
    IF random() < 0.02 THEN
        PERFORM fold_task_count(user_id) FROM (SELECT DISTINCT user_id FROM changed) u;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER task_changed AFTER UPDATE ON task REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_changed();

-- ---- Reports: one summary a user and week ----

CREATE TABLE report (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id     uuid        NOT NULL REFERENCES app_user ON DELETE CASCADE,
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL,
    figures     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, period_from)
);

-- ---- What clean-up looks for ----

CREATE INDEX refresh_token_expires ON refresh_token (expires_at, id);

-- ---- Prompts ----

-- Whoever queues a run, a scheduler hears of it; once a statement, however many runs that queues.
CREATE FUNCTION tell_runs_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('millrace_jobs', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER job_run_queued AFTER INSERT ON job_run FOR EACH STATEMENT EXECUTE FUNCTION tell_runs_queued();
