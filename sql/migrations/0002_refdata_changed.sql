-- Whoever keeps reference data is told when they change, whichever way that happens.

CREATE FUNCTION tell_refdata_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('millrace_refdata', TG_TABLE_NAME);
    RETURN NULL;
END
$$;

CREATE TRIGGER task_priority_changed
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON task_priority
    FOR EACH STATEMENT EXECUTE FUNCTION tell_refdata_changed();
