-- A claim changes no column that an index looks at, so that it is a heap-only (HOT) update: the new version of the row stays
-- in its page, for which there is room, and no index is touched.

ALTER TABLE job_run SET (fillfactor = 40);

-- The job's name while the run is at work and no other run of that job may be.
ALTER TABLE job_run ADD COLUMN slot text;
UPDATE job_run SET slot = job WHERE state = 'running' AND exclusive;

DROP INDEX job_run_alone;
CREATE UNIQUE INDEX job_run_slot ON job_run (slot) WHERE slot IS NOT NULL;

-- Those that are not finished: a few are at work, the others wait.
DROP INDEX job_run_due, job_run_running;
CREATE INDEX job_run_due ON job_run (job, run_after, id) WHERE finished_at IS NULL;

-- The job `cleanup` walks through the history instead.
DROP INDEX job_run_finished;
