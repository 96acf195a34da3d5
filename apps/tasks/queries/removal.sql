-- What the job `removal` deletes of an account that was closed; the run's args say which.

-- name: removal__days
WITH {{chunk}}, closed AS (
    SELECT k.most, k.cursor, a.id
      FROM k
      JOIN millrace.account a ON a.id = (k.args ->> 'account')::uuid AND a.closed_at IS NOT NULL
), mine AS (
    SELECT s.user_id, s.day
      FROM closed c
     CROSS JOIN LATERAL (SELECT s.user_id, s.day
                           FROM task_stat s
                          WHERE s.user_id = c.id AND s.day > coalesce(c.cursor, '-infinity')::date
                          ORDER BY s.day
                          LIMIT c.most
                            FOR UPDATE SKIP LOCKED) s
), gone AS (
    DELETE FROM task_stat s USING mine WHERE s.user_id = mine.user_id AND s.day = mine.day AND NOT (SELECT k.skip FROM k) RETURNING s.day
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(max(mine.day), 'YYYY-MM-DD') FROM mine) AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT mine.user_id || '/' || to_char(mine.day, 'YYYY-MM-DD') FROM mine LIMIT 1) END AS unit
  FROM k;

-- name: removal__reports
WITH {{chunk}}, closed AS (
    SELECT k.most, k.cursor, a.id
      FROM k
      JOIN millrace.account a ON a.id = (k.args ->> 'account')::uuid AND a.closed_at IS NOT NULL
), mine AS (
    SELECT r.id, r.period_from
      FROM closed c
     CROSS JOIN LATERAL (SELECT r.id, r.period_from
                           FROM report r
                          WHERE r.user_id = c.id AND r.period_from > coalesce(c.cursor, '-infinity')::timestamptz
                          ORDER BY r.period_from
                          LIMIT c.most
                            FOR UPDATE SKIP LOCKED) r
), gone AS (
    DELETE FROM report r USING mine WHERE r.id = mine.id AND NOT (SELECT k.skip FROM k) RETURNING r.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       (SELECT to_char(max(mine.period_from) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM mine) AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT mine.id::text FROM mine LIMIT 1) END AS unit
  FROM k;

-- name: removal__figures/changes
-- What statements have appended and nobody has added up yet; forget_account takes what comes after this.
WITH {{chunk}}, closed AS (
    SELECT k.most, k.cursor, a.id
      FROM k
      JOIN millrace.account a ON a.id = (k.args ->> 'account')::uuid AND a.closed_at IS NOT NULL
), mine AS (
    SELECT t.id
      FROM closed c
     CROSS JOIN LATERAL (SELECT t.id
                           FROM task_change t
                          WHERE t.user_id = c.id AND t.id <> ALL (coalesce(string_to_array(c.cursor, ','), '{}')::bigint[])
                          LIMIT c.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task_change t USING mine WHERE t.id = mine.id AND NOT (SELECT k.skip FROM k) RETURNING t.id
)
SELECT (SELECT count(*) FROM gone) AS rows,
       concat_ws(',', k.cursor, (SELECT mine.id FROM mine WHERE k.skip LIMIT 1)) AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT mine.id::text FROM mine LIMIT 1) END AS unit
  FROM k;

-- name: removal__figures/counts
-- These have no id: their account and place name them.
WITH {{chunk}}, closed AS (
    SELECT k.most, k.cursor, a.id
      FROM k
      JOIN millrace.account a ON a.id = (k.args ->> 'account')::uuid AND a.closed_at IS NOT NULL
), mine AS (
    SELECT t.place AS id
      FROM closed c
     CROSS JOIN LATERAL (SELECT t.ctid AS place
                           FROM task_count t
                          WHERE t.user_id = c.id AND t.ctid <> ALL (coalesce(string_to_array(c.cursor, '/'), '{}')::tid[])
                          LIMIT c.most
                            FOR UPDATE SKIP LOCKED) t
), gone AS (
    DELETE FROM task_count t USING mine WHERE t.ctid = mine.id AND NOT (SELECT k.skip FROM k) RETURNING t.items
)
SELECT (SELECT count(*) FROM gone) AS rows,
       concat_ws('/', k.cursor, (SELECT mine.id FROM mine WHERE k.skip LIMIT 1)) AS cursor,
       (SELECT count(*) FROM mine) >= k.most AS more,
       CASE WHEN k.skip THEN (SELECT c.id || '/' || mine.id FROM closed c, mine LIMIT 1) END AS unit
  FROM k;
