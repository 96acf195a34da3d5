-- Tasks, their priorities, and what is counted of them.
--
-- A user's rows belong to millrace.account: removing a user closes the account at once, the job `removal` deletes the rows chunk by
-- chunk, and the foreign keys prove that nothing is left when the account goes.

CREATE TABLE task_priority (
    code        text    PRIMARY KEY CHECK (code ~ '^[A-Z0-9_-]{1,32}$'),
    label       text    NOT NULL,
    description text    NOT NULL,
    ordinal     integer NOT NULL
);

INSERT INTO task_priority (code, label, description, ordinal) VALUES
    ('URGENT',  'Urgent',  'Drop everything else for this.',         1),
    ('HIGH',    'High',    'Next in line, today if possible.',       2),
    ('MEDIUM',  'Medium',  'Part of the normal flow of work.',       3),
    ('LOW',     'Low',     'When there is time left.',               4),
    ('BACKLOG', 'Backlog', 'Not planned yet, kept so it is not lost.', 5);

-- Gateways keep priorities in memory; this tells them to read again, whichever way they change.
CREATE TRIGGER task_priority_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON task_priority
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.tell_refdata_changed();

CREATE TABLE task (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL CONSTRAINT task_account REFERENCES millrace.account,
    summary       text        NOT NULL,
    description   text,
    due_at        timestamptz,
    is_complete   boolean     NOT NULL DEFAULT false,
    priority_code text        NOT NULL REFERENCES task_priority,
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    completed_at  timestamptz
);

-- The order of a user's list; the id makes it total, so that a cursor never skips or repeats a row.
CREATE INDEX task_user_created  ON task (user_id, created_at DESC, id DESC);
CREATE INDEX task_user_due      ON task (user_id, coalesce(due_at, 'infinity'::timestamptz), id);
CREATE INDEX task_user_due_desc ON task (user_id, coalesce(due_at, '-infinity'::timestamptz) DESC, id DESC);
CREATE INDEX task_user_priority ON task (user_id, priority_code, id);
CREATE INDEX task_completed     ON task (completed_at, id) WHERE completed_at IS NOT NULL;

-- ---- Words, as releases that had tasks compiled in look for them ----

CREATE FUNCTION task_plain(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT translate($1, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32))
$$;

CREATE FUNCTION task_words(user_id uuid, summary text, description text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN summary || ' ' || coalesce(description, '') ~ '[!-/:-@\[-`{-~][^ \t\r\n]'
                THEN strip(to_tsvector('simple'::regconfig, summary || ' ' || coalesce(description, '')))
                     || strip(to_tsvector('simple'::regconfig, task_plain(summary || ' ' || coalesce(description, ''))))
                ELSE strip(to_tsvector('simple'::regconfig, summary || ' ' || coalesce(description, ''))) END
        || array_to_tsvector(ARRAY[user_id::text])
$$;

CREATE FUNCTION task_query(user_id uuid, words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN numnode(plainto_tsquery('simple'::regconfig, task_plain(words))) > 0
                THEN (plainto_tsquery('simple'::regconfig, task_plain(words)) || plainto_tsquery('simple'::regconfig, words))
                     && ('' || user_id || '')::tsquery END
$$;

CREATE INDEX task_words ON task USING gin (task_words(user_id, summary, description));
COMMENT ON INDEX task_words IS 'words of paths';

-- ---- When a task was completed ----

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

-- ---- How many tasks a user has ----
--
-- Counting them for every page would make a page as slow as the list is long, and one counter for a user would let only one of
-- their writes commit at a time. So each statement appends what it changed, and now and then one folds what has gathered: the
-- number is the sum, and nobody ever waits.

CREATE TABLE task_count (
    user_id uuid   NOT NULL,
    items   bigint NOT NULL
);

CREATE INDEX task_count_user ON task_count (user_id);

-- One statement in about fifty folds the rows it can have at once into one; whoever reads sees the sum before or after.
CREATE FUNCTION fold_task_count(of_user uuid) RETURNS void LANGUAGE sql AS $$
    WITH mine AS (
        SELECT ctid AS place FROM task_count WHERE user_id = of_user FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM task_count c USING mine WHERE c.ctid = mine.place RETURNING c.items
    )
    INSERT INTO task_count (user_id, items) SELECT of_user, sum(items) FROM gone HAVING count(*) > 0
$$;

-- ---- Daily figures: statements append what they changed, the job `aggregate` folds it ----
--
-- Days are UTC's. `due` counts the tasks that fall due on a day, `in_time` those of them that are complete by then; what
-- is overdue is the difference, once the day is over. A task that is deleted leaves its days as they are, except that it
-- will not fall due any more.

CREATE TABLE task_stat (
    user_id   uuid   NOT NULL CONSTRAINT task_stat_account REFERENCES millrace.account,
    day       date   NOT NULL,
    created   bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    due       bigint NOT NULL DEFAULT 0,
    in_time   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, day)
);

-- Figures have no foreign key, so that nobody waits to append one; they go with the account.
CREATE TABLE task_change (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   uuid   NOT NULL,
    day       date   NOT NULL,
    created   bigint NOT NULL,
    completed bigint NOT NULL,
    due       bigint NOT NULL,
    in_time   bigint NOT NULL
);

CREATE INDEX task_change_user ON task_change (user_id);

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

-- ---- What changes of tasks append ----

CREATE FUNCTION count_tasks_added() RETURNS trigger LANGUAGE plpgsql AS $$
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

-- Tasks that go with their user leave nothing to count.
CREATE FUNCTION count_tasks_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO task_count (user_id, items)
    SELECT t.user_id, -count(*) FROM changed t JOIN millrace.app_user u ON u.id = t.user_id GROUP BY t.user_id;
    INSERT INTO task_change (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, utc_day(t.due_at), 0, 0, -count(*), -count(*) FILTER (WHERE t.completed_at <= t.due_at)
      FROM changed t
      JOIN millrace.app_user u ON u.id = t.user_id
     WHERE t.due_at > now() AND isfinite(t.due_at)
     GROUP BY t.user_id, utc_day(t.due_at);
    IF random() < 0.02 THEN
        PERFORM fold_task_count(user_id) FROM (SELECT DISTINCT user_id FROM changed) u;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER task_added   AFTER INSERT ON task REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_added();
CREATE TRIGGER task_changed AFTER UPDATE ON task REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_changed();
CREATE TRIGGER task_removed AFTER DELETE ON task REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_removed();

-- What is counted has no foreign key and goes with the account. The engine's functions find nothing but the engine's, and so would
-- a trigger that they set off: this one says where the tables are.
CREATE FUNCTION forget_task_figures() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM task_count c USING gone WHERE c.user_id = gone.id;
    DELETE FROM task_change c USING gone WHERE c.user_id = gone.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER task_account_gone AFTER DELETE ON millrace.account REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_task_figures();

-- ---- Reports: one summary a user and week ----

CREATE TABLE report (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id     uuid        NOT NULL CONSTRAINT report_account REFERENCES millrace.account,
    period_from timestamptz NOT NULL,
    period_to   timestamptz NOT NULL,
    figures     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, period_from)
);
