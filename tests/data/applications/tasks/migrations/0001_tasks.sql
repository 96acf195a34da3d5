CREATE TABLE task_priority (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    code text NOT NULL UNIQUE,
    label text NOT NULL,
    description text NOT NULL,
    ordinal integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE task (
    id uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    summary text NOT NULL,
    description text,
    due_at timestamptz,
    is_complete boolean NOT NULL DEFAULT false,
    priority_code text NOT NULL REFERENCES task_priority (code),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX ON task_priority (ordinal, id);

CREATE INDEX ON task (user_id, created_at, id);
CREATE INDEX ON task (user_id, due_at, id);
CREATE INDEX ON task (user_id, is_complete, id);
CREATE INDEX ON task (user_id, priority_code, id);
CREATE INDEX ON task USING gin ((
    to_tsvector('simple', translate(coalesce(summary, '') || ' ' || coalesce(description, ''),
                                    '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))
    || array_to_tsvector(ARRAY[user_id::text])));

CREATE TABLE task_day (
    user_id uuid NOT NULL REFERENCES app_user ON DELETE CASCADE,
    day date NOT NULL,
    created integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, day)
);
