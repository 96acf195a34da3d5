-- Statements of tasks. Each takes one array a field, in the order of the message's field table, and answers
-- every ordinal n; docs/architecture.md has the rules. A part is text that stands wherever {{its name}} does.

-- part: task
t.id, t.summary, t.description, t.due_at AS "dueAt", t.is_complete AS "isComplete", t.user_id AS "userId",
       t.priority_code AS "taskPriorityCode", p.code AS "taskPriority.code", p.label AS "taskPriority.label",
       p.description AS "taskPriority.description", p.ordinal AS "taskPriority.ordinal",
       t.created_at AS "createdAt", t.updated_at AS "updatedAt"

-- name: task_create
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::text[])
           WITH ORDINALITY AS k (id, user_id, summary, description, due_at, is_complete, priority_code, n)
), made AS (
    INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code)
    SELECT k.id, k.user_id, k.summary, k.description, k.due_at, k.is_complete, k.priority_code
      FROM k
      JOIN app_user u ON u.id = k.user_id
      JOIN task_priority p ON p.code = k.priority_code
        ON CONFLICT (id) DO NOTHING
    RETURNING *
)
SELECT k.n,
       CASE WHEN t.id IS NOT NULL THEN NULL WHEN u.id IS NULL THEN 401 WHEN p.code IS NULL THEN 400 END AS "$status",
       CASE WHEN p.code IS NULL THEN 'taskPriorityCode' END AS "$field",
       {{task}}
  FROM k
  LEFT JOIN app_user u ON u.id = k.user_id
  LEFT JOIN task_priority p ON p.code = k.priority_code
  -- A run after a lost connection finds the row of the first; this statement does not see its own rows in task.
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = k.id
                     UNION ALL
                     SELECT * FROM task WHERE task.id = k.id AND task.user_id = k.user_id) t ON true
 -- An id that another transaction has just committed is in neither: left unanswered, it is asked for once more.
 WHERE t.id IS NOT NULL OR u.id IS NULL OR p.code IS NULL;

-- name: task_get
SELECT k.n,
       CASE WHEN t.id IS NULL THEN 404 END AS "$status",
       {{task}}
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (task_id, user_id, n)
  LEFT JOIN task t ON t.id = k.task_id AND t.user_id = k.user_id
  LEFT JOIN task_priority p ON p.code = t.priority_code;

-- name: task_update
-- Rows are locked in the order of their ids before anything is changed, so that two batches never wait for each other.
WITH k AS (
    SELECT *
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::timestamptz[], $8::boolean[],
                  $9::boolean[], $10::text[])
           WITH ORDINALITY AS k (task_id, user_id, body_id, summary, description, description_given, due_at, due_at_given,
                                 is_complete, priority_code, n)
), locked AS (
    SELECT t.id
      FROM task t
      JOIN k ON t.id = k.task_id AND t.user_id = k.user_id
     ORDER BY t.id
       FOR UPDATE OF t
), changed AS (
    UPDATE task t
       SET summary       = coalesce(k.summary, t.summary),
           description   = CASE WHEN k.description_given THEN k.description ELSE t.description END,
           due_at        = CASE WHEN k.due_at_given THEN k.due_at ELSE t.due_at END,
           is_complete   = coalesce(k.is_complete, t.is_complete),
           priority_code = coalesce(k.priority_code, t.priority_code),
           version       = t.version + 1,
           updated_at    = now()
      FROM locked
      JOIN k ON k.task_id = locked.id
     WHERE t.id = locked.id
       AND (k.priority_code IS NULL OR EXISTS (SELECT FROM task_priority p WHERE p.code = k.priority_code))
    RETURNING t.*
)
SELECT k.n,
       CASE WHEN t.id IS NOT NULL THEN NULL WHEN locked.id IS NULL THEN 404 ELSE 400 END AS "$status",
       CASE WHEN t.id IS NULL AND locked.id IS NOT NULL THEN 'taskPriorityCode' END AS "$field",
       {{task}}
  FROM k
  LEFT JOIN locked ON locked.id = k.task_id
  LEFT JOIN changed t ON t.id = k.task_id
  LEFT JOIN task_priority p ON p.code = t.priority_code;

-- name: task_delete
WITH k AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (task_id, user_id, n)
), locked AS (
    SELECT t.id
      FROM task t
      JOIN k ON t.id = k.task_id AND t.user_id = k.user_id
     ORDER BY t.id
       FOR UPDATE OF t
), gone AS (
    DELETE FROM task t USING locked WHERE t.id = locked.id RETURNING t.id
)
SELECT k.n, CASE WHEN gone.id IS NULL THEN 404 END AS "$status"
  FROM k
  LEFT JOIN gone ON gone.id = k.task_id;

-- name: task_list
-- A cursor is the id and the creation time of the last row, in hexadecimal. One row more than asked for, and a
-- list over a mebibyte, say that there is a rest: the last row that still belongs to the answer carries "$next".
SELECT k.n,
       CASE WHEN t.more THEN replace(t.id::text, '-', '') ||
            lpad(to_hex((extract(epoch FROM t.created_at) * 1000000)::bigint), 16, '0') END AS "$next",
       {{task}}
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
       WITH ORDINALITY AS k (user_id, max_rows, cursor, page, page_size, n)
  LEFT JOIN LATERAL (
      SELECT page.*, lead(page.place <= coalesce(k.max_rows, 1000) AND page.bytes <= 1048576, 1) OVER (ORDER BY page.place)
                     IS FALSE AS more
        FROM (SELECT r.*,
                     row_number() OVER w AS place,
                     sum(octet_length(r.summary) + coalesce(octet_length(r.description), 0) + 500) OVER w AS bytes
                FROM (SELECT *
                        FROM task
                       WHERE user_id = k.user_id
                         AND (created_at, id) <
                             (coalesce(timestamptz 'epoch' + ('x' || substr(k.cursor, 33))::bit(64)::bigint *
                                       interval '1 microsecond', 'infinity'),
                              coalesce(substr(k.cursor, 1, 32)::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                       ORDER BY created_at DESC, id DESC
                       LIMIT coalesce(k.max_rows, 1000) + 1) r
              WINDOW w AS (ORDER BY r.created_at DESC, r.id DESC ROWS UNBOUNDED PRECEDING)) page
  ) t ON t.place = 1 OR (t.place <= coalesce(k.max_rows, 1000) AND t.bytes <= 1048576)
  LEFT JOIN task_priority p ON p.code = t.priority_code
 ORDER BY k.n, t.place;

-- name: task_list__page
SELECT k.n, k.page AS "$page", k.page_size AS "$pageSize", coalesce(total.items, 0) AS "$totalItems",
       {{task}}
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
       WITH ORDINALITY AS k (user_id, max_rows, cursor, page, page_size, n)
 CROSS JOIN LATERAL (SELECT sum(items)::bigint AS items FROM task_count WHERE user_id = k.user_id) total
  LEFT JOIN LATERAL (
      SELECT *
        FROM task
       WHERE user_id = k.user_id
       ORDER BY created_at DESC, id DESC
       LIMIT k.page_size OFFSET (k.page - 1) * k.page_size
  ) t ON true
  LEFT JOIN task_priority p ON p.code = t.priority_code
 ORDER BY k.n, t.created_at DESC, t.id DESC;
