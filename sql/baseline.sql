-- stands for: 13
-- The engine's tables of a new database, as migrations 1 to 13 leave them, without what these make for tasks and for releases
-- before the schema millrace. A test compares the two.

DO $$
DECLARE
    taken name;
BEGIN
    SELECT c.relname INTO taken FROM pg_class c WHERE c.relnamespace = to_regnamespace('millrace') AND c.relkind <> 'i' ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE duplicate_table USING MESSAGE = format('the schema "millrace" has a relation "%s" that is not of this installation', taken),
                                    HINT = 'Two cannot share a schema: give it another name, or use another database';
    END IF;
    IF to_regnamespace('millrace') IS NULL THEN
        CREATE SCHEMA millrace; -- an administrator may have made it for a role that cannot
    END IF;
END
$$;

-- UUID version 7 (RFC 9562, 5.7), of the present millisecond: version 4 with its first 48 bits replaced, and the version.
CREATE FUNCTION millrace.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT overlay(replace(gen_random_uuid()::text, '-', '')
                   PLACING lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' FROM 1 FOR 13)::uuid
$$;

-- ---- Accounts and users ----

-- An account is what rows belong to; app_user is who may use it. Removing a user deletes the row of app_user and closes the
-- account, which takes no time. The job `removal` then deletes what belongs to the account, chunk by chunk, and the account last. A
-- foreign key proves that nothing is left, and turns away what comes later.
CREATE TABLE millrace.account (
    id        uuid        PRIMARY KEY,
    closed_at timestamptz -- NULL: in use
);

CREATE INDEX account_closed ON millrace.account (closed_at, id) WHERE closed_at IS NOT NULL;

CREATE TABLE millrace.app_user (
    id               uuid        PRIMARY KEY,
    username         text        NOT NULL,
    email            text        NOT NULL,
    first_name       text        NOT NULL,
    last_name        text        NOT NULL,
    password_hash    text        NOT NULL,
    role             text        NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    -- Rises with every change of the password. A session of another version is over, also one that was being made while the
    -- password changed.
    password_version bigint      NOT NULL DEFAULT 1,
    -- The NFKC case folding, which the process computes: lower() depends on the database's locale.
    username_folded  text
);

CREATE UNIQUE INDEX app_user_username ON millrace.app_user (lower(username));
CREATE UNIQUE INDEX app_user_username_folded ON millrace.app_user (username_folded) WHERE username_folded IS NOT NULL;

-- A session is what a sign-in begins: the family of refresh tokens that descend from it, one live at a time. It ends with its
-- row, and every token goes with that; so whoever locks the row decides about all of them.
CREATE TABLE millrace.session (
    id               uuid        PRIMARY KEY,
    user_id          uuid        NOT NULL CONSTRAINT session_account REFERENCES millrace.account,
    password_version bigint      NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX session_of_user ON millrace.session (user_id);

-- Only the SHA-256 of a token is kept. A spent one names the one it was exchanged for.
CREATE TABLE millrace.refresh_token (
    id         uuid        PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES millrace.session ON DELETE CASCADE,
    token_hash bytea       NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_id    uuid
);

CREATE INDEX refresh_token_session ON millrace.refresh_token (session_id);
CREATE INDEX refresh_token_expires ON millrace.refresh_token (expires_at, id);

-- The first answer to a request with an Idempotency-Key, for a day.
CREATE TABLE millrace.idempotency_key (
    user_id     uuid        NOT NULL CONSTRAINT idempotency_key_account REFERENCES millrace.account,
    key         text        NOT NULL,
    fingerprint text        NOT NULL,
    answer      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_key_created ON millrace.idempotency_key (created_at);

-- ---- Jobs ----

-- A message between scheduler and job actor is a prompt; these rows are the truth.
CREATE TABLE millrace.job (
    name      text    PRIMARY KEY,
    exclusive boolean NOT NULL DEFAULT true,  -- one run of it at a time
    manual    boolean NOT NULL DEFAULT true,  -- an administrator may start it
    schedule  text,                           -- as the scheduler last read it; NULL: not scheduled
    timezone  text,
    ticked_at timestamptz,                    -- the last tick that was seen to, or when this schedule was first seen
    next_at   timestamptz,
    holders   jsonb   NOT NULL DEFAULT '{}'   -- schedulers behind the schedule, each with the instant until which it is taken to be there
);

-- What may have runs before a scheduler was ever there; each scheduler adds the jobs that it knows.
INSERT INTO millrace.job (name, exclusive, manual) VALUES
    ('cleanup', true, true), ('maintenance', true, true), ('import', false, false), ('removal', false, true), ('housekeeping', true, true);

-- Rises with every claim: whoever writes to a run shows the number it was given, so that the owner of a run that was rescued
-- meanwhile changes nothing.
CREATE SEQUENCE millrace.job_claim CACHE 1;

CREATE TABLE millrace.job_run (
    id               uuid        PRIMARY KEY,
    job              text        NOT NULL REFERENCES millrace.job ON DELETE CASCADE,
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
    owner            uuid        CONSTRAINT job_run_account REFERENCES millrace.account,
    traceparent      text,
    slot             text        -- the job's name while the run is at work and no other run of that job may be
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0, fillfactor = 40);

-- A claim changes no column that an index looks at, so that it is a heap-only (HOT) update: the new version of the row stays in
-- its page, for which there is room, and no index is touched.

-- A tick happens once, however many schedulers run.
CREATE UNIQUE INDEX job_run_tick ON millrace.job_run (job, scheduled_for) WHERE scheduled_for IS NOT NULL;
CREATE UNIQUE INDEX job_run_slot ON millrace.job_run (slot) WHERE slot IS NOT NULL;
-- Those that are not finished: a few are at work, the others wait.
CREATE INDEX job_run_due ON millrace.job_run (job, run_after, id) WHERE finished_at IS NULL;
-- Users take turns: whose run comes next is found by the user after the one who was served last.
CREATE INDEX job_run_turn ON millrace.job_run (job, owner, run_after, id) WHERE finished_at IS NULL AND owner IS NOT NULL;
CREATE INDEX job_run_of_job ON millrace.job_run (job, id DESC);
CREATE INDEX job_run_of_owner ON millrace.job_run (owner) WHERE owner IS NOT NULL;

-- What an import was sent, in the order it came. The parts are there before the run is; those that no run wants are cleaned up.
CREATE TABLE millrace.import_part (
    run_id     uuid        NOT NULL,
    part       bigint      NOT NULL,
    bytes      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, part)
);
ALTER TABLE millrace.import_part ALTER COLUMN bytes SET STORAGE EXTERNAL; -- compressing it would cost more than its few minutes of life

CREATE INDEX import_part_created ON millrace.import_part (created_at);

-- ---- Triggers and what they call ----
--
-- Functions name what they use, and find nothing else, whatever a session searches.

-- An id is not used again while its account is being cleared: the primary key refuses it.
CREATE FUNCTION millrace.open_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO millrace.account (id) SELECT id FROM made;
    RETURN NULL;
END
$$;

-- The run is queued by the statement that removes the user, whoever runs that statement: no clock and no scheduler has to see it.
CREATE FUNCTION millrace.close_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE millrace.account a SET closed_at = now() FROM gone WHERE a.id = gone.id;
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, args)
    SELECT millrace.uuid_v7(), 'removal', 'user', false, jsonb_build_object('account', gone.id) FROM gone;
    RETURN NULL;
END
$$;

CREATE TRIGGER user_added AFTER INSERT ON millrace.app_user REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.open_accounts();
CREATE TRIGGER user_removed AFTER DELETE ON millrace.app_user REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION millrace.close_accounts();

-- False when something still belongs to the account: a transaction that had begun before the account was closed has committed
-- since. Whoever is about to add a row holds the account's row until it commits, so behind the lock nobody is. What an application
-- keeps of an account without a foreign key, a trigger of the application deletes.
CREATE FUNCTION millrace.forget_account(closed uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM millrace.account WHERE id = closed AND closed_at IS NOT NULL FOR UPDATE;
    IF FOUND THEN
        DELETE FROM millrace.account WHERE id = closed;
    END IF;
    RETURN true;
EXCEPTION WHEN foreign_key_violation THEN
    RETURN false;
END
$$;

-- Whoever queues a run, a scheduler hears of it; once a statement, however many runs that queues.
CREATE FUNCTION millrace.tell_runs_queued() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('millrace_jobs', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER job_run_queued AFTER INSERT ON millrace.job_run FOR EACH STATEMENT EXECUTE FUNCTION millrace.tell_runs_queued();

-- A run that is over, or deleted, leaves none of its upload, whoever ends it and however.
CREATE FUNCTION millrace.drop_import_parts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM millrace.import_part WHERE run_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER import_over AFTER UPDATE ON millrace.job_run
    FOR EACH ROW WHEN (NEW.job = 'import' AND OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION millrace.drop_import_parts();
CREATE TRIGGER import_gone AFTER DELETE ON millrace.job_run
    FOR EACH ROW WHEN (OLD.job = 'import' AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION millrace.drop_import_parts();

-- For a table of an application that whoever keeps its rows wants to hear about, whichever way they change.
CREATE FUNCTION millrace.tell_refdata_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('millrace_refdata', TG_TABLE_NAME);
    RETURN NULL;
END
$$;
