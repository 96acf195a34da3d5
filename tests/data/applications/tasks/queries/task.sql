-- name: task_stats
SELECT coalesce(sum(created), 0) AS created, coalesce(sum(completed), 0) AS completed
  FROM task_day WHERE user_id = :caller AND day BETWEEN :from AND :to;

-- name: task_cleanup
DELETE FROM task
 WHERE id IN (SELECT id FROM task WHERE is_complete AND updated_at < now() - interval '30 days' ORDER BY id LIMIT 1000);
