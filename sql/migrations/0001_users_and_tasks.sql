-- Users, their refresh tokens, tasks and the priorities a task can have.

CREATE TABLE app_user (
    id            uuid        PRIMARY KEY,
    username      text        NOT NULL,
    email         text        NOT NULL,
    first_name    text        NOT NULL,
    last_name     text        NOT NULL,
    password_hash text        NOT NULL,
    role          text        NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Names differ without regard to case.
CREATE UNIQUE INDEX app_user_username ON app_user (lower(username));

-- Only the SHA-256 of a token is kept. All tokens that descend from one sign-in are a family.
CREATE TABLE refresh_token (
    id         uuid        PRIMARY KEY,
    family_id  uuid        NOT NULL,
    user_id    uuid        NOT NULL REFERENCES app_user ON DELETE CASCADE,
    token_hash bytea       NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX refresh_token_user ON refresh_token (user_id);
CREATE INDEX refresh_token_family ON refresh_token (family_id);

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

CREATE TABLE task (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL REFERENCES app_user ON DELETE CASCADE,
    summary       text        NOT NULL,
    description   text,
    due_at        timestamptz,
    is_complete   boolean     NOT NULL DEFAULT false,
    priority_code text        NOT NULL REFERENCES task_priority,
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- The order of a user's list; the id makes it total, so that a cursor never skips or repeats a row.
CREATE INDEX task_user_created ON task (user_id, created_at DESC, id DESC);
