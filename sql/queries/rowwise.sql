-- What the runtime asks beside the statements of an application's operations (runtime/rowwise.c, runtime/constraints.c).

-- name: row_wise__callers
-- In front of statements in one pipeline, where nobody can look at its answer in time: when one of the callers is gone it has to
-- fail (division by zero), so that the server does not come to the statements behind it.
SELECT 1 / (count(*) = count(u.id))::int AS there
  FROM unnest($1::uuid[]) AS k (id)
  LEFT JOIN millrace.app_user u ON u.id = k.id;

-- name: row_wise__columns
-- The columns that a constraint is about, in its order; of one that is only an index, also those in its expressions.
SELECT a.attname::text AS column
  FROM unnest($1::text[], $2::text[], $3::text[]) AS k (schema_name, table_name, name)
  JOIN pg_catalog.pg_namespace s ON s.nspname = k.schema_name
  JOIN pg_catalog.pg_class t ON t.relnamespace = s.oid AND t.relname = k.table_name
  LEFT JOIN pg_catalog.pg_constraint c ON c.conrelid = t.oid AND c.conname = k.name
  LEFT JOIN pg_catalog.pg_class x ON x.relnamespace = s.oid AND x.relname = k.name AND x.relkind IN ('i', 'I')
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = x.oid AND i.indrelid = t.oid
 CROSS JOIN LATERAL (
       SELECT b.number, b.place
         FROM unnest(coalesce(nullif(c.conkey, '{0}'), i.indkey::int2[])) WITH ORDINALITY AS b (number, place)
        UNION
       SELECT d.refobjsubid::int2, 1000 + d.refobjsubid
         FROM pg_catalog.pg_depend d
        WHERE 0 = ANY (i.indkey::int2[])
          AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid) b
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = b.number AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY b.place;

-- name: row_wise__claim
-- In front of a statement, as the look-up of callers is: it fails (division by zero) when the key is there already and less than a
-- day old. Whoever has claimed it and has not committed yet is waited for.
WITH claimed AS (
    INSERT INTO millrace.idempotency_key AS i (user_id, key, fingerprint, answer)
    SELECT k.user_id, k.key, k.fingerprint, 'null'
      FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (user_id, key, fingerprint)
        ON CONFLICT (user_id, key) DO UPDATE
       SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
     WHERE i.created_at < now() - interval '1 day'
    RETURNING i.key
)
SELECT 1 / count(*)::int AS claimed FROM claimed;

-- name: row_wise__keep
-- The answers to keys that were claimed in this transaction; NULL: none that is worth keeping.
WITH k AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (user_id, key, answer)
), given_back AS (
    DELETE FROM millrace.idempotency_key i USING k WHERE i.user_id = k.user_id AND i.key = k.key AND k.answer IS NULL
)
UPDATE millrace.idempotency_key i
   SET answer = k.answer::jsonb
  FROM k
 WHERE i.user_id = k.user_id AND i.key = k.key AND k.answer IS NOT NULL;

-- name: row_wise__first
SELECT i.fingerprint, i.answer ->> '$body' AS body, (i.answer ->> '$version')::bigint AS version, (i.answer ->> '$id')::uuid AS id
  FROM unnest($1::uuid[], $2::text[]) AS k (user_id, key)
  JOIN millrace.idempotency_key i ON i.user_id = k.user_id AND i.key = k.key;
