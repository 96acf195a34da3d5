-- runs with: 7
-- Users take turns: whose run comes next is found by the user after the one who was served last.
CREATE INDEX job_run_turn ON job_run (job, owner, run_after, id) WHERE finished_at IS NULL AND owner IS NOT NULL;

-- A run that is over, or deleted, leaves none of its upload, whoever ends it and however.
CREATE FUNCTION drop_import_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM import_part WHERE run_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER import_over AFTER UPDATE ON job_run
    FOR EACH ROW WHEN (NEW.job = 'import' AND OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION drop_import_parts();
CREATE TRIGGER import_gone AFTER DELETE ON job_run
    FOR EACH ROW WHEN (OLD.job = 'import' AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION drop_import_parts();
