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
    user_id uuid NOT NULL,
    summary text NOT NULL,
    description text,
    due_at timestamptz,
    is_complete boolean NOT NULL DEFAULT false,
    priority_code text NOT NULL REFERENCES task_priority (code),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
