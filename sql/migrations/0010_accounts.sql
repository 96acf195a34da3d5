-- runs with: 7
-- An account is what rows belong to; app_user is who may use it. Removing a user deletes the row of app_user and closes the
-- account, which takes no time and makes the user invisible to every release. The job `removal` then deletes what belongs to the
-- account, chunk by chunk, and the account last. A foreign key proves that nothing is left, and turns away what comes later.

CREATE TABLE account (
    id        uuid        PRIMARY KEY,
    closed_at timestamptz -- NULL: in use
);

CREATE INDEX account_closed ON account (closed_at, id) WHERE closed_at IS NOT NULL;

LOCK TABLE app_user IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO account (id) SELECT id FROM app_user;

-- UUID version 7 (RFC 9562, 5.7), of the present millisecond: version 4 with its first 48 bits replaced, and the version.
CREATE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT overlay(replace(gen_random_uuid()::text, '-', '')
                   PLACING lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' FROM 1 FOR 13)::uuid
$$;

-- An id is not used again while its account is being cleared: the primary key refuses it.
CREATE FUNCTION open_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account (id) SELECT id FROM made;
    RETURN NULL;
END
$$;

-- The run is queued by the statement that removes the user, whoever runs that statement: no clock and no scheduler has to see it.
CREATE FUNCTION close_accounts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account a SET closed_at = now() FROM gone WHERE a.id = gone.id;
    INSERT INTO job_run (id, job, trigger, exclusive, args)
    SELECT uuid_v7(), 'removal', 'user', false, jsonb_build_object('account', gone.id) FROM gone;
    RETURN NULL;
END
$$;

CREATE TRIGGER user_added AFTER INSERT ON app_user REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION open_accounts();
DROP TRIGGER user_removed ON app_user; -- and with it the only use of forget_task_count
CREATE TRIGGER user_removed AFTER DELETE ON app_user REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION close_accounts();

-- NOT VALID skips the scan of rows that the constraints before these have checked; new rows are checked.
ALTER TABLE task            DROP CONSTRAINT task_user_id_fkey,
                            ADD CONSTRAINT task_account FOREIGN KEY (user_id) REFERENCES account NOT VALID;
ALTER TABLE idempotency_key DROP CONSTRAINT idempotency_key_user_id_fkey,
                            ADD CONSTRAINT idempotency_key_account FOREIGN KEY (user_id) REFERENCES account NOT VALID;
ALTER TABLE session         DROP CONSTRAINT session_user_id_fkey,
                            ADD CONSTRAINT session_account FOREIGN KEY (user_id) REFERENCES account NOT VALID;
ALTER TABLE task_stat       DROP CONSTRAINT task_stat_user_id_fkey,
                            ADD CONSTRAINT task_stat_account FOREIGN KEY (user_id) REFERENCES account NOT VALID;
ALTER TABLE report          DROP CONSTRAINT report_user_id_fkey,
                            ADD CONSTRAINT report_account FOREIGN KEY (user_id) REFERENCES account NOT VALID;
ALTER TABLE job_run         DROP CONSTRAINT job_run_owner_fkey,
                            ADD CONSTRAINT job_run_account FOREIGN KEY (owner) REFERENCES account NOT VALID;

-- Figures have no foreign key, so that nobody waits to append one; they go with the account.
CREATE INDEX task_change_user ON task_change (user_id);

-- False when something still belongs to the account: a transaction that had begun before the account was closed has committed
-- since. Whoever is about to add a row holds the account's row until it commits, so behind the lock nobody is.
CREATE FUNCTION forget_account(closed uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM account WHERE id = closed AND closed_at IS NOT NULL FOR UPDATE;
    IF FOUND THEN
        DELETE FROM task_count WHERE user_id = closed;
        DELETE FROM task_change WHERE user_id = closed;
        DELETE FROM account WHERE id = closed;
    END IF;
    RETURN true;
EXCEPTION WHEN foreign_key_violation THEN
    RETURN false;
END
$$;

INSERT INTO job (name, exclusive, manual) VALUES ('removal', false, true), ('housekeeping', true, true);
