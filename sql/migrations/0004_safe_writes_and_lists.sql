-- What a list by due date, by priority or by words walks along.

-- Tasks without a due date come last in either direction.
CREATE INDEX task_user_due      ON task (user_id, coalesce(due_at, 'infinity'::timestamptz), id);
CREATE INDEX task_user_due_desc ON task (user_id, coalesce(due_at, '-infinity'::timestamptz) DESC, id DESC);
CREATE INDEX task_user_priority ON task (user_id, priority_code, id);

-- The words of a task, and its owner as one more word: one index finds the words of one user.
CREATE FUNCTION task_words(user_id uuid, summary text, description text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple'::regconfig, summary || ' ' || coalesce(description, '')) || array_to_tsvector(ARRAY[user_id::text])
$$;

CREATE INDEX task_words ON task USING gin (task_words(user_id, summary, description));

-- The first answer to a request with an Idempotency-Key, for a day.
CREATE TABLE idempotency_key (
    user_id     uuid        NOT NULL REFERENCES app_user ON DELETE CASCADE,
    key         text        NOT NULL,
    fingerprint text        NOT NULL,
    answer      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_key_created ON idempotency_key (created_at);
