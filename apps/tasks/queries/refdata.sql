-- name: task_priority_list
SELECT * FROM task_priority ORDER BY ordinal, code;

-- name: task_priority_get
SELECT * FROM task_priority WHERE code = :code;
