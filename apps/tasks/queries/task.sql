-- name: task_total
-- The number is the sum of what statements have appended: see the migration.
SELECT sum(items) FROM task_count WHERE user_id = :caller;
