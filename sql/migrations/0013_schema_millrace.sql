-- runs with: 7
-- The engine's tables, its sequence and its functions move into the schema millrace: an application may have a table `job` of its
-- own. The views that stand in for the tables are for release 7, which looks for them where they were.

-- What moves, in the order in which it is locked: first what a chunk of a job holds for as long as it takes. Whoever waits for
-- one of these tables may hold another that is still to be locked. The server looks for a deadlock a second after a wait began,
-- so all others have to be had before: else a client's statement might be chosen to die.
DO $$
DECLARE
    home   name   := current_schema();
    tables name[] := '{job_run,app_user,session,refresh_token,idempotency_key,job,import_part,account,schema_migration}';
    moved  name;
    taken  name;
BEGIN
    IF home = 'millrace' THEN
        RETURN; -- of a role that has this name, and nothing but a schema of its own
    END IF;
    SELECT c.relname INTO taken
      FROM pg_class c
     WHERE c.relnamespace = 'millrace'::regnamespace AND c.relname = ANY (tables || 'job_claim'::name)
       AND (c.relname <> 'schema_migration' OR c.relkind <> 'v')
     LIMIT 1;
    IF FOUND THEN
        RAISE duplicate_table USING MESSAGE = format('the schema "millrace" has a relation "%s" that is not of this installation', taken),
                                    HINT = 'Two cannot share a schema: give it another name, or use another database';
    END IF;

    FOREACH moved IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', home, moved);
        PERFORM set_config('lock_timeout', '100', true);
    END LOOP;

    DROP VIEW millrace.schema_migration;
    FOREACH moved IN ARRAY tables LOOP
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA millrace', home, moved);
        EXECUTE format('CREATE VIEW %I.%I AS SELECT * FROM millrace.%2$I', home, moved);
        EXECUTE format('COMMENT ON VIEW %I.%I IS %L', home, moved, format('millrace.%I, for the release before migration 13', moved));
    END LOOP;

    ALTER FUNCTION tell_refdata_changed() SET SCHEMA millrace;
    ALTER FUNCTION tell_runs_queued()     SET SCHEMA millrace;
    ALTER FUNCTION drop_import_parts()    SET SCHEMA millrace;
    ALTER FUNCTION open_accounts()        SET SCHEMA millrace;
    ALTER FUNCTION close_accounts()       SET SCHEMA millrace;
    ALTER FUNCTION forget_account(uuid)   SET SCHEMA millrace;
    ALTER FUNCTION uuid_v7()              SET SCHEMA millrace;

    -- Release 7 goes on with the sequence that it knows, and only odd numbers: no claim has the number of another.
    CREATE SEQUENCE millrace.job_claim INCREMENT 2 CACHE 1;
    PERFORM setval('millrace.job_claim', (last_value / 2 + 1) * 2, false), setval('job_claim', (last_value / 2 + 1) * 2 + 1, false)
       FROM job_claim;
    ALTER SEQUENCE job_claim INCREMENT 2;
END
$$;

-- Who could use the tables still can, and the views as well. Whoever owns them owns the views.
DO $$
DECLARE
    home  name := current_schema();
    owner text;
    given record;
BEGIN
    IF home = 'millrace' THEN
        RETURN;
    END IF;
    FOR given IN
        SELECT c.relname, c.relkind, c.relowner, v.relowner AS owner_of_view
          FROM pg_class c
          JOIN pg_class v ON v.relname = c.relname AND v.relnamespace = home::regnamespace
         WHERE c.relnamespace = 'millrace'::regnamespace AND c.relkind IN ('r', 'S') AND v.relkind IN ('v', 'S')
    LOOP
        owner := pg_get_userbyid(given.relowner);
        IF given.relkind = 'r' AND given.relowner <> given.owner_of_view THEN
            EXECUTE format('ALTER VIEW %I.%I OWNER TO %I', home, given.relname, owner);
        ELSIF given.relkind = 'S' AND given.relowner <> given.owner_of_view THEN
            EXECUTE format('ALTER SEQUENCE millrace.%I OWNER TO %I', given.relname, pg_get_userbyid(given.owner_of_view));
        END IF;
    END LOOP;
    FOR given IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
               string_agg(a.privilege_type, ', ') AS rights, a.is_grantable,
               CASE c.relkind WHEN 'S' THEN format('SEQUENCE millrace.%I', c.relname) ELSE format('%I.%I', home, c.relname) END AS relation
          FROM pg_class c
         CROSS JOIN LATERAL aclexplode(c.relacl) a
         WHERE c.relkind = 'r' AND c.relnamespace = 'millrace'::regnamespace AND a.grantee <> c.relowner
               AND EXISTS (SELECT FROM pg_class v WHERE v.relname = c.relname AND v.relnamespace = home::regnamespace)
            OR c.relkind = 'S' AND c.relnamespace = home::regnamespace AND c.relname = 'job_claim'
         GROUP BY a.grantee, a.is_grantable, c.relkind, c.relname
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', given.rights, given.relation, given.grantee,
                       CASE WHEN given.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        EXECUTE format('GRANT USAGE ON SCHEMA millrace TO %s', given.grantee);
    END LOOP;
    FOR owner IN SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.relnamespace = 'millrace'::regnamespace LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA millrace TO %I', owner);
    END LOOP;
END
$$;

-- ---- The engine's functions name what they use, and find nothing else, whatever a session searches ----

ALTER FUNCTION millrace.tell_refdata_changed() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION millrace.tell_runs_queued()     SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION millrace.uuid_v7()              SET search_path = pg_catalog, pg_temp;

CREATE OR REPLACE FUNCTION millrace.drop_import_parts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM millrace.import_part WHERE run_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION millrace.open_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO millrace.account (id) SELECT id FROM made;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION millrace.close_accounts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE millrace.account a SET closed_at = now() FROM gone WHERE a.id = gone.id;
    INSERT INTO millrace.job_run (id, job, trigger, exclusive, args)
    SELECT millrace.uuid_v7(), 'removal', 'user', false, jsonb_build_object('account', gone.id) FROM gone;
    RETURN NULL;
END
$$;

-- What an application keeps of an account without a foreign key, a trigger of the application deletes.
CREATE OR REPLACE FUNCTION millrace.forget_account(closed uuid) RETURNS boolean
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

-- ---- Tasks' ----

-- A trigger that a function of the engine sets off finds what that function finds, unless it says where to look: here, where the
-- tables of tasks are.
CREATE FUNCTION forget_task_figures() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM task_count c USING gone WHERE c.user_id = gone.id;
    DELETE FROM task_change c USING gone WHERE c.user_id = gone.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER task_account_gone AFTER DELETE ON millrace.account REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION forget_task_figures();

CREATE OR REPLACE FUNCTION count_tasks_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
