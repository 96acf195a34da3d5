-- Statements of reference data.

-- name: task_priority_list
SELECT k.n, p.code, p.label, p.description, p.ordinal
  FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, n)
  LEFT JOIN task_priority p ON true
 ORDER BY k.n, p.ordinal, p.code;

-- name: task_priority_get
SELECT k.n, CASE WHEN p.code IS NULL THEN 404 END AS "$status", p.code, p.label, p.description, p.ordinal
  FROM unnest($1::text[]) WITH ORDINALITY AS k (code, n)
  LEFT JOIN task_priority p ON p.code = k.code;
