-- Indexes for the statements that the declaration of a task makes. On a large table make them beforehand, under the same names, with
-- CREATE INDEX CONCURRENTLY: see CHANGELOG.md.
CREATE INDEX IF NOT EXISTS task_user_due_at ON task (user_id, due_at, id);
CREATE INDEX IF NOT EXISTS task_user_done   ON task (user_id, is_complete, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS task_search ON task USING gin ((
    to_tsvector('simple', translate(coalesce(summary, '') || ' ' || coalesce(description, ''),
                                    '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))
    || array_to_tsvector(ARRAY[user_id::text])));

-- These are for releases that had tasks compiled in, which may still serve or come back where there are tasks already; a later
-- migration drops them. A new database never needs them.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM task) THEN
        DROP INDEX task_user_due, task_user_due_desc, task_words;
    END IF;
END $$;
