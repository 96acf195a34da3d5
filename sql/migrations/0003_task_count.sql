-- How many tasks a user has. Counting them for every page would make a page as slow as the list is long, and one counter
-- for a user would let only one of their writes commit at a time. So each statement appends what it changed, and now
-- and then one folds what has gathered: the number is the sum, and nobody ever waits.

CREATE TABLE task_count (
    user_id uuid   NOT NULL,
    items   bigint NOT NULL
);

CREATE INDEX task_count_user ON task_count (user_id);

INSERT INTO task_count (user_id, items) SELECT user_id, count(*) FROM task GROUP BY user_id;

-- One statement in about fifty folds the rows it can have at once into one; whoever reads sees the sum before or after.
CREATE FUNCTION fold_task_count(of_user uuid) RETURNS void LANGUAGE sql AS $$
    WITH mine AS (
        SELECT ctid AS place FROM task_count WHERE user_id = of_user FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM task_count c USING mine WHERE c.ctid = mine.place RETURNING c.items
    )
    INSERT INTO task_count (user_id, items) SELECT of_user, sum(items) FROM gone HAVING count(*) > 0
$$;

CREATE FUNCTION count_tasks_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_count (user_id, items) SELECT user_id, count(*) FROM changed GROUP BY user_id;
    IF random() < 0.02 THEN
        PERFORM fold_task_count(user_id) FROM (SELECT DISTINCT user_id FROM changed) u;
    END IF;
    RETURN NULL;
END
$$;

-- Tasks that go with their user leave nothing to count.
CREATE FUNCTION count_tasks_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_count (user_id, items)
    SELECT t.user_id, -count(*) FROM changed t JOIN app_user u ON u.id = t.user_id GROUP BY t.user_id;
    IF random() < 0.02 THEN
        PERFORM fold_task_count(user_id) FROM (SELECT DISTINCT user_id FROM changed) u;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION forget_task_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM task_count c USING changed u WHERE c.user_id = u.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER task_added   AFTER INSERT ON task REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_added();
CREATE TRIGGER task_removed AFTER DELETE ON task REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_tasks_removed();
CREATE TRIGGER user_removed AFTER DELETE ON app_user REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION forget_task_count();
