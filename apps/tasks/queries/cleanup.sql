-- name: cleanup__tasks/completed
WITH {{chunk}}, old AS (
    SELECT t.id, t.completed_at
      FROM k
     CROSS JOIN LATERAL (SELECT t.id, t.completed_at
                           FROM task t
                          WHERE k.args ->> 'scope' = 'completed'
                            AND t.completed_at < now() - (k.args ->> 'completedAfter')::interval
                            AND (t.completed_at, t.id) > (coalesce(split_part(k.cursor, '/', 1), '-infinity')::timestamptz,
                                                          coalesce(split_part(k.cursor, '/', 2)::uuid, '00000000-0000-0000-0000-000000000000'::uuid))
                          ORDER BY t.completed_at, t.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task t USING old WHERE t.id = old.id AND NOT (SELECT k.skip FROM k) RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(old.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '/' || old.id
          FROM old ORDER BY old.completed_at DESC, old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;

-- name: cleanup__tasks/all
WITH {{chunk}}, old AS (
    SELECT t.id
      FROM k
     CROSS JOIN LATERAL (SELECT t.id
                           FROM task t
                          WHERE k.args ->> 'scope' = 'all'
                            AND t.id > coalesce(k.cursor::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
                          ORDER BY t.id
                          LIMIT k.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task t USING old WHERE t.id = old.id AND NOT (SELECT k.skip FROM k) RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT old.id::text FROM old ORDER BY old.id DESC LIMIT 1) AS cursor,
       (SELECT count(*) FROM old) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT old.id::text FROM old LIMIT 1) END AS unit
  FROM k;
