-- Statements of tasks. Each takes one array a field, in the order of the message's field table, and answers
-- every ordinal n; docs/architecture.md has the rules. A part is text that stands wherever {{its name}} does.

-- part: task
t.id, t.summary, t.description, t.due_at AS "dueAt", t.is_complete AS "isComplete", t.user_id AS "userId",
       t.priority_code AS "taskPriorityCode", p.code AS "taskPriority.code", p.label AS "taskPriority.label",
       p.description AS "taskPriority.description", p.ordinal AS "taskPriority.ordinal",
       t.created_at AS "createdAt", t.updated_at AS "updatedAt"

-- part: renew_key
ON CONFLICT (user_id, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
     WHERE i.created_at < now() - interval '1 day'
    RETURNING i.user_id, i.key

-- name: task_create
-- A key that is new (or older than a day) is kept with the answer, in the transaction that writes the row. One that is
-- there already answers as it did the first time, or 422 when it came with another payload.
WITH k AS (
    SELECT k.*, p.code IS NOT NULL AND u.id IS NOT NULL AS good, u.id AS owner, p.code
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[], $7::text[], $8::text[], $9::text[])
           WITH ORDINALITY AS k (id, user_id, summary, description, due_at, is_complete, priority_code, key, fingerprint, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
      LEFT JOIN task_priority p ON p.code = k.priority_code
), claimed AS (
    INSERT INTO millrace.idempotency_key AS i (user_id, key, fingerprint, answer)
    SELECT k.user_id, k.key, k.fingerprint,
           jsonb_build_object('id', k.id, 'user_id', k.user_id, 'summary', k.summary, 'description', k.description,
                              'due_at', k.due_at, 'is_complete', k.is_complete, 'priority_code', k.priority_code,
                              'version', 1, 'created_at', now(), 'updated_at', now())
      FROM k
     WHERE k.good AND k.key IS NOT NULL
     ORDER BY k.user_id, k.key
    {{renew_key}}
), made AS (
    INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code)
    SELECT k.id, k.user_id, k.summary, k.description, k.due_at, k.is_complete, k.priority_code
      FROM k
      LEFT JOIN claimed ON claimed.user_id = k.user_id AND claimed.key = k.key
     WHERE k.good AND (k.key IS NULL OR claimed.key IS NOT NULL)
        ON CONFLICT (id) DO NOTHING
    RETURNING *
)
SELECT k.n,
       CASE WHEN k.owner IS NULL THEN 401 WHEN k.code IS NULL THEN 400 WHEN first.fingerprint <> k.fingerprint THEN 422 END AS "$status",
       CASE WHEN k.owner IS NOT NULL AND k.code IS NULL THEN 'taskPriorityCode' END AS "$field",
       t.version AS "$version",
       {{task}}
  FROM k
  LEFT JOIN claimed ON claimed.user_id = k.user_id AND claimed.key = k.key
  LEFT JOIN millrace.idempotency_key first ON first.user_id = k.user_id AND first.key = k.key AND claimed.key IS NULL
  -- A run after a lost connection finds the row of the first; this statement does not see its own rows in task.
  LEFT JOIN LATERAL (SELECT * FROM made WHERE made.id = k.id
                     UNION ALL
                     SELECT * FROM task WHERE task.id = k.id AND task.user_id = k.user_id AND k.key IS NULL
                     UNION ALL
                     SELECT (jsonb_populate_record(NULL::task, first.answer)).* WHERE first.fingerprint = k.fingerprint) t ON true
  LEFT JOIN task_priority p ON p.code = t.priority_code
 -- What another transaction has just committed, a row of this id or a key, is in none of them: left unanswered, it is
 -- asked for once more.
 WHERE t.id IS NOT NULL OR NOT k.good OR first.fingerprint <> k.fingerprint;

-- name: task_get
SELECT k.n,
       CASE WHEN u.id IS NULL THEN 401 WHEN t.id IS NULL THEN 404 END AS "$status", t.version AS "$version",
       {{task}}
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS k (task_id, user_id, n)
  LEFT JOIN millrace.app_user u ON u.id = k.user_id
  LEFT JOIN task t ON t.id = k.task_id AND t.user_id = u.id
  LEFT JOIN task_priority p ON p.code = t.priority_code;

-- part: matches
(k.versions IS NULL OR t.version = ANY (string_to_array(k.versions, ',')::bigint[]))
             AND CASE WHEN k.unless = '*' THEN false
                      ELSE k.unless IS NULL OR t.version <> ALL (string_to_array(k.unless, ',')::bigint[]) END

-- name: task_update
-- Rows are locked in the order of their ids before anything is changed, so that two batches never wait for each other.
WITH k AS (
    SELECT k.*, u.id AS caller
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::timestamptz[], $8::boolean[],
                  $9::boolean[], $10::text[], $11::text[], $12::text[])
           WITH ORDINALITY AS k (task_id, user_id, body_id, summary, description, description_given, due_at, due_at_given,
                                 is_complete, priority_code, versions, unless, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), locked AS (
    SELECT t.id, {{matches}} AS matches
      FROM task t
      JOIN k ON t.id = k.task_id AND t.user_id = k.caller
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
       AND locked.matches
       AND (k.priority_code IS NULL OR EXISTS (SELECT FROM task_priority p WHERE p.code = k.priority_code))
    RETURNING t.*
)
SELECT k.n,
       CASE WHEN t.id IS NOT NULL THEN NULL WHEN k.caller IS NULL THEN 401 WHEN locked.id IS NULL THEN 404
            WHEN NOT locked.matches THEN 412 ELSE 400 END AS "$status",
       CASE WHEN t.id IS NULL AND locked.matches THEN 'taskPriorityCode' END AS "$field",
       t.version AS "$version",
       {{task}}
  FROM k
  LEFT JOIN locked ON locked.id = k.task_id
  LEFT JOIN changed t ON t.id = k.task_id
  LEFT JOIN task_priority p ON p.code = t.priority_code;

-- name: task_delete
WITH k AS (
    SELECT k.*, u.id AS caller
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY AS k (task_id, user_id, versions, unless, n)
      LEFT JOIN millrace.app_user u ON u.id = k.user_id
), locked AS (
    SELECT t.id, {{matches}} AS matches
      FROM task t
      JOIN k ON t.id = k.task_id AND t.user_id = k.caller
     ORDER BY t.id
       FOR UPDATE OF t
), gone AS (
    DELETE FROM task t USING locked WHERE t.id = locked.id AND locked.matches RETURNING t.id
)
SELECT k.n,
       CASE WHEN gone.id IS NOT NULL THEN NULL WHEN k.caller IS NULL THEN 401 WHEN locked.id IS NULL THEN 404 ELSE 412 END AS "$status"
  FROM k
  LEFT JOIN locked ON locked.id = k.task_id
  LEFT JOIN gone ON gone.id = k.task_id;

-- ---- The list: walked or by pages, in six orders, of all tasks or of those with some words ----
--
-- Every order is by a number (the key) and the id. A cursor is the id and the key of the last row, in hexadecimal. The
-- least and the greatest key stand for no due date, which comes last in either direction.

-- part: list_k
(SELECT k.*, u.id AS caller
          FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[], $7::text[], $8::timestamptz[],
                      $9::timestamptz[], $10::text[], $11::text[])
               WITH ORDINALITY AS k (user_id, max_rows, cursor, page, page_size, is_complete, priority_code, due_before, due_after,
                                     words, sort, n)
          LEFT JOIN millrace.app_user u ON u.id = k.user_id
        OFFSET 0) k

-- part: filter
task.user_id = k.caller
         AND (k.is_complete IS NULL OR task.is_complete = k.is_complete)
         AND (k.priority_code IS NULL OR task.priority_code = k.priority_code)
         AND (k.due_before IS NULL OR task.due_at < k.due_before)
         AND (k.due_after IS NULL OR task.due_at > k.due_after)

-- part: source_all
task

-- part: source_some
(SELECT * FROM task
                WHERE task_words(task.user_id, task.summary, task.description) @@ task_query(k.user_id, k.words)
               OFFSET 0) task

-- part: unfiltered_all
k.is_complete IS NULL AND k.priority_code IS NULL AND k.due_before IS NULL AND k.due_after IS NULL

-- part: unfiltered_some
false

-- part: key
('x' || substr(k.cursor, 33))::bit(64)::bigint

-- part: key_id
substr(k.cursor, 1, 32)::uuid

-- part: key_time
CASE WHEN k.cursor IS NOT NULL
                  THEN timestamptz 'epoch' + {{key_in_years}} / 3600000000 * interval '1 hour'
                                           + {{key_in_years}} % 3600000000 * interval '1 microsecond' END

-- part: key_in_years
greatest(least({{key}}, 253402300799999999), -62135596800000000)

-- part: least_id
'00000000-0000-0000-0000-000000000000'::uuid

-- part: greatest_id
'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid

-- part: after_createdAt
(task.created_at, task.id) > (coalesce({{key_time}}, '-infinity'), coalesce({{key_id}}, {{least_id}}))

-- part: after_-createdAt
(task.created_at, task.id) < (coalesce({{key_time}}, 'infinity'), coalesce({{key_id}}, {{greatest_id}}))

-- part: after_dueAt
(coalesce(task.due_at, 'infinity'), task.id) >
             (coalesce(CASE WHEN {{key}} = 9223372036854775807 THEN 'infinity' ELSE {{key_time}} END, '-infinity'),
              coalesce({{key_id}}, {{least_id}}))

-- part: after_-dueAt
(coalesce(task.due_at, '-infinity'), task.id) <
             (coalesce(CASE WHEN {{key}} = -9223372036854775808 THEN '-infinity' ELSE {{key_time}} END, 'infinity'),
              coalesce({{key_id}}, {{greatest_id}}))

-- part: after_priority
p.ordinal >= coalesce({{key}}, -9223372036854775808)
                      AND task.id > CASE WHEN p.ordinal = {{key}} THEN {{key_id}} ELSE {{least_id}} END

-- part: after_-priority
p.ordinal <= coalesce({{key}}, 9223372036854775807)
                      AND task.id < CASE WHEN p.ordinal = {{key}} THEN {{key_id}} ELSE {{greatest_id}} END

-- part: begin_walk
{{after_{{sort}}}}

-- part: begin_page
true

-- part: rows_walk
LIMIT coalesce(k.max_rows, 1000) + 1

-- part: rows_page
LIMIT k.page_size OFFSET (k.page - 1) * k.page_size

-- part: reach_walk
coalesce(k.max_rows, 1000) + 1

-- part: reach_page
k.page * k.page_size

-- part: key_of_createdAt
(extract(epoch FROM task.created_at) * 1000000)::bigint

-- part: key_of_-createdAt
{{key_of_createdAt}}

-- part: key_of_dueAt
coalesce((extract(epoch FROM task.due_at) * 1000000)::bigint, 9223372036854775807)

-- part: key_of_-dueAt
coalesce((extract(epoch FROM task.due_at) * 1000000)::bigint, -9223372036854775808)

-- part: along_createdAt
task.created_at, task.id

-- part: along_-createdAt
task.created_at DESC, task.id DESC

-- part: along_dueAt
coalesce(task.due_at, 'infinity'), task.id

-- part: along_-dueAt
coalesce(task.due_at, '-infinity') DESC, task.id DESC

-- part: rows_by_time
SELECT task.*, {{key_of_{{sort}}}} AS key
                FROM {{source_{{words}}}}
               WHERE {{filter}}
                 AND {{begin_{{shape}}}}
               ORDER BY {{along_{{sort}}}}
               {{rows_{{shape}}}}

-- part: rows_createdAt
{{rows_by_time}}

-- part: rows_-createdAt
{{rows_by_time}}

-- part: rows_dueAt
{{rows_by_time}}

-- part: rows_-dueAt
{{rows_by_time}}

-- part: rows_by_priority
SELECT task.*
                FROM task_priority p
               CROSS JOIN LATERAL (
                   SELECT task.*, p.ordinal::bigint AS key
                     FROM {{source_{{words}}}}
                    WHERE {{filter}}
                      AND task.priority_code = p.code
                      AND {{begin_{{shape}}}}
                    ORDER BY task.id {{turn_{{sort}}}}
                    LIMIT {{reach_{{shape}}}}) task
               ORDER BY task.key {{turn_{{sort}}}}, task.id {{turn_{{sort}}}}
               {{rows_{{shape}}}}

-- part: rows_priority
{{rows_by_priority}}

-- part: rows_-priority
{{rows_by_priority}}

-- part: turn_createdAt
ASC

-- part: turn_-createdAt
DESC

-- part: turn_dueAt
ASC

-- part: turn_-dueAt
DESC

-- part: turn_priority
ASC

-- part: turn_-priority
DESC

-- name: task_list/{{shape}}/{{sort}}/{{words}} for shape in walk; sort in createdAt -createdAt dueAt -dueAt priority -priority; words in all some
-- One row more than asked for, and a list over a mebibyte, say that there is a rest: the last row that still belongs to
-- the answer carries "$next".
SELECT k.n,
       CASE WHEN k.caller IS NULL THEN 401 END AS "$status",
       CASE WHEN t.more THEN replace(t.id::text, '-', '') || lpad(to_hex(t.key), 16, '0') END AS "$next",
       {{task}}
  FROM {{list_k}}
  LEFT JOIN LATERAL (
      SELECT page.*, lead(page.place <= coalesce(k.max_rows, 1000) AND page.bytes <= 1048576, 1) OVER (ORDER BY page.place)
                     IS FALSE AS more
        FROM (SELECT r.*,
                     row_number() OVER w AS place,
                     sum(octet_length(r.summary) + coalesce(octet_length(r.description), 0) + 500) OVER w AS bytes
                FROM ({{rows_{{sort}}}}) r
              WINDOW w AS (ORDER BY r.key {{turn_{{sort}}}}, r.id {{turn_{{sort}}}} ROWS UNBOUNDED PRECEDING)) page
  ) t ON t.place = 1 OR (t.place <= coalesce(k.max_rows, 1000) AND t.bytes <= 1048576)
  LEFT JOIN task_priority p ON p.code = t.priority_code
 ORDER BY k.n, t.place;

-- name: task_list/{{shape}}/{{sort}}/{{words}} for shape in page; sort in createdAt -createdAt dueAt -dueAt priority -priority; words in all some
SELECT k.n, k.page AS "$page", k.page_size AS "$pageSize", coalesce(total.items, 0) AS "$totalItems",
       CASE WHEN k.caller IS NULL THEN 401 END AS "$status",
       {{task}}
  FROM {{list_k}}
 CROSS JOIN LATERAL (
      SELECT CASE WHEN {{unfiltered_{{words}}}}
                  THEN (SELECT sum(items)::bigint FROM task_count WHERE user_id = k.caller)
                  ELSE (SELECT count(*) FROM {{source_{{words}}}} WHERE {{filter}}) END AS items) total
  LEFT JOIN LATERAL (
      SELECT r.*, row_number() OVER (ORDER BY r.key {{turn_{{sort}}}}, r.id {{turn_{{sort}}}}) AS place FROM ({{rows_{{sort}}}}) r
  ) t ON true
  LEFT JOIN task_priority p ON p.code = t.priority_code
 ORDER BY k.n, t.place;
