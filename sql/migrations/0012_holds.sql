-- runs with: 7
-- Which schedulers stand behind a job's schedule, so that another with a different one does not overwrite it: a member for each
-- process, with the instant until which it is taken to be there. A release that does not know the column leaves it alone.

ALTER TABLE job ADD COLUMN holders jsonb NOT NULL DEFAULT '{}';
