-- name: aggregate__changes
-- Folds what statements have appended since. Each change is taken once, in the transaction that adds it up: late ones
-- correct the day they belong to, and a task that was cleaned up stays counted. Accounts are locked before anything is added
-- to them, so that none goes meanwhile; whoever removes a user does not wait for that.
WITH {{chunk}}, next AS (
    SELECT c.id
      FROM k
     CROSS JOIN LATERAL (SELECT c.id FROM task_change c WHERE c.id > coalesce(k.cursor::bigint, 0) ORDER BY c.id LIMIT k.most
                            FOR UPDATE SKIP LOCKED) c
), taken AS (
    DELETE FROM task_change c USING next WHERE c.id = next.id AND NOT (SELECT k.skip FROM k) RETURNING c.*
), users AS (
    SELECT u.id
      FROM millrace.app_user u
      JOIN millrace.account a ON a.id = u.id
      JOIN (SELECT DISTINCT user_id FROM taken) d ON u.id = d.user_id
     ORDER BY u.id
       FOR KEY SHARE OF a
), summed AS (
    INSERT INTO task_stat AS s (user_id, day, created, completed, due, in_time)
    SELECT t.user_id, t.day, sum(t.created), sum(t.completed), sum(t.due), sum(t.in_time)
      FROM taken t
      JOIN users u ON u.id = t.user_id
     GROUP BY t.user_id, t.day
     ORDER BY t.user_id, t.day
        ON CONFLICT (user_id, day) DO UPDATE
       SET created   = s.created + excluded.created,
           completed = s.completed + excluded.completed,
           due       = s.due + excluded.due,
           in_time   = s.in_time + excluded.in_time
)
SELECT (SELECT count(*) FROM taken) AS rows,
       (SELECT max(next.id)::text FROM next) AS cursor,
       (SELECT count(*) FROM next) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT next.id::text FROM next LIMIT 1) END AS unit
  FROM k;
