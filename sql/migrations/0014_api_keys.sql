-- runs with: 7
-- Keys of programs. Of the secret there is only its hash. A key has an account, as a user has: its idempotency keys belong to it,
-- and the job `removal` deletes them when the key is gone.
CREATE TABLE millrace.api_key (
    id           uuid        PRIMARY KEY,
    name         text        NOT NULL,
    secret_hash  bytea       NOT NULL,
    scopes       text[]      NOT NULL,
    created_by   uuid        NOT NULL, -- a user, who may be gone
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz -- to the minute: it is not written for every request
);

CREATE UNIQUE INDEX api_key_secret ON millrace.api_key (secret_hash);

CREATE TRIGGER key_added AFTER INSERT ON millrace.api_key REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.open_accounts();
CREATE TRIGGER key_removed AFTER DELETE ON millrace.api_key REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.close_accounts();

-- Who changed what, written by the statement that changes it. No foreign key: an entry outlives whom and what it names.
CREATE TABLE millrace.audit (
    id           uuid        PRIMARY KEY, -- version 7
    at           timestamptz NOT NULL DEFAULT now(),
    by           text        NOT NULL,    -- user, key or command
    caller       uuid,                    -- the user or the key
    operation    text        NOT NULL,
    subject_type text        NOT NULL,
    subject      uuid        NOT NULL,
    detail       jsonb
);

CREATE INDEX audit_at ON millrace.audit (at, id);
